package jenner

import (
	"encoding/json"
	"math"
	"reflect"
	"sort"
	"testing"
)

// What is read from a text is written in a form that reads as the same. Shares are written with twelve digits, so they
// come back within a billionth of a percent, and from then on as they are.

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"0", "0s", "5s", " 5s ", "1h30m", "1.5h", "30d", "2w", "300ms", "1µs", "7ns", "0.1ns", "1.5s1.5s",
		"0.000000001s", "106751d", "106752d", "9223372036s", "9223372036.854775807s", "2562047h47m16.854775807s", "1d1ns", "-1s", "+1s",
		"1e3s", "5", "", "s", "99999999999999999999w", "1h0m1s", "1s1h", "٣s", "5S"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		duration, err := ParseDuration(text)
		if err != nil {
			return
		}
		if duration < 0 {
			t.Fatalf("%q is %d ns, below 0", text, duration)
		}
		if again, err := ParseDuration(duration.String()); err != nil || again != duration {
			t.Fatalf("%q is written %q, which reads as %d ns, want %d (%v)", text, duration, again, duration, err)
		}
		sameAsJSON(t, duration)
	})
}

func FuzzDurationString(f *testing.F) {
	for _, seed := range []int64{0, 1, 999, 1e9, 60e9, 3600e9, 3601e9, 86400e9, 86401e9, 86400e9 * 106751, 1 << 52} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ns int64) {
		if ns < 0 || ns > 1<<52 { // beyond 52 days a nanosecond is lost
			return
		}
		if again, err := ParseDuration(Duration(ns).String()); err != nil || again != Duration(ns) {
			t.Fatalf("%d ns is written %s, which reads as %d ns (%v)", ns, Duration(ns), again, err)
		}
	})
}

// sameAsJSON writes a value as JSON and reads it back.
func sameAsJSON[T comparable](t *testing.T, value T) {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("%v cannot be JSON: %v", value, err)
	}
	var again T
	if err := json.Unmarshal(raw, &again); err != nil || again != value {
		t.Fatalf("%v is written %s, which reads as %v (%v)", value, raw, again, err)
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "0.7", "70%", "-3", " 5 ", "1e308", "1e309", "5e-324", "1e-400%", "0x10", "0x1p-2", "1_000", "inf", "NaN",
		"%", "%%", "1%%", "", ".5", "5.", "+5", `"5"`, "0.1%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var number Number
		if number.UnmarshalText([]byte(text)) != nil {
			return
		}
		if math.IsNaN(float64(number)) || math.IsInf(float64(number), 0) {
			t.Fatalf("%q is %v", text, number)
		}
		sameAsJSON(t, number)
	})
}

func FuzzShare(f *testing.F) {
	for _, seed := range []string{"0", "1", "0.15", "15%", "99.9%", "99.99999999999%", "100%", "100.0000001%", "1.0000001", "-0", "-0%", "1e-300", "1e-320%",
		"0.1234567890123456789", "101%", "", "%", "1e2%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var share, again, third Share
		if share.UnmarshalText([]byte(text)) != nil {
			return
		}
		if !(share >= 0 && share <= 1) {
			t.Fatalf("%q is the share %v", text, float64(share))
		}
		written := rewritten(t, share, &again)
		if math.Abs(float64(again-share)) > 1e-11 {
			t.Fatalf("%q is %v, is written %s and reads as %v", text, float64(share), written, float64(again))
		}
		if rewritten(t, again, &third) != written {
			t.Fatalf("%q is written %s and then otherwise", text, written)
		}
	})
}

// rewritten writes a share and reads it back.
func rewritten(t *testing.T, share Share, again *Share) string {
	t.Helper()
	written, err := share.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.UnmarshalText(written); err != nil {
		t.Fatalf("%v is written %s, which is refused: %v", float64(share), written, err)
	}
	return string(written)
}

func FuzzConfidence(f *testing.F) {
	for _, seed := range []string{"low", "medium", "high", "High", "0", "1", "-0", "0.92", "92%", "100.00000001%", "1e-300", "inf", "NaN", "", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var confidence Confidence
		if confidence.UnmarshalText([]byte(text)) != nil {
			return
		}
		if !(confidence >= 0 && confidence <= 1) {
			t.Fatalf("%q is the confidence %v", text, float64(confidence))
		}
		sameAsJSON(t, confidence)
	})
}

func FuzzLimit(f *testing.F) {
	for _, seed := range []string{"15%", "3", "15% 3", "3 15%", "15%,3", ", 3 ,", "0", "0%", "100%", "0.0001%", "9223372036854775807", "9223372036854775808",
		"-1", "1% 2%", "1 2", "", " ", "+3", "1e-300%", "33.333333333333336%"} {
		for _, total := range []int{0, 1, 3, 100, math.MaxInt, -1} {
			f.Add(seed, total)
		}
	}
	f.Fuzz(func(t *testing.T, text string, total int) {
		var limit, again Limit
		if limit.UnmarshalText([]byte(text)) != nil {
			return
		}
		most := limit.Of(total)
		if most < 0 || most > max(total, 0) || limit.Count != nil && most > *limit.Count {
			t.Fatalf("%q allows %d of %d", text, most, total)
		}
		if total < math.MaxInt && limit.Of(total+1) < most {
			t.Fatalf("%q allows %d of %d, and less of one more", text, most, total)
		}
		written, err := limit.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalText(written); err != nil || !alike(limit, again) {
			t.Fatalf("%q is written %s, which reads as %v (%v)", text, written, again, err)
		}
	})
}

func alike(a, b Limit) bool {
	if (a.Share == nil) != (b.Share == nil) || a.Share != nil && math.Abs(float64(*a.Share-*b.Share)) > 1e-11 {
		return false
	}
	return reflect.DeepEqual(a.Count, b.Count)
}

func FuzzBlastRadius(f *testing.F) {
	for _, seed := range []string{`{"max_pods": "15% 3"}`, `{"max_pods": "3", "max_connections": "15%"}`, `{"max_": "1"}`, `{"pods": "0"}`, `{}`, `{"": "1"}`,
		`{"max_pods": ""}`, `{"max_pods": 3}`, `{"max_max_a": "0%"}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var radius, again BlastRadius
		if json.Unmarshal(raw, &radius) != nil {
			return
		}
		for _, limit := range radius {
			if limit.Share == nil && limit.Count == nil {
				return // null in JSON: a limit that allows nothing, which is not written
			}
		}
		if units := radius.Units(); len(units) != len(radius) || !sort.StringsAreSorted(units) {
			t.Fatalf("%s has the units %q", raw, units)
		}
		written, err := json.Marshal(radius)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil || len(again) != len(radius) {
			t.Fatalf("%s is written %s, which reads as %v (%v)", raw, written, again, err)
		}
		for unit, limit := range radius {
			if !alike(limit, again[unit]) {
				t.Fatalf("%s is written %s", raw, written)
			}
		}
	})
}
