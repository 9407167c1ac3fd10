package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/notify"
)

// world is a telemetry of functions, which the stages' own test suites check against the real one.
type world struct {
	query func(promql string) (jenner.Answer, error)
	probe func(service, name string) (jenner.ProbeState, bool)
}

func (w world) Query(_ context.Context, promql string) (jenner.Answer, error) { return w.query(promql) }
func (w world) Probe(service, name string) (jenner.ProbeState, bool)          { return w.probe(service, name) }
func (w world) Probes(service string) []jenner.ProbeState {
	return []jenner.ProbeState{{Service: service, Name: "ready"}, {Service: service, Name: "alive"}}
}

func samplesOf(values ...float64) jenner.Answer {
	var answer jenner.Answer
	for _, value := range values {
		answer.Samples = append(answer.Samples, jenner.Sample{Value: value, At: time.Unix(1, 0)})
	}
	return answer
}

// answering gives the answers one after another, one a call, and the last one for ever.
func answering(answers ...jenner.Answer) act.Call {
	n := 0
	return act.Call{Host: act.Host{Telemetry: world{query: func(string) (jenner.Answer, error) {
		answer := answers[min(n, len(answers)-1)]
		n++
		return answer, nil
	}}}}
}

func threshold(value float64) *jenner.Number {
	number := jenner.Number(value)
	return &number
}

func TestWaitForMetric(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for name, test := range map[string]struct {
		below, above *jenner.Number
		stable       time.Duration
		answers      []jenner.Answer
		after        time.Duration // when it passes
		fails        []string      // or how it fails at its timeout
	}{
		"at once":                   {below: threshold(0.7), answers: []jenner.Answer{samplesOf(0.6)}},
		"the third time":            {below: threshold(0.7), answers: []jenner.Answer{samplesOf(1), samplesOf(0.8), samplesOf(0.6)}, after: 2 * metricEvery},
		"above":                     {above: threshold(5), answers: []jenner.Answer{samplesOf(5), samplesOf(5.1)}, after: metricEvery},
		"between":                   {above: threshold(1), below: threshold(3), answers: []jenner.Answer{samplesOf(3), samplesOf(1), samplesOf(2)}, after: 2 * metricEvery},
		"the bound itself is not":   {below: threshold(0.7), answers: []jenner.Answer{samplesOf(0.7)}, fails: []string{"last seen: 0.7"}},
		"no data never passes":      {below: threshold(1), answers: []jenner.Answer{{}}, fails: []string{"m is not below 1", "timeout of 10s", "last seen: no data"}},
		"each series must be":       {below: threshold(1), answers: []jenner.Answer{samplesOf(0, 2)}, fails: []string{"last seen: 0, 2"}},
		"what is no number is not":  {below: threshold(1), answers: []jenner.Answer{samplesOf(nan)}, fails: []string{"NaN"}},
		"infinity":                  {above: threshold(1), answers: []jenner.Answer{samplesOf(inf)}},
		"stable":                    {below: threshold(1), stable: time.Second, answers: []jenner.Answer{samplesOf(0)}, after: time.Second},
		"stable begins anew":        {below: threshold(1), stable: time.Second, answers: []jenner.Answer{samplesOf(0), samplesOf(9), samplesOf(0)}, after: 2*metricEvery + time.Second},
		"data goes while it waited": {below: threshold(1), stable: time.Second, answers: []jenner.Answer{samplesOf(0), {}}, fails: []string{"no data"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wait := &WaitForMetric{Metric: "m", Below: test.below, Above: test.above, Timeout: jenner.Duration(10 * time.Second), StableFor: jenner.Duration(test.stable)}
				if err := wait.Validate(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				result, err := wait.Do(t.Context(), answering(test.answers...))
				if _, jsonErr := json.Marshal(result.Output); jsonErr != nil {
					t.Errorf("the output cannot be kept: %v", jsonErr)
				}
				if test.fails != nil {
					wantError(t, err, test.fails...)
					if waited := time.Since(began); waited != 10*time.Second {
						t.Errorf("it failed after %s", waited)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(began); waited != test.after {
					t.Errorf("it passed after %s, want %s", waited, test.after)
				}
			})
		})
	}
}

func TestWaitForMetricWhereNobodyCanBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := act.Call{Host: act.Host{Telemetry: world{query: func(string) (jenner.Answer, error) {
			return jenner.Answer{}, errors.New("the store is closed")
		}}}}
		_, err := (&WaitForMetric{Metric: "m", Below: threshold(1), Timeout: jenner.Duration(time.Second)}).Do(t.Context(), call)
		wantError(t, err, "could not ask", "the store is closed")
		_, err = (&WaitForMetric{Metric: "m", Below: threshold(1)}).Do(t.Context(), act.Call{})
		wantError(t, err, "no telemetry")
	})
}

func TestWaitsEndWithTheirStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := errors.New("somebody stopped Jenner")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1300*time.Millisecond, func() { cancel(held) })
		began := time.Now()
		_, err := (&WaitForMetric{Metric: "m", Below: threshold(1)}).Do(ctx, answering(samplesOf(4)))
		if !errors.Is(err, held) || time.Since(began) != 1300*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		wantError(t, err, "last seen: 4")
	})
}

