package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// restrainedFacts are those of a drill in which nothing was to be done, and nothing was; or in which it came to a safe stop.
func restrainedFacts(outcome jenner.ExpectedOutcome) Facts {
	facts := Facts{
		Experiment: jenner.Experiment{Name: "absent", Service: "checkout", Faults: []jenner.FaultSpec{{Fault: "kill", Target: "checkout"}},
			Expect: jenner.Expectation{Outcome: outcome, DetectedWithin: jenner.Duration(2 * time.Second)}},
		Bit: true, Witness: "pid 1 is gone", InjectedAt: noon, UndoneAt: after(30),
		Incident: &jenner.Incident{ID: "i", Service: "checkout", OpenedAt: after(1), Paged: true},
	}
	if outcome == jenner.OutcomeSafeStop {
		facts.Stopped = after(10)
	}
	return facts
}

func TestNegativeVerdicts(t *testing.T) {
	const nothing, stop = jenner.OutcomeNoAction, jenner.OutcomeSafeStop
	changed := func(service string, seconds int) func(*Facts) {
		return func(f *Facts) {
			f.Changes = append(f.Changes, Change{Service: service, What: "process.restart changed process/x", At: after(seconds)})
		}
	}
	for _, test := range []struct {
		name    string
		outcome jenner.ExpectedOutcome
		spoil   func(*Facts)
		want    jenner.Verdict
		says    string
	}{
		{"nothing was done", nothing, func(*Facts) {}, jenner.VerdictProven, "pid 1 is gone; nothing was changed"},
		{"nobody noticed anything", nothing, func(f *Facts) { f.Incident = nil }, jenner.VerdictProven, ""},
		{"something was done", nothing, changed("checkout", 5), jenner.VerdictHarmful, "restart changed process/x on checkout, and nothing was to be changed"},
		{"something was done after the undo", nothing, changed("checkout", 31), jenner.VerdictProven, ""},
		{"nothing was undone yet", nothing, func(f *Facts) { f.UndoneAt = time.Time{}; changed("checkout", 31)(f) }, jenner.VerdictHarmful, ""},
		{"it never bit", nothing, func(f *Facts) { f.Bit = false }, jenner.VerdictNoEffect, "no witness"},
		{"it would have stayed broken", nothing, func(f *Facts) {
			f.Experiment.Control, f.Control = true, &jenner.ControlArm{Bit: true, StayedBroken: true}
		}, jenner.VerdictProven, ""},
		{"it would have passed by itself", nothing, func(f *Facts) {
			f.Experiment.Control, f.Control = true, &jenner.ControlArm{Bit: true, RecoveredAlone: true}
		}, jenner.VerdictNotNeeded, "by itself"},
		{"nobody knows whether it lasts", stop, func(f *Facts) {
			f.Experiment.Control, f.Control = true, &jenner.ControlArm{Bit: true}
		}, jenner.VerdictInconclusive, "does not show"},
		{"the control arm was not run", stop, func(f *Facts) { f.Experiment.Control = true }, jenner.VerdictInconclusive, "was not run"},
		{"no telemetry", nothing, func(f *Facts) { f.NoTelemetry = "shut" }, jenner.VerdictInconclusive, "shut"},
		{"residue", nothing, func(f *Facts) { f.Residue = "a rule" }, jenner.VerdictResidue, ""},
		{"aborted", stop, func(f *Facts) { f.Aborted = "ann" }, jenner.VerdictAborted, ""},
		{"it stopped", stop, func(*Facts) {}, jenner.VerdictProven, "a human was told 10s after the injection, and nothing was changed after that"},
		{"it acted before it stopped", stop, changed("checkout", 5), jenner.VerdictProven, ""},
		{"it acted after it had stopped", stop, changed("checkout", 12), jenner.VerdictHarmful, "it had stopped 2s before"},
		{"it acted on another one", stop, changed("payments", 5), jenner.VerdictHarmful, "it is not checkout"},
		{"it acted on another one that it may touch", stop, func(f *Facts) {
			f.Experiment.Expect.MayTouch = []string{"payments"}
			changed("payments", 5)(f)
		}, jenner.VerdictProven, ""},
		{"it acted and did not stop", stop, func(f *Facts) { f.Stopped = time.Time{}; changed("checkout", 5)(f) }, jenner.VerdictHarmful, "it did not stop"},
		{"it did not stop", stop, func(f *Facts) { f.Stopped = time.Time{} }, jenner.VerdictNotRemediated, "did not come to a stop"},
		{"nobody noticed", stop, func(f *Facts) { f.Incident, f.Stopped = nil, time.Time{} }, jenner.VerdictNotRemediated, "no incident was opened"},
		{"noticed late", stop, func(f *Facts) { f.Incident.OpenedAt = after(3) }, jenner.VerdictProvenSlow, "detected after 3s, expected within 2s"},
		{"an invariant is broken", nothing, func(f *Facts) { f.Readings = []jenner.Reading{{Name: "a", Broken: "a is 2 and was 1"}} },
			jenner.VerdictNotRemediated, "a is 2 and was 1"},
		{"one is broken after an act", stop, func(f *Facts) {
			changed("checkout", 5)(f)
			f.Readings = []jenner.Reading{{Name: "a", Broken: "a is 2 and was 1"}}
		}, jenner.VerdictHarmful, "a is 2 and was 1"},
		{"one is not known", nothing, func(f *Facts) { f.Readings = []jenner.Reading{{Name: "a", Missing: "shut"}} },
			jenner.VerdictInconclusive, "invariant a is not known to hold: shut"},
		{"one was not looked at", nothing, func(f *Facts) { f.Experiment.Expect.Invariants = []jenner.Invariant{{Name: "a"}} },
			jenner.VerdictInconclusive, "invariant a was not looked at"},
	} {
		facts := restrainedFacts(test.outcome)
		test.spoil(&facts)
		if got, reasons := Judge(facts); got != test.want || !strings.Contains(strings.Join(reasons, "; "), test.says) {
			t.Errorf("%s: %s %q, want %s because %q", test.name, got, reasons, test.want, test.says)
		}
	}
}

