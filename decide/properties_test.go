package decide

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// neverBolder fails where the change makes a guard, or the decision, bolder than it was.
func neverBolder(t *rapid.T, guard func(Input) jenner.GuardResult, was, is Input) {
	a, b := guard(was), guard(is)
	if b.Outcome.Shyness() < a.Outcome.Shyness() {
		t.Fatalf("it became bolder: from %s (%s) to %s (%s)", a.Outcome, a.Reason, b.Outcome, b.Reason)
	}
	before, after := Decide(was), Decide(is)
	if before.Stopper().Guard == ApprovalGuard && after.Outcome.Shyness() > jenner.DecideAsk.Shyness() {
		return // people had said no; now they are not even asked
	}
	if after.Outcome.Shyness() < before.Outcome.Shyness() {
		t.Fatalf("the decision became bolder: from %s to %s", before.Outcome, after.Outcome)
	}
}

func TestDecisionIsTheShyestOfItsGuardsAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		got := Decide(in)
		shyest, latest := 0, time.Time{}
		for _, result := range got.Guards {
			if result.Guard == ApprovalGuard && shyest == jenner.DecideAsk.Shyness() {
				shyest = result.Outcome.Shyness() // it has the last word where a person is asked
			}
			shyest = max(shyest, result.Outcome.Shyness())
			latest = later(latest, result.RetryAt)
			if result.Outcome == jenner.DecideWait && !result.RetryAt.After(now) {
				t.Fatalf("guard %s waits until %s, which is not after now", result.Guard, result.RetryAt)
			}
			if result.Reason == "" {
				t.Fatalf("guard %s gives no reason", result.Guard)
			}
		}
		if len(got.Guards) != len(Guards)+1 || got.Outcome.Shyness() != shyest {
			t.Fatalf("decided %s after %d guards; the shyest of %d is %d", got.Outcome, len(got.Guards), len(Guards), shyest)
		}
		if got.Outcome == jenner.DecideWait && !got.RetryAt.Equal(latest) || got.Outcome != jenner.DecideWait && !got.RetryAt.IsZero() {
			t.Fatalf("decided %s, retry at %s; the latest wait is until %s", got.Outcome, got.RetryAt, latest)
		}
		if diff := cmp.Diff(got, Decide(in)); diff != "" {
			t.Fatalf("decided again, it is another decision:\n%s", diff)
		}
	})
}

func TestL7LowerConfidenceIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		high := rapid.Float64Range(0, 1).Draw(t, "high")
		low := rapid.Float64Range(0, high).Draw(t, "low")
		in.Cause.Confidence = jenner.Confidence(high)
		less := in
		less.Cause.Confidence = jenner.Confidence(low)
		neverBolder(t, confidence, in, less)
		less.Cause.Confidence = jenner.Confidence(math.NaN())
		neverBolder(t, confidence, in, less)
	})
}

func TestAHigherThresholdIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		high := rapid.Float64Range(0.001, 1).Draw(t, "high")
		in.Policy.ConfidenceThreshold = jenner.Confidence(rapid.Float64Range(0.001, high).Draw(t, "low"))
		stricter := in
		stricter.Policy.ConfidenceThreshold = jenner.Confidence(high)
		neverBolder(t, confidence, in, stricter)
	})
}

func TestAHoldAlwaysStops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		one := jenner.Hold{Scope: rapid.SampledFrom([]string{jenner.HoldAll, "checkout"}).Draw(t, "scope"), At: now, By: "ann"}
		in.Holds = append(slices.Clone(in.Holds), one)
		if got := Decide(in); got.Outcome.Shyness() < jenner.DecideWait.Shyness() {
			t.Fatalf("held by %s, and decided %s", one.Scope, got.Outcome)
		}
	})
}

func TestMoreHoldsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		more := in
		more.Holds = append(slices.Clone(in.Holds), anyHold(t))
		neverBolder(t, hold, in, more)
	})
}

func TestAShyerModeIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		bold := rapid.IntRange(0, len(jenner.Modes)-1).Draw(t, "bold")
		in.Policy.Mode = jenner.Modes[bold]
		shyer := in
		shyer.Policy.Mode = jenner.Modes[rapid.IntRange(0, bold).Draw(t, "shy")]
		neverBolder(t, mode, in, shyer)
	})
}

