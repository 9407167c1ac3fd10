package detect

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// FuzzImport: any bytes are refused and change nothing, or are bounds that make sense, are exported again as the same,
// and are those that the service is held against.
func FuzzImport(f *testing.F) {
	s := NewSteady(SteadyOptions{Window: 5 * time.Second})
	s.Set(measured(latency))
	learn(s, newClock().at, 0, 2, 0, 2, 0, 2)
	whole, err := s.Export()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(strings.ReplaceAll(string(whole), "shop", "other")))
	const one = `{"service":"shop","sli":"latency","learned":true,`
	for _, rest := range []string{`"low":1,"high":0}`, `"low":-1e308,"high":1e308,"n":-9223372036854775808}`, `"low":NaN}`, `"low":1e309}`, `"mean":-1,"deviation":-1}`,
		`"low":0,"high":1,"promql":"other"}`, `"low":-0,"high":-0.0}`, `"learned_at":"9999-12-31T23:59:59+23:59"}`, `"learned_at":"0000-01-01T00:00:00-23:59"}`} {
		f.Add([]byte("[" + one + rest + "]"))
		f.Add([]byte("[" + one + rest + "," + one + `"low":3,"high":4}]`))
	}
	for _, raw := range []string{``, `null`, `[]`, `[null]`, `{}`, `[{}]`, `[[]]`, "\xff", `[] []`, strings.Repeat("[", 20000),
		`[{"service":"a\u0000b","sli":"c","learned":true},{"service":"a","sli":"b\u0000c","learned":true}]`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := NewSteady(SteadyOptions{Window: 5 * time.Second})
		learn(s, newClock().at, 1, 1, 1, 1, 1, 1)
		before, err := s.Export()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Import(raw); err != nil {
			if after, _ := s.Export(); string(after) != string(before) {
				t.Fatalf("%v, and yet it is\n%s\nand no more\n%s", err, after, before)
			}
			return
		}
		var list []keptBounds
		if err := json.Unmarshal(raw, &list); err != nil {
			t.Fatalf("taken over: %v", err)
		}
		last := map[[2]string]Bounds{}
		for _, kept := range list {
			last[[2]string{kept.Service, kept.SLI}] = kept.Bounds
		}
		for key, want := range last {
			got, known := s.Bounds(key[0], key[1])
			got.LearnedAt, want.LearnedAt = got.LearnedAt.UTC(), want.LearnedAt.UTC() // zones of two readings are two values
			if !known || got != want || !got.Holds(got.Low) || !got.Holds(got.High) || got.Holds(math.NaN()) || got.N < 0 || got.Deviation < 0 {
				t.Errorf("the bounds of %q are %+v (%v), taken over was %+v", key, got, known, want)
			}
		}
		exportedAgain(t, s)
		s.Set(measured(latency)) // those of another question are forgotten
		if bounds, known := s.Bounds("shop", "latency"); known && s.learned[sliKey("shop", "latency")].PromQL != latency.PromQL {
			t.Errorf("bounds of another question are kept: %+v", bounds)
		}
	})
}

func exportedAgain(t *testing.T, s *Steady) {
	t.Helper()
	exported, err := s.Export()
	if err != nil {
		t.Fatalf("what was imported cannot be exported: %v", err)
	}
	other := NewSteady(SteadyOptions{})
	if err := other.Import(exported); err != nil {
		t.Fatalf("what was exported is refused: %v\n%s", err, exported)
	}
	if again, err := other.Export(); err != nil || string(again) != string(exported) {
		t.Errorf("exported\n%s\nand again (%v)\n%s", exported, err, again)
	}
}