func TestWaitForMetricMistakes(t *testing.T) {
	for part, wait := range map[string]*WaitForMetric{
		"below and above are both missing": {Metric: "m"},
		"no number is above 2 and below 1": {Metric: "m", Below: threshold(1), Above: threshold(2)},
		"metric is missing":                {Below: threshold(1)},
		"m{":                               {Metric: "m{", Below: threshold(1)},
		"longer than timeout":              {Metric: "m", Below: threshold(1), Timeout: 1, StableFor: 2},
	} {
		wantError(t, wait.Validate(), part)
	}
}

func TestWaitForProbe(t *testing.T) {
	for name, test := range map[string]struct {
		want  jenner.ProbeStatus
		state func(began, now time.Time) jenner.ProbeState
		after time.Duration
		fails string
	}{
		"passes": {jenner.ProbePassing, func(began, now time.Time) jenner.ProbeState {
			return jenner.ProbeState{Status: jenner.ProbePassing, LastOK: true, At: now.Add(-1)}
		}, probeEvery, ""},
		"what was known before does not count": {jenner.ProbePassing, func(began, now time.Time) jenner.ProbeState {
			return jenner.ProbeState{Status: jenner.ProbePassing, LastOK: true, At: began}
		}, 0, "last seen: passing"},
		"comes back": {jenner.ProbePassing, func(began, now time.Time) jenner.ProbeState {
			if now.Sub(began) < time.Second {
				return jenner.ProbeState{Status: jenner.ProbeFailing, At: now}
			}
			return jenner.ProbeState{Status: jenner.ProbePassing, LastOK: true, At: now}
		}, time.Second, ""},
		"the last answer does not agree": {jenner.ProbePassing, func(_, now time.Time) jenner.ProbeState {
			return jenner.ProbeState{Status: jenner.ProbePassing, LastOK: false, At: now, Message: "refused"}
		}, 0, "last seen: passing (refused)"},
		"unknown is not passing": {jenner.ProbePassing, func(_, now time.Time) jenner.ProbeState {
			return jenner.ProbeState{Status: jenner.ProbeUnknown, At: now}
		}, 0, "last seen: unknown"},
		"fails": {jenner.ProbeFailing, func(began, now time.Time) jenner.ProbeState {
			return jenner.ProbeState{Status: jenner.ProbeFailing, At: now.Add(-1)}
		}, probeEvery, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var asked string
				call := act.Call{Subject: jenner.Service{Name: "checkout"}, Service: jenner.Service{Name: "ledger"},
					Host: act.Host{Telemetry: world{probe: func(service, name string) (jenner.ProbeState, bool) {
						asked = service + "/" + name
						return test.state(began, time.Now()), true
					}}}}
				_, err := (&WaitForProbe{Probe: "ready", Timeout: jenner.Duration(5 * time.Second), Status: test.want}).Do(t.Context(), call)
				if test.fails != "" {
					wantError(t, err, "probe checkout/ready is not "+string(test.want), test.fails)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(began); waited != test.after || asked != "checkout/ready" {
					t.Errorf("it passed after %s, having asked %s; want after %s", waited, asked, test.after)
				}
			})
		})
	}
}

func TestWaitForProbeNames(t *testing.T) {
	call := act.Call{Service: jenner.Service{Name: "ledger"}, Host: act.Host{Telemetry: world{
		probe: func(service, name string) (jenner.ProbeState, bool) { return jenner.ProbeState{}, false }}}}
	_, err := (&WaitForProbe{Probe: "redy", Status: jenner.ProbePassing}).Do(t.Context(), call)
	wantError(t, err, `service "ledger" has no probe "redy"`, "ready")
	_, err = (&WaitForProbe{Probe: "shop/ready", Status: jenner.ProbePassing}).Do(t.Context(), call)
	wantError(t, err, `service "shop"`)
	wantError(t, (&WaitForProbe{Status: jenner.ProbePassing}).Validate(), "probe is missing")
	wantError(t, (&WaitForProbe{Probe: "a", Status: "ok"}).Validate(), "unknown status")
}