func TestNeverAutomaticCausesAreRefusedWhateverElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Cause.Cause = jenner.Cause(rapid.SampledFrom(neverAutomatic).Draw(t, "cause"))
		if got := Decide(in); got.Outcome != jenner.DecideRefuse {
			t.Fatalf("decided %s for %s", got.Outcome, in.Cause.Cause)
		}
	})
}

// TestL8AnAlertThatNobodyVouchesForStartsNothing: whoever looks may have died, and nobody knows whether it still fires.
func TestL8AnAlertThatNobodyVouchesForStartsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		for i := range in.Alerts {
			in.Alerts[i].ValidUntil = anyTime(t, "vouched until")
		}
		if got := Decide(in); got.Outcome.Shyness() < jenner.DecideWait.Shyness() {
			t.Fatalf("nobody vouches for %+v, and decided %s", in.Alerts, got.Outcome)
		}
	})
}

func TestAShorterVouchIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		shorter := in
		in.Alerts, shorter.Alerts = slices.Clone(in.Alerts), slices.Clone(in.Alerts)
		for i := range in.Alerts {
			until := now.Add(rapid.SampledFrom(lengths).Draw(t, "until"))
			in.Alerts[i].ValidUntil = until
			shorter.Alerts[i].ValidUntil = until.Add(-rapid.SampledFrom(lengths).Draw(t, "less"))
		}
		neverBolder(t, freshness, in, shorter)
	})
}

func TestOlderAlertsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		older := in
		older.Alerts = slices.Clone(in.Alerts)
		by := rapid.SampledFrom(lengths).Draw(t, "by")
		for i := range older.Alerts {
			older.Alerts[i].StartsAt = in.Alerts[i].StartsAt.Add(-by)
			older.Alerts[i].SeenAt = in.Alerts[i].SeenAt.Add(-by)
			if !in.Alerts[i].ValidUntil.IsZero() {
				older.Alerts[i].ValidUntil = in.Alerts[i].ValidUntil.Add(-by)
			}
		}
		a, b := freshness(in), freshness(older)
		if b.Outcome.Shyness() < a.Outcome.Shyness() {
			t.Fatalf("alerts older by %s: from %s (%s) to %s (%s)", by, a.Outcome, a.Reason, b.Outcome, b.Reason)
		}
	})
}

func TestWithoutAFiringAlertNothingIsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Alerts = slices.Clone(in.Alerts)
		for i := range in.Alerts {
			in.Alerts[i].Status = jenner.Resolved
		}
		if got := Decide(in); got.Outcome.Shyness() < jenner.DecideWait.Shyness() {
			t.Fatalf("no alert fires, and decided %s", got.Outcome)
		}
	})
}

func TestOneMoreDependencyIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		more := in
		more.Dependencies = append(slices.Clone(in.Dependencies), anyDependency(t))
		neverBolder(t, dependency, in, more)
	})
}

func TestADependencyThatFailsAlwaysStops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		down := anyDependency(t)
		down.External, down.Status = false, rapid.SampledFrom([]jenner.ProbeStatus{jenner.ProbeFailing, jenner.ProbeUnknown}).Draw(t, "down")
		in.Dependencies = append(slices.Clone(in.Dependencies), down)
		if got := Decide(in); got.Outcome.Shyness() < jenner.DecideWait.Shyness() {
			t.Fatalf("%+v, and decided %s", down, got.Outcome)
		}
	})
}

// TestMoreInTheLedgerIsNeverBolder holds for actions and faults; verified health is there to make bolder.
func TestMoreInTheLedgerIsNeverBolder(t *testing.T) {
	guards := map[string]func(Input) jenner.GuardResult{"cooldown": cooldown, "attempts": attempts, "recurrence": recurrence,
		"concurrency": concurrency, "blast": blast}
	for name, guard := range guards {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				in := anything(t)
				entry := anyEntry(t)
				entry.Kind = rapid.SampledFrom([]jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerFault, jenner.LedgerTouch}).Draw(t, "kind of one more")
				more := in
				more.Ledger = append(slices.Clone(in.Ledger), entry)
				neverBolder(t, guard, in, more)
				if guard(more).RetryAt.Before(guard(in).RetryAt) && guard(more).Outcome == jenner.DecideWait {
					t.Fatalf("it waits shorter with one more entry")
				}
			})
		})
	}
}

func TestALongerCooldownIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Policy.CooldownAfterAction = jenner.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "short"))
		longer := in
		longer.Policy.CooldownAfterAction += jenner.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))
		neverBolder(t, cooldown, in, longer)
	})
}

func TestFewerAllowedAttemptsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Policy.MaxAttempts = rapid.IntRange(1, 6).Draw(t, "many")
		fewer := in
		fewer.Policy.MaxAttempts = rapid.IntRange(1, in.Policy.MaxAttempts).Draw(t, "few")
		neverBolder(t, attempts, in, fewer)
	})
}

func TestL15ALongerResetIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Policy.AttemptsResetAfter = jenner.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "short"))
		longer := in
		longer.Policy.AttemptsResetAfter += jenner.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))
		neverBolder(t, attempts, in, longer)
	})
}

func TestALargerBlastIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Steps = append(slices.Clone(in.Steps), anySize(t))
		larger := in
		larger.Steps = slices.Clone(in.Steps)
		larger.Steps[len(larger.Steps)-1].Want += rapid.IntRange(0, 5).Draw(t, "more")
		neverBolder(t, blast, in, larger)
	})
}

func TestFewerHealthySiblingsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		fewer := in
		fewer.Siblings.Healthy = rapid.IntRange(0, in.Siblings.Healthy).Draw(t, "fewer healthy")
		neverBolder(t, blast, in, fewer)
	})
}

func TestL5TheCapsHoldWhateverIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		all := share(1)
		in.Policy.BlastRadius, in.Siblings.Total = jenner.BlastRadius{"max_targets": all}, 1000
		in.Ledger = nil
		ofService := rapid.IntRange(0, 6).Draw(t, "of the service")
		elsewhere := rapid.IntRange(0, 12).Draw(t, "elsewhere")
		for i := range ofService {
			in.Ledger = append(in.Ledger, taken(jenner.LedgerFault, "checkout", fmt.Sprint("other", i)))
		}
		for i := range elsewhere {
			in.Ledger = append(in.Ledger, taken(jenner.LedgerAction, fmt.Sprint("service", i), "a"))
		}
		got := blast(in)
		if bold := got.Outcome == jenner.DecideAct; bold && (ofService+1 > 3 || ofService+elsewhere+1 > 10) {
			t.Fatalf("acts with %d of the service and %d elsewhere taken", ofService, elsewhere)
		}
	})
}

func TestFewerProofsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Proofs = append(slices.Clone(in.Proofs), anyProof(t))
		in.Proofs[len(in.Proofs)-1].Verdict = jenner.VerdictProven
		fewer := in
		fewer.Proofs = in.Proofs[:len(in.Proofs)-1]
		neverBolder(t, proof, in, fewer)
		changed := in
		changed.Versions = map[string]string{"service": "s2"}
		neverBolder(t, proof, in, changed)
	})
}

// TestAnythingReachesEveryOutcome keeps the properties above from being true of nothing.
func TestAnythingReachesEveryOutcome(t *testing.T) {
	seen := map[string]map[jenner.DecisionOutcome]bool{}
	for _, guard := range append(slices.Clone(Guards), Guard{Name: ApprovalGuard}) {
		seen[guard.Name] = map[jenner.DecisionOutcome]bool{}
	}
	example := rapid.Custom(anything)
	for seed := range 1000 {
		for _, result := range Decide(example.Example(seed)).Guards {
			seen[result.Guard][result.Outcome] = true
		}
	}
	for guard, want := range map[string][]jenner.DecisionOutcome{
		"hold": {"act", "wait"}, "tier": {"act", "ask", "refuse"}, "mode": {"act", "ask", "recommend", "refuse"},
		"confidence": {"act", "wait", "refuse"}, "freshness": {"act", "wait", "refuse"}, "dependency": {"act", "wait"},
		"calendar": {"act", "ask", "wait"}, "cooldown": {"act", "wait"}, "attempts": {"act", "refuse"}, "recurrence": {"act", "refuse"},
		"breaker": {"act", "wait", "refuse"}, "concurrency": {"act", "wait", "refuse"}, "blast": {"act", "wait", "refuse"},
		"budget": {"act", "ask", "recommend"}, "cost": {"act", "ask", "refuse"}, "owner": {"act", "refuse"}, "proof": {"act", "ask"},
	} {
		for _, outcome := range want {
			if !seen[guard][outcome] {
				t.Errorf("in a thousand drawn inputs guard %s never says %s", guard, outcome)
			}
		}
	}
}
