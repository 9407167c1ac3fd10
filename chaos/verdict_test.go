package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// proven are the facts of a drill in which everything went as it should. Each test spoils them.
func proven() Facts {
	return Facts{
		Experiment: jenner.Experiment{Name: "crash", Service: "checkout", Control: true,
			Faults: []jenner.FaultSpec{{Fault: "kill", Target: "checkout"}},
			Expect: jenner.Expectation{DetectedWithin: jenner.Duration(2 * time.Second), Cause: "crashed", Runbook: "restart",
				RecoveredWithin: jenner.Duration(5 * time.Second)}},
		Control: &jenner.ControlArm{Done: true, Bit: true, StayedBroken: true, Note: "still broken"},
		Bit:     true, Witness: "pid 1 is gone", InjectedAt: noon, Recovered: after(3), Removed: true, Touched: []string{"checkout"},
		Incident: &jenner.Incident{ID: "i", Service: "checkout", OpenedAt: after(1), ActedAt: after(2), RecoveredAt: after(3),
			Diagnosis: jenner.Diagnosis{Root: "checkout", Causes: []jenner.RankedCause{{Cause: "crashed", Service: "checkout"}}},
			Runs:      []jenner.Run{{Runbook: jenner.Runbook{Name: "restart"}}}},
	}
}

