package learn_test

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

var opened = time.Date(2026, 5, 14, 9, 0, 0, 0, time.UTC)

func healed() jenner.Incident {
	return jenner.Incident{
		ID: "i-1", Service: "shop", OpenedAt: opened,
		Alerts: []jenner.Alert{{StartsAt: opened.Add(-time.Second)}, {StartsAt: opened.Add(-3 * time.Second)}, {}},
		Diagnosis: jenner.Diagnosis{Causes: []jenner.RankedCause{{
			Cause: "crashed", Signature: "gone", Confidence: 0.9, Target: jenner.TargetRef{Kind: "process", Name: "front"},
		}}},
		Policy: jenner.Policy{Name: "crash"},
		Runs: []jenner.Run{{
			Runbook: jenner.Runbook{Name: "restart"}, State: jenner.RunCompleted, Target: jenner.TargetRef{Kind: "process", Name: "shop"},
		}},
		ActedAt: opened.Add(2 * time.Second), RecoveredAt: opened.Add(5 * time.Second),
	}
}

func TestFromIncident(t *testing.T) {
	now := opened.Add(time.Minute)
	want := jenner.Outcome{
		Incident: "i-1", Service: "shop", Cause: "crashed", Signature: "gone", Confidence: 0.9, Policy: "crash",
		Runbook: "restart", Target: jenner.TargetRef{Kind: "process", Name: "shop"}, Phase: jenner.PhaseResolved,
		Acted: true, Success: true, At: now,
		ToDetect: 3 * time.Second, ToAct: 2 * time.Second, ToRecover: 5 * time.Second,
	}
	undone := jenner.Run{Runbook: jenner.Runbook{Name: "restart"}, State: jenner.RunUndone, Target: want.Target}
	tests := map[string]struct {
		phase    jenner.Phase
		incident func(*jenner.Incident)
		outcome  func(*jenner.Outcome)
	}{
		"healed": {jenner.PhaseResolved, func(*jenner.Incident) {}, func(*jenner.Outcome) {}},
		"escalated after the undo": {jenner.PhaseEscalated,
			func(i *jenner.Incident) { i.Runs, i.RecoveredAt = []jenner.Run{undone}, time.Time{} },
			func(o *jenner.Outcome) { o.Phase, o.Success, o.Undone, o.ToRecover = "escalated", false, true, 0 }},
		"the second runbook helped": {jenner.PhaseResolved,
			func(i *jenner.Incident) { i.Runs = append([]jenner.Run{undone}, i.Runs...) },
			func(o *jenner.Outcome) { o.Undone = true }},
		"a mitigation that was taken back": {jenner.PhaseResolved,
			func(i *jenner.Incident) { i.Runs[0].State, i.Runs[0].Runbook.RevertWhen = jenner.RunUndone, "true" },
			func(*jenner.Outcome) {}},
		"a mitigation that did not help": {jenner.PhaseEscalated,
			func(i *jenner.Incident) { i.Runs[0].State, i.Runs[0].Runbook.RevertWhen = jenner.RunUndone, "true" },
			func(o *jenner.Outcome) { o.Phase, o.Success, o.Undone, o.ToRecover = "escalated", false, true, 0 }},
		"it went away by itself": {jenner.PhaseResolved,
			func(i *jenner.Incident) { i.Runs, i.ActedAt, i.RecoveredAt = nil, time.Time{}, time.Time{} },
			func(o *jenner.Outcome) {
				o.Runbook, o.Target.Name, o.Acted, o.Success, o.ToAct, o.ToRecover = "", "front", false, false, 0, time.Minute
			}},
		"a clock that went back": {jenner.PhaseResolved,
			func(i *jenner.Incident) { i.ActedAt, i.RecoveredAt = opened.Add(-time.Hour), opened.Add(-time.Minute) },
			func(o *jenner.Outcome) { o.ToAct, o.ToRecover = 0, 0 }},
		"nothing is known of it": {jenner.PhaseSuppressed,
			func(i *jenner.Incident) { *i = jenner.Incident{ID: "i-1", Service: "shop", OpenedAt: opened} },
			func(o *jenner.Outcome) {
				*o = jenner.Outcome{Incident: "i-1", Service: "shop", Phase: jenner.PhaseSuppressed, At: now}
			}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			incident, want := healed(), want
			test.incident(&incident)
			test.outcome(&want)
			if got := learn.FromIncident(incident, test.phase, now); got != want {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

func TestProofFrom(t *testing.T) {
	shop := jenner.Service{Name: "shop", Tier: 1}
	restart := jenner.Runbook{Name: "restart", Steps: []jenner.Step{{Name: "again", Action: "restart"}}}
	docs := &jenner.Documents{Services: []jenner.Service{shop}, Runbooks: []jenner.Runbook{restart}}
	experiment := jenner.Experiment{Name: "crash", Service: "shop", Expect: jenner.Expectation{Runbook: "restart"}}
	drill := jenner.Drill{
		ID: "d-1", Experiment: experiment, EndedAt: opened,
		Injected: []jenner.FaultRecord{{Fault: "process.kill", Service: shop}, {Fault: "http.latency", Service: jenner.Service{Name: "moon"}}},
		Result:   jenner.DrillResult{Verdict: jenner.VerdictProven, Runbook: "restart"},
	}
	proofs := learn.ProofFrom(drill, docs)
	if len(proofs) != 2 {
		t.Fatalf("%d proofs, want one for each fault", len(proofs))
	}
	got := proofs[0]
	if got.Fault != "process.kill" || got.Service != "shop" || got.Runbook != "restart" || got.Drill != "d-1" ||
		got.Verdict != jenner.VerdictProven || got.Experiment != "crash" || !got.At.Equal(opened) {
		t.Errorf("the proof is %+v", got)
	}
	if got.Versions["experiment"] != jenner.Hash(experiment) || got.Versions["service"] != jenner.Hash(shop) ||
		got.Versions["runbook"] != jenner.Hash(restart) || len(got.Versions) != 3 {
		t.Errorf("the versions are %v", got.Versions)
	}
	if proofs[1].Fault != "http.latency" || proofs[1].Service != "shop" {
		t.Errorf("the proof is about the fault on the moon and the service that was healed, not %+v", proofs[1])
	}
	drill.Result.Target = "moon"
	if version, has := learn.ProofFrom(drill, docs)[0].Versions["service"]; has {
		t.Errorf("a service that nobody describes has the version %q", version)
	}

	drill.Result = jenner.DrillResult{Verdict: jenner.VerdictNotRemediated}
	if got := learn.ProofFrom(drill, docs); len(got) != 2 || got[0].Runbook != "restart" || got[0].Verdict != jenner.VerdictNotRemediated {
		t.Errorf("nothing ran, so the verdict is about the expected runbook: %+v", got)
	}
	drill.Experiment.Expect.Runbook = ""
	if got := learn.ProofFrom(drill, docs); got != nil {
		t.Errorf("a proof about no runbook: %+v", got)
	}
}