// TestInvariantsOfWhatWasHealed: a broken one is asked for after harm to others and before everything about healing; one
// that nobody knows after it.
func TestInvariantsOfWhatWasHealed(t *testing.T) {
	broken := func(f *Facts) {
		f.Readings = []jenner.Reading{{Name: "lost", Before: "1", After: "2", Broken: "lost rose"}}
	}
	missing := func(f *Facts) { f.Readings = []jenner.Reading{{Name: "lost", Missing: "no data"}} }
	for _, test := range []struct {
		name  string
		spoil []func(*Facts)
		want  jenner.Verdict
		says  string
	}{
		{"all hold", []func(*Facts){func(f *Facts) { f.Readings = []jenner.Reading{{Name: "lost", Before: "1", After: "1"}} }}, jenner.VerdictProven, ""},
		{"broken", []func(*Facts){broken}, jenner.VerdictHarmful, "invariant broken: lost rose"},
		{"broken, and nobody acted", []func(*Facts){broken, func(f *Facts) { f.Incident, f.Touched = nil, nil }}, jenner.VerdictNotRemediated, "invariant broken"},
		{"broken, and another one touched", []func(*Facts){broken, func(f *Facts) { f.Touched = []string{"payments"} }}, jenner.VerdictHarmful, "touched payments"},
		{"broken without a bite", []func(*Facts){broken, func(f *Facts) { f.Bit = false }}, jenner.VerdictNoEffect, ""},
		{"not known", []func(*Facts){missing}, jenner.VerdictInconclusive, "no data"},
		{"not known, and not healed", []func(*Facts){missing, func(f *Facts) { f.Recovered = time.Time{} }}, jenner.VerdictNotRemediated, "not steady"},
		{"not known, and late", []func(*Facts){missing, func(f *Facts) { f.Recovered = after(9) }}, jenner.VerdictInconclusive, "no data"},
		{"broken where nothing was", []func(*Facts){broken, func(f *Facts) { f.Experiment.Faults, f.Touched, f.Incident = nil, nil, nil }},
			jenner.VerdictNotRemediated, "lost rose"},
		{"not known where nothing was", []func(*Facts){missing, func(f *Facts) { f.Experiment.Faults, f.Touched, f.Incident = nil, nil, nil }},
			jenner.VerdictInconclusive, "no data"},
	} {
		facts := proven()
		for _, spoil := range test.spoil {
			spoil(&facts)
		}
		if got, reasons := Judge(facts); got != test.want || !strings.Contains(strings.Join(reasons, "; "), test.says) {
			t.Errorf("%s: %s %q, want %s because %q", test.name, got, reasons, test.want, test.says)
		}
	}
}

