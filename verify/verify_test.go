package verify_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/verify"
)

// probes is telemetry that knows probes only.
type probes []jenner.ProbeState

func (probes) Query(context.Context, string) (jenner.Answer, error) { return jenner.Answer{}, nil }

func (probes) Probe(string, string) (jenner.ProbeState, bool) { return jenner.ProbeState{}, false }

func (p probes) Probes(service string) []jenner.ProbeState {
	if service != "shop" {
		return nil
	}
	return p
}

var (
	ended = time.Date(2026, 5, 14, 9, 0, 0, 0, time.UTC)
	now   = ended.Add(2 * time.Second)
)

// good is a probe that was asked after the action and passed.
func good() jenner.ProbeState {
	return jenner.ProbeState{
		Service: "shop", Name: "ready", Status: jenner.ProbePassing, LastOK: true, Streak: 3,
		At: now.Add(-time.Second), Duration: 10 * time.Millisecond, Every: time.Second,
	}
}

func but(change func(*jenner.ProbeState)) probes {
	state := good()
	change(&state)
	return probes{state}
}

func resolved() jenner.Alert { return jenner.Alert{Name: "ready-failing", Status: jenner.Resolved} }

func firing(seen time.Time) jenner.Alert {
	return jenner.Alert{Name: "ready-failing", Status: jenner.Firing, SeenAt: seen}
}

func TestVerify(t *testing.T) {
	ready := jenner.Probe{Name: "ready", Slow: jenner.Duration(100 * time.Millisecond)}
	sli := func(outcome jenner.CheckOutcome, saw string) []jenner.Check {
		return []jenner.Check{{Name: "sli latency", Outcome: outcome, Saw: saw}}
	}
	tests := map[string]struct {
		probes probes
		alerts []jenner.Alert
		slis   []jenner.Check
		want   jenner.CheckOutcome
	}{
		"all is well":    {probes{good()}, []jenner.Alert{resolved()}, sli(jenner.Passed, ""), jenner.Passed},
		"a probe alone":  {probes{good()}, nil, nil, jenner.Passed},
		"still failing":  {but(func(s *jenner.ProbeState) { s.Status, s.LastOK = jenner.ProbeFailing, false }), nil, nil, jenner.Failed},
		"failing before": {but(func(s *jenner.ProbeState) { s.Status, s.LastOK, s.At = jenner.ProbeFailing, false, ended }), nil, nil, jenner.Inconclusive},
		"passed before":  {but(func(s *jenner.ProbeState) { s.At = ended.Add(-time.Millisecond) }), nil, nil, jenner.Inconclusive},
		"asked before, answered after": {but(func(s *jenner.ProbeState) {
			s.Status, s.LastOK, s.At, s.Duration = jenner.ProbeFailing, false, ended.Add(time.Second), time.Second
		}), nil, nil, jenner.Inconclusive},
		"never asked":               {but(func(s *jenner.ProbeState) { s.At = time.Time{} }), nil, nil, jenner.Inconclusive},
		"asked too long ago":        {but(func(s *jenner.ProbeState) { s.At, s.Every = ended.Add(500*time.Millisecond), time.Millisecond }), nil, nil, jenner.Inconclusive},
		"first good answer":         {but(func(s *jenner.ProbeState) { s.Status = jenner.ProbeFailing }), nil, nil, jenner.Inconclusive},
		"first bad answer":          {but(func(s *jenner.ProbeState) { s.LastOK = false }), nil, nil, jenner.Inconclusive},
		"unknown":                   {but(func(s *jenner.ProbeState) { s.Status = jenner.ProbeUnknown }), nil, nil, jenner.Inconclusive},
		"unknown after a bad one":   {but(func(s *jenner.ProbeState) { s.Status, s.LastOK = jenner.ProbeUnknown, false }), nil, nil, jenner.Inconclusive},
		"slow":                      {but(func(s *jenner.ProbeState) { s.Status, s.Duration = jenner.ProbeSlow, time.Second/2 }), nil, nil, jenner.Failed},
		"fast again":                {but(func(s *jenner.ProbeState) { s.Status = jenner.ProbeSlow }), nil, nil, jenner.Inconclusive},
		"slow for once":             {but(func(s *jenner.ProbeState) { s.Duration = time.Second / 2 }), nil, nil, jenner.Inconclusive},
		"one of two not yet":        {append(but(func(s *jenner.ProbeState) { s.Name, s.At = "buy", time.Time{} }), good()), nil, nil, jenner.Inconclusive},
		"a transaction still fails": {append(but(func(s *jenner.ProbeState) { s.Name, s.Status, s.LastOK = "buy", jenner.ProbeFailing, false }), good()), nil, nil, jenner.Failed},
		"written but without state": {probes{}, []jenner.Alert{resolved()}, nil, jenner.Inconclusive},
		"the alert fires":           {probes{good()}, []jenner.Alert{firing(now)}, nil, jenner.Failed},
		"the alert fired before":    {probes{good()}, []jenner.Alert{firing(ended)}, nil, jenner.Inconclusive},
		"the alert is not known":    {probes{good()}, []jenner.Alert{{Name: "ready-failing"}}, nil, jenner.Inconclusive},
		"an SLI is out of bounds":   {probes{good()}, nil, sli(jenner.Failed, ""), jenner.Failed},
		"an SLI has no data":        {probes{good()}, nil, sli(jenner.Inconclusive, "no data"), jenner.Inconclusive},
		"an SLI has no bounds":      {probes{good()}, nil, sli(jenner.Inconclusive, "no steady bounds yet"), jenner.Passed},
		"no bounds, and nothing passed": {but(func(s *jenner.ProbeState) { s.At = time.Time{} }), nil,
			sli(jenner.Inconclusive, "no steady bounds yet"), jenner.Inconclusive},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := verify.Verify(context.Background(), verify.Input{
				Now: now, Service: jenner.Service{Name: "shop", Probes: []jenner.Probe{ready}},
				Alerts: test.alerts, ActionEnded: ended, Telemetry: test.probes,
				Steady: func(context.Context, jenner.Service) []jenner.Check { return test.slis },
			})
			if got.Outcome != test.want || !got.At.Equal(now) {
				t.Errorf("%s at %s, want %s: %+v", got.Outcome, got.At, test.want, got.Checks)
			}
			if want := max(len(test.probes), 1) + len(test.alerts) + len(test.slis); len(got.Checks) != want {
				t.Errorf("%d checks, want all %d: %+v", len(got.Checks), want, got.Checks)
			}
		})
	}
}