func TestQueryMetrics(t *testing.T) {
	var asked []string
	call := act.Call{Host: act.Host{Telemetry: world{query: func(promql string) (jenner.Answer, error) {
		asked = append(asked, promql)
		return samplesOf(float64(len(asked))), nil
	}}}}
	query := &QueryMetrics{Metric: "db_active", Window: jenner.Duration(5 * time.Minute)}
	if err := query.Validate(); err != nil {
		t.Fatal(err)
	}
	result, err := query.Do(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"db_active", "avg_over_time((db_active)[300000ms:5000ms])",
		"min_over_time((db_active)[300000ms:5000ms])", "max_over_time((db_active)[300000ms:5000ms])"}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	at := `"at":"` + time.Unix(1, 0).Format(time.RFC3339) + `"`
	if got, want := string(jenner.Raw(result.Output)), fmt.Sprintf(`{"samples":[{"value":1,%s}],"average":[{"value":2,%s}],"lowest":[{"value":3,%s}],"highest":[{"value":4,%s}]}`, at, at, at, at); got != want {
		t.Errorf("output\n%s\nwant\n%s", got, want)
	}
	result, err = (&QueryMetrics{Metric: "m"}).Do(t.Context(), answering(jenner.Answer{}))
	if err != nil || result.Summary != "m: no data" || string(jenner.Raw(result.Output)) != `{"samples":[]}` {
		t.Errorf("without data: %+v, %v", result, err)
	}
	result, err = (&QueryMetrics{Metric: "m"}).Do(t.Context(), answering(samplesOf(math.Inf(1))))
	if err != nil || !strings.Contains(string(jenner.Raw(result.Output)), `"value":"+Inf"`) {
		t.Errorf("infinity: %+v, %v", result, err)
	}
	wantError(t, (&QueryMetrics{Metric: "m", Window: 5}).Validate(), "too short")
	wantError(t, (&QueryMetrics{}).Validate(), "metric is missing")
}

func TestPageOncall(t *testing.T) {
	for written, want := range map[string]jenner.Severity{"high": "page", "page": "page", "low": "ticket", "ticket": "ticket"} {
		var got []string
		call := act.Call{Subject: jenner.Service{Name: "checkout"}, Incident: "i1", Host: act.Host{
			Page: func(_ context.Context, severity jenner.Severity, title, body string) error {
				got = append(got, string(severity), title, body)
				return nil
			}}}
		result, err := (&PageOncall{Severity: written, Message: "look"}).Do(t.Context(), call)
		if err != nil || len(got) != 3 || got[0] != string(want) || got[1] != "checkout: look" || !strings.Contains(got[2], "i1") || !result.Changed {
			t.Errorf("%s: told %q, result %+v, %v", written, got, result, err)
		}
	}
	wantError(t, (&PageOncall{Severity: "hihg"}).Validate(), "hihg", "known: high")
	_, err := (&PageOncall{Severity: "low"}).Do(t.Context(), act.Call{})
	wantError(t, err, "nobody to page")
	_, err = (&PageOncall{Severity: "low"}).Do(t.Context(), act.Call{Host: act.Host{
		Page: func(context.Context, jenner.Severity, string, string) error { return errors.New("no network") }}})
	if jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("error %v, want one to retry", err)
	}
}

func TestActionsConform(t *testing.T) {
	probe := world{probe: func(string, string) (jenner.ProbeState, bool) {
		return jenner.ProbeState{Status: jenner.ProbePassing, LastOK: true, At: time.Now().Add(time.Hour)}, true
	}}
	paging := act.Host{Page: func(context.Context, jenner.Severity, string, string) error { return nil }}
	for name, build := range map[string]func() actiontest.World{
		"wait_for_metric": func() actiontest.World {
			return actiontest.World{Already: true, Call: answering(samplesOf(0)),
				Action: func() act.Action { return &WaitForMetric{Metric: "m", Below: threshold(1)} }}
		},
		"wait_for_probe": func() actiontest.World {
			return actiontest.World{Already: true, Call: act.Call{Host: act.Host{Telemetry: probe}},
				Action: func() act.Action { return &WaitForProbe{Probe: "a/b", Status: jenner.ProbePassing} }}
		},
		"query_metrics": func() actiontest.World {
			return actiontest.World{Already: true, Call: answering(samplesOf(0)),
				Action: func() act.Action { return &QueryMetrics{Metric: "m", Window: jenner.Duration(time.Minute)} }}
		},
		"page_oncall": func() actiontest.World {
			return actiontest.World{Call: act.Call{Host: paging}, KnownAfter: act.HappenedNot,
				Action: func() act.Action { return &PageOncall{Severity: "high"} }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(*testing.T) actiontest.World { return build() })
		})
	}
}

func TestTerminalNotifier(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	message := notify.Message{At: at, Severity: jenner.SeverityPage, Title: "checkout is down", Body: "why\nand how\n"}
	if err := NewTerminal(&out).Notify(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if want := "03:04:05 PAGE: checkout is down\n    why\n    and how\n"; out.String() != want {
		t.Errorf("written:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestFileNotifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pages.jsonl")
	notifier := &NotifierFile{Path: path}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := notifier.Notify(t.Context(), notify.Message{Key: fmt.Sprint(i), Title: "a\nb"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var message notify.Message
		if err := json.Unmarshal([]byte(line), &message); err != nil || message.Title != "a\nb" {
			t.Errorf("line %q: %v", line, err)
		}
		keys[message.Key] = true
	}
	if len(keys) != 8 {
		t.Errorf("%d messages, want 8", len(keys))
	}
	wantError(t, (&NotifierFile{}).Validate(), "path is missing")
	wantError(t, (&NotifierFile{Path: filepath.Join(path, "x")}).Notify(t.Context(), notify.Message{}), path, "cannot be written")
	wantError(t, (&NotifierFile{Path: "/dev/full"}).Notify(t.Context(), notify.Message{}), "no space left")
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
}