// TestNeverRestrainedWithout: what must be so for PROVEN where nothing was to be healed, whatever else is so.
func TestNeverRestrainedWithout(t *testing.T) {
	seen := map[jenner.Verdict]int{}
	check := func(t *rapid.T) {
		outcome := rapid.SampledFrom([]jenner.ExpectedOutcome{jenner.OutcomeNoAction, jenner.OutcomeSafeStop}).Draw(t, "outcome")
		facts := drawFacts(t)
		facts.Experiment.Expect.Outcome = outcome
		facts.Experiment.Faults = []jenner.FaultSpec{{Fault: "kill"}}
		switch rapid.SampledFrom([]string{"as drawn", "it lasts", "none"}).Draw(t, "control arm") {
		case "it lasts":
			facts.Experiment.Control, facts.Control = true, &jenner.ControlArm{Bit: true, StayedBroken: true}
		case "none":
			facts.Experiment.Control, facts.Control = false, nil
		}
		facts.UndoneAt = rapid.SampledFrom([]time.Time{{}, after(20)}).Draw(t, "undone")
		facts.Stopped = rapid.SampledFrom([]time.Time{{}, after(5)}).Draw(t, "stopped")
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			facts.Changes = append(facts.Changes, Change{Service: rapid.SampledFrom([]string{"checkout", "checkout", "payments"}).Draw(t, "service"),
				At: after(rapid.SampledFrom([]int{1, 5, 9, 25}).Draw(t, "at"))})
		}
		facts.Readings = rapid.SampledFrom([][]jenner.Reading{nil, nil, {{Name: "a"}}, {{Name: "a", Broken: "b"}}, {{Name: "a", Missing: "m"}}}).Draw(t, "readings")
		verdict, reasons := Judge(facts)
		seen[verdict]++
		if !slices.Contains(jenner.Verdicts, verdict) || len(reasons) == 0 {
			t.Fatalf("verdict %q %q", verdict, reasons)
		}
		if verdict != jenner.VerdictProven && verdict != jenner.VerdictProvenSlow {
			return
		}
		while := slices.DeleteFunc(slices.Clone(facts.Changes), func(c Change) bool { return !facts.UndoneAt.IsZero() && !c.At.Before(facts.UndoneAt) })
		for missing, is := range map[string]bool{
			"a bite": facts.Bit, "its end": facts.Aborted == "", "a clean undo": facts.Residue == "", "telemetry": facts.NoTelemetry == "",
			"whole invariants":           len(facts.Readings) == 0 || facts.Readings[0].Broken == "" && facts.Readings[0].Missing == "",
			"a control arm, where asked": !facts.Experiment.Control || facts.Control != nil,
			"a control arm that stays broken": facts.Control == nil ||
				facts.Control.Bit && facts.Control.StayedBroken && !facts.Control.RecoveredAlone,
			"restraint": outcome != jenner.OutcomeNoAction || len(while) == 0,
			"a stop":    outcome != jenner.OutcomeSafeStop || !facts.Stopped.IsZero() && facts.Incident != nil,
			"restraint after the stop": outcome != jenner.OutcomeSafeStop ||
				!slices.ContainsFunc(while, func(c Change) bool { return c.At.After(facts.Stopped) || c.Service != "checkout" }),
		} {
			if !is {
				t.Fatalf("%s without %s: %+v", verdict, missing, facts)
			}
		}
	}
	for range 20 { // so much must be so at the same time that a hundred draws may hold none
		rapid.Check(t, check)
	}
	if seen[jenner.VerdictProven] == 0 || seen[jenner.VerdictHarmful] == 0 {
		t.Errorf("what was drawn is too uniform: %v", seen)
	}
}