func TestL8NoChecksAreInconclusive(t *testing.T) {
	got := verify.Verify(context.Background(), verify.Input{
		Now: now, Service: jenner.Service{Name: "shop"}, ActionEnded: ended, Telemetry: probes(nil),
	})
	if got.Outcome != jenner.Inconclusive {
		t.Errorf("a service that nobody looks at is %s", got.Outcome)
	}
}

// However the SLI checks turn out together: one that failed fails all, and passed never hides one that counts.
func TestOutcomesCombine(t *testing.T) {
	outcomes := []jenner.CheckOutcome{jenner.Passed, jenner.Failed, jenner.Inconclusive, "perhaps"}
	rapid.Check(t, func(t *rapid.T) {
		var checks []jenner.Check
		for _, outcome := range rapid.SliceOfN(rapid.SampledFrom(outcomes), 0, 8).Draw(t, "outcomes") {
			check := jenner.Check{Outcome: outcome}
			if outcome == jenner.Inconclusive && rapid.Bool().Draw(t, "without bounds") {
				check.Saw = jenner.NoBounds
			}
			checks = append(checks, check)
		}
		withProbe := rapid.Bool().Draw(t, "with a passing probe")
		in := verify.Input{Now: now, Service: jenner.Service{Name: "shop"}, ActionEnded: ended, Telemetry: probes{},
			Steady: func(context.Context, jenner.Service) []jenner.Check { return checks }}
		want := jenner.Inconclusive
		if withProbe {
			in.Telemetry = probes{good()}
			want = jenner.Passed
		}
		for _, check := range checks {
			if check.Outcome == jenner.Passed {
				want = jenner.Passed
			}
		}
		for _, check := range checks {
			if check.Outcome != jenner.Passed && check.Outcome != jenner.Failed && !(withProbe && check.Saw == jenner.NoBounds) {
				want = jenner.Inconclusive
			}
		}
		for _, check := range checks {
			if check.Outcome == jenner.Failed {
				want = jenner.Failed
			}
		}
		if got := verify.Verify(context.Background(), in); got.Outcome != want {
			t.Fatalf("%s, want %s: %+v", got.Outcome, want, got.Checks)
		}
	})
}