// incident spoils the incident without spoiling the one of proven.
func incident(change func(*jenner.Incident)) func(*Facts) {
	return func(f *Facts) { change(f.Incident) }
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Facts)
		want  jenner.Verdict
		says  string
	}{
		{"all is as it should be", func(*Facts) {}, jenner.VerdictProven, "pid 1 is gone; healed by restart on checkout which removed the fault"},
		{"while the fault still held", func(f *Facts) { f.Removed, f.Armed = false, true }, jenner.VerdictProven, "while the fault still held"},
		{"without a control arm", func(f *Facts) { f.Experiment.Control, f.Control = false, nil }, jenner.VerdictProven, ""},
		{"another target, as expected", func(f *Facts) {
			f.Experiment.Expect.Target, f.Touched, f.Incident.Diagnosis.Root = "ledger", []string{"ledger"}, "ledger"
		}, jenner.VerdictProven, "on ledger"},
		{"recovered late", func(f *Facts) { f.Recovered = after(6) }, jenner.VerdictProvenSlow, "recovered after 6s, expected within 5s"},
		{"detected late", incident(func(i *jenner.Incident) { i.OpenedAt = after(3) }), jenner.VerdictProvenSlow, "detected after 3s, expected within 2s"},
		{"as late as allowed", func(f *Facts) { f.Recovered = after(5) }, jenner.VerdictProven, ""},
		{"it recovers alone", func(f *Facts) { f.Control.StayedBroken, f.Control.RecoveredAlone = false, true }, jenner.VerdictNotNeeded, "by itself"},
		{"nothing broken, nothing done", func(f *Facts) { f.Experiment.Faults, f.Touched = nil, nil }, jenner.VerdictNotNeeded, "nothing was done"},
		{"it did not recover", func(f *Facts) { f.Recovered = time.Time{} }, jenner.VerdictNotRemediated, "not steady again in time: the runbook restart ran"},
		{"nobody noticed", func(f *Facts) { f.Recovered, f.Incident = time.Time{}, nil }, jenner.VerdictNotRemediated, "no incident was opened"},
		{"it recovered without an act", incident(func(i *jenner.Incident) { i.ActedAt = time.Time{} }), jenner.VerdictNotRemediated, "not by a remediation"},
		{"a guard refused", func(f *Facts) {
			f.Recovered, f.Incident.ActedAt = time.Time{}, time.Time{}
			f.Incident.Decisions = []jenner.Decision{{Outcome: jenner.DecideAsk, Guards: []jenner.GuardResult{{Guard: "mode", Outcome: jenner.DecideAsk, Reason: "approve"}}}}
		}, jenner.VerdictNotRemediated, "guard mode: approve"},
		{"its first step failed", incident(func(i *jenner.Incident) {
			i.ActedAt, i.Runs[0].Error, i.Decisions = time.Time{}, "step back: no earlier revision", []jenner.Decision{{Outcome: jenner.DecideAct}}
		}), jenner.VerdictNotRemediated, "restart began and changed nothing: step back: no earlier revision"},
		{"another cause", incident(func(i *jenner.Incident) { i.Diagnosis.Causes[0].Cause = "hung" }), jenner.VerdictNotRemediated, "taken for hung"},
		{"no cause", incident(func(i *jenner.Incident) { i.Diagnosis.Causes = nil }), jenner.VerdictNotRemediated, "not crashed"},
		{"another runbook", incident(func(i *jenner.Incident) { i.Runs[0].Runbook.Name = "drain" }), jenner.VerdictNotRemediated, "runbook drain ran, not restart"},
		{"another service was touched", func(f *Facts) { f.Touched = []string{"checkout", "payments"} }, jenner.VerdictHarmful, "touched payments"},
		{"the act was on another one", incident(func(i *jenner.Incident) { i.Diagnosis.Root = "payments" }), jenner.VerdictHarmful, "acted on payments"},
		{"nothing broken, and something done", func(f *Facts) { f.Experiment.Faults = nil }, jenner.VerdictHarmful, "nothing was broken, and yet"},
		{"it never bit", func(f *Facts) { f.Bit = false }, jenner.VerdictNoEffect, "no witness"},
		{"it never bit in the control arm", func(f *Facts) { f.Control.Bit = false }, jenner.VerdictNoEffect, "no witness"},
		{"the fault ended by itself", func(f *Facts) { f.Removed = false }, jenner.VerdictInconclusive, "ended by itself"},
		{"no telemetry", func(f *Facts) { f.NoTelemetry = "the store was shut" }, jenner.VerdictInconclusive, "telemetry was missing: the store was shut"},
		{"no telemetry and nothing broken", func(f *Facts) { f.Experiment.Faults, f.Touched, f.NoTelemetry = nil, nil, "blind" }, jenner.VerdictInconclusive, "blind"},
		{"the control arm shows nothing", func(f *Facts) { f.Control.StayedBroken = false }, jenner.VerdictInconclusive, "does not show"},
		{"the control arm was not run", func(f *Facts) { f.Control = nil }, jenner.VerdictInconclusive, "was not run"},
		{"stopped", func(f *Facts) { f.Aborted = "ann stopped Jenner" }, jenner.VerdictAborted, "ann stopped Jenner"},
		{"something is left", func(f *Facts) { f.Residue = "a rule" }, jenner.VerdictResidue, "a rule"},
	}
	reached := map[jenner.Verdict]bool{}
	for _, test := range tests {
		facts := proven()
		test.spoil(&facts)
		got, reasons := Judge(facts)
		reached[got] = true
		if got != test.want || !strings.Contains(strings.Join(reasons, "; "), test.says) {
			t.Errorf("%s: %s %q, want %s because %q", test.name, got, reasons, test.want, test.says)
		}
	}
	for _, verdict := range jenner.Verdicts {
		if !reached[verdict] {
			t.Errorf("no row reaches %s", verdict)
		}
	}
}

// TestTheOrderOfTheQuestions: what spoils the experiment is asked before harm, and harm before success.
func TestTheOrderOfTheQuestions(t *testing.T) {
	spoils := []struct {
		want  jenner.Verdict
		spoil func(*Facts)
	}{
		{jenner.VerdictResidue, func(f *Facts) { f.Residue = "a rule" }},
		{jenner.VerdictAborted, func(f *Facts) { f.Aborted = "stopped" }},
		{jenner.VerdictInconclusive, func(f *Facts) { f.NoTelemetry = "blind" }},
		{jenner.VerdictNoEffect, func(f *Facts) { f.Bit = false }},
		{jenner.VerdictHarmful, func(f *Facts) { f.Touched = append(f.Touched, "payments") }},
		{jenner.VerdictNotNeeded, func(f *Facts) { f.Control.RecoveredAlone = true }},
		{jenner.VerdictNotRemediated, func(f *Facts) { f.Recovered = time.Time{} }},
		{jenner.VerdictInconclusive, func(f *Facts) { f.Removed = false }},
		{jenner.VerdictNotRemediated, incident(func(i *jenner.Incident) { i.Runs[0].Runbook.Name = "drain" })},
		{jenner.VerdictProvenSlow, incident(func(i *jenner.Incident) { i.OpenedAt = after(9) })},
	}
	for i, one := range spoils {
		for j := i; j < len(spoils); j++ {
			facts := proven()
			spoils[j].spoil(&facts)
			one.spoil(&facts)
			if got, reasons := Judge(facts); got != one.want {
				t.Errorf("question %d and %d: %s %q, want %s", i, j, got, reasons, one.want)
			}
		}
	}
}

