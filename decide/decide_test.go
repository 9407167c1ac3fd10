package decide

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

func TestDecideActsWhereEveryGuardAgrees(t *testing.T) {
	got := Decide(crashed())
	if got.Outcome != jenner.DecideAct || !got.RetryAt.IsZero() {
		t.Fatalf("decided %s, retry at %s; stopped by %+v", got.Outcome, got.RetryAt, got.Stopper())
	}
	var names []string
	for _, result := range got.Guards {
		names = append(names, result.Guard)
	}
	want := []string{"hold", "tier", "mode", "confidence", "signal", "freshness", "dependency", "calendar",
		"cooldown", "attempts", "recurrence", "breaker", "concurrency", "blast", "budget", "cost", "owner", "proof", "approval"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the guards that were asked (-want +got):\n%s", diff)
	}
	got.Guards = nil
	if diff := cmp.Diff(jenner.Decision{At: now, Outcome: jenner.DecideAct, Policy: "crash", Runbook: "restart",
		Service: "checkout", Target: checkout}, got); diff != "" {
		t.Errorf("the decision (-want +got):\n%s", diff)
	}
}

func TestDecideHealsWhatChaosBroke(t *testing.T) {
	in := crashedBut(func(in *Input) {
		one := count(1)
		in.Ledger = []jenner.LedgerEntry{taken(jenner.LedgerFault, "checkout", "checkout")}
		in.Policy.BlastRadius = jenner.BlastRadius{"max_targets": one}
		in.Policy.MinHealthy = &one
	})
	if got := Decide(in); got.Outcome != jenner.DecideAct {
		t.Errorf("decided %s: %s", got.Outcome, got.Stopper().Reason)
	}
}

func TestDecideAsksAllGuardsEvenAfterARefusal(t *testing.T) {
	in := crashedBut(func(in *Input) {
		in.Policy.Mode = jenner.ModeShadow
		in.Cause.Confidence = 0.5
		in.Ledger = []jenner.LedgerEntry{did(time.Minute)}
	})
	got := Decide(in)
	if got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "mode" || !got.RetryAt.IsZero() {
		t.Errorf("decided %s by %s, retry at %s; want refuse by mode, and no retry", got.Outcome, got.Stopper().Guard, got.RetryAt)
	}
	said := map[string]jenner.DecisionOutcome{}
	for _, result := range got.Guards {
		said[result.Guard] = result.Outcome
	}
	if len(said) != len(Guards)+1 || said["confidence"] != jenner.DecideWait || said["cooldown"] != jenner.DecideWait {
		t.Errorf("the other guards said %v", said)
	}
}

func TestDecideWaitsForTheLatest(t *testing.T) {
	in := crashedBut(func(in *Input) {
		in.Cause.Confidence = 0.5                          // 1 s
		in.Ledger = []jenner.LedgerEntry{did(time.Minute)} // 4 min
	})
	if got := Decide(in); got.Outcome != jenner.DecideWait || got.RetryAt.Sub(now) != 4*time.Minute {
		t.Errorf("decided %s, retry after %s; want wait, 4m", got.Outcome, got.RetryAt.Sub(now))
	}
}

func TestDecideNamesThePolicyByItsIncidentType(t *testing.T) {
	in := crashedBut(func(in *Input) { in.Policy.Name = "" })
	if got := Decide(in); got.Policy != "crashed" {
		t.Errorf("the policy is called %q", got.Policy)
	}
}

func TestAGuardThatTalksNonsenseStops(t *testing.T) {
	says := func(result jenner.GuardResult) []Guard {
		return []Guard{{"odd", func(Input) jenner.GuardResult { return result }}}
	}
	if got := decideBy(says(jenner.GuardResult{Outcome: "perhaps", Reason: "x"}), crashed()); got.Outcome != jenner.DecideRefuse ||
		got.Stopper().Reason != `the guard said "perhaps", which nobody knows; x` {
		t.Errorf("decided %s: %s", got.Outcome, got.Stopper().Reason)
	}
	if got := decideBy(says(jenner.GuardResult{}), crashed()); got.Outcome != jenner.DecideRefuse {
		t.Errorf("a guard that says nothing: %s, want refuse", got.Outcome)
	}
	past := jenner.GuardResult{Outcome: jenner.DecideWait, RetryAt: before(time.Hour)}
	if got := decideBy(says(past), crashed()); got.RetryAt.Sub(now) != time.Second {
		t.Errorf("a wait that is over at once comes back after %s, want 1s", got.RetryAt.Sub(now))
	}
	act := jenner.GuardResult{Outcome: jenner.DecideAct, RetryAt: now.Add(time.Hour)}
	if got := decideBy(says(act), crashed()); !got.RetryAt.IsZero() {
		t.Errorf("a guard that agrees makes it wait until %s", got.RetryAt)
	}
}