func drawFacts(t *rapid.T) Facts {
	yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
	text := func(name string) string { return rapid.SampledFrom([]string{"", "", "", "why"}).Draw(t, name) }
	at := func(name string) time.Time {
		return rapid.SampledFrom([]time.Time{{}, after(1), after(3), after(9)}).Draw(t, name)
	}
	facts := proven()
	facts.Residue, facts.Aborted, facts.NoTelemetry = text("residue"), text("aborted"), text("telemetry")
	facts.Bit, facts.Removed, facts.Armed = yes("bit"), yes("removed"), yes("armed")
	facts.Recovered = at("recovered")
	facts.Touched = rapid.SliceOf(rapid.SampledFrom([]string{"checkout", "checkout", "payments"})).Draw(t, "touched")
	facts.Experiment.Control = yes("wants control")
	if yes("no faults") {
		facts.Experiment.Faults = nil
	}
	facts.Control = nil
	if yes("control") {
		facts.Control = &jenner.ControlArm{Done: true, Bit: yes("control bit"), StayedBroken: yes("stayed"), RecoveredAlone: yes("alone")}
	}
	facts.Incident.ActedAt, facts.Incident.OpenedAt = at("acted"), at("opened")
	facts.Incident.Diagnosis.Root = rapid.SampledFrom([]string{"", "checkout", "payments"}).Draw(t, "root")
	facts.Incident.Diagnosis.Causes[0].Cause = rapid.SampledFrom([]jenner.Cause{"crashed", "hung"}).Draw(t, "cause")
	switch {
	case yes("no incident"):
		facts.Incident = nil
	case yes("no run"):
		facts.Incident.Runs = nil
	}
	return facts
}

// TestNeverProvenWithout: what must be there for PROVEN and PROVEN_SLOW, whatever else is so.
func TestNeverProvenWithout(t *testing.T) {
	good, seen := []jenner.Verdict{jenner.VerdictProven, jenner.VerdictProvenSlow}, map[jenner.Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		facts := drawFacts(t)
		verdict, reasons := Judge(facts)
		seen[verdict]++
		if !slices.Contains(jenner.Verdicts, verdict) || len(reasons) == 0 {
			t.Fatalf("verdict %q %q", verdict, reasons)
		}
		if !slices.Contains(good, verdict) {
			return
		}
		acted := facts.Incident != nil && !facts.Incident.ActedAt.IsZero()
		for missing, is := range map[string]bool{
			"a bite":                     facts.Bit,
			"an incident that acted":     acted,
			"the expected runbook":       acted && facts.Incident.Run() != nil && facts.Incident.Run().Runbook.Name == "restart",
			"a recovery":                 !facts.Recovered.IsZero(),
			"a clean undo":               facts.Residue == "",
			"its end":                    facts.Aborted == "",
			"telemetry":                  facts.NoTelemetry == "",
			"a fault":                    len(facts.Experiment.Faults) > 0,
			"hands off all others":       !slices.Contains(facts.Touched, "payments") && facts.Incident.Diagnosis.Root != "payments",
			"a fault that was overcome":  facts.Armed || facts.Removed,
			"a control arm, where asked": !facts.Experiment.Control || facts.Control != nil,
			"a control arm that stays broken": facts.Control == nil ||
				facts.Control.Bit && facts.Control.StayedBroken && !facts.Control.RecoveredAlone,
		} {
			if !is {
				t.Fatalf("%s without %s: %+v", verdict, missing, facts)
			}
		}
	})
	if seen[jenner.VerdictResidue] == 0 || seen[jenner.VerdictHarmful] == 0 {
		t.Errorf("what was drawn is too uniform: %v", seen)
	}
}
