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

// anything draws an input in which every guard may agree or not.
func anything(t *rapid.T) Input {
	in := crashed()
	in.Policy = jenner.Policy{
		Name: "any", IncidentType: "crashed",
		Mode:                rapid.SampledFrom([]jenner.Mode{"auto", "auto", "auto", "approve", "recommend", "shadow", "", "x"}).Draw(t, "mode"),
		ConfidenceThreshold: jenner.Confidence(rapid.SampledFrom([]float64{0, 0.5, 0.9, 1, math.NaN()}).Draw(t, "threshold")),
		MaxAttempts:         rapid.IntRange(-1, 5).Draw(t, "max_attempts"),
		AttemptsResetAfter:  anyDuration(t, "reset"),
		CooldownAfterAction: anyDuration(t, "cooldown"),
		AlertExpiresAfter:   anyDuration(t, "expires"),
		RequiresProof:       anyDuration(t, "requires_proof"),
		BlastRadius:         anyRadius(t, "policy"),
	}
	if rapid.Bool().Draw(t, "min_healthy?") {
		limit := anyLimit(t, "min_healthy")
		in.Policy.MinHealthy = &limit
	}
	in.Runbook.Steps[0].BlastRadius = anyRadius(t, "step")
	in.Cause.Confidence = jenner.Confidence(rapid.SampledFrom([]float64{0, 0.5, 0.9, 0.95, 1, math.NaN()}).Draw(t, "confidence"))
	in.Cause.Cause = rapid.SampledFrom([]jenner.Cause{"crashed", "crashed", "crashed", "hung", "data-corruption"}).Draw(t, "cause")
	in.Alerts = rapid.SliceOfN(rapid.Custom(anyAlert), 0, 3).Draw(t, "alerts")
	in.Dependencies = rapid.SliceOfN(rapid.Custom(anyDependency), 0, 3).Draw(t, "dependencies")
	in.Holds = rapid.SliceOfN(rapid.Custom(anyHold), 0, 2).Draw(t, "holds")
	in.Ledger = rapid.SliceOfN(rapid.Custom(anyEntry), 0, 6).Draw(t, "ledger")
	in.Siblings = Siblings{rapid.IntRange(0, 6).Draw(t, "total"), rapid.IntRange(0, 6).Draw(t, "healthy")}
	in.Steps = rapid.SliceOfN(rapid.Custom(anySize), 0, 3).Draw(t, "sizes")
	in.Versions = map[string]string{"service": "s1"}
	in.Proofs = rapid.SliceOfN(rapid.Custom(anyProof), 0, 3).Draw(t, "proofs")
	in.TelemetryAge = rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(t, "telemetry_age")
	return in
}

var lengths = []time.Duration{0, time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 11 * time.Minute, time.Hour}

func anyDuration(t *rapid.T, label string) jenner.Duration {
	return jenner.Duration(rapid.SampledFrom(lengths).Draw(t, label))
}

func anyTime(t *rapid.T, label string) time.Time {
	return before(rapid.SampledFrom(lengths).Draw(t, label))
}

func anyLimit(t *rapid.T, label string) jenner.Limit {
	var limit jenner.Limit
	if rapid.Bool().Draw(t, label+" share?") {
		limit = share(rapid.Float64Range(0, 1).Draw(t, label+" share"))
	}
	if rapid.Bool().Draw(t, label+" count?") {
		limit.Count = count(rapid.IntRange(0, 6).Draw(t, label+" count")).Count
	}
	return limit
}

func anyRadius(t *rapid.T, label string) jenner.BlastRadius {
	radius := jenner.BlastRadius{}
	for _, unit := range []string{"max_targets", "max_connections"} {
		if rapid.Bool().Draw(t, label+unit+"?") {
			radius[unit] = anyLimit(t, label+unit)
		}
	}
	return radius
}

func anyAlert(t *rapid.T) jenner.Alert {
	return jenner.Alert{
		Status:   rapid.SampledFrom([]jenner.AlertStatus{jenner.Firing, jenner.Firing, jenner.Resolved}).Draw(t, "status"),
		StartsAt: anyTime(t, "began"), SeenAt: anyTime(t, "seen"),
	}
}

func anyDependency(t *rapid.T) Dependency {
	statuses := []jenner.ProbeStatus{jenner.ProbePassing, jenner.ProbeSlow, jenner.ProbeFailing, jenner.ProbeUnknown, ""}
	return Dependency{
		Service: rapid.SampledFrom([]string{"payments", "ledger"}).Draw(t, "service"),
		Status:  rapid.SampledFrom(statuses).Draw(t, "status"), SeenAt: anyTime(t, "seen"),
		Firing: rapid.Bool().Draw(t, "firing"), External: rapid.Bool().Draw(t, "external"),
	}
}

func anyHold(t *rapid.T) jenner.Hold {
	return jenner.Hold{
		Scope: rapid.SampledFrom([]string{jenner.HoldAll, "checkout", "payments"}).Draw(t, "scope"), By: "ann", At: before(time.Hour),
		Until: rapid.SampledFrom([]time.Time{{}, before(time.Second), now.Add(time.Minute)}).Draw(t, "until"),
	}
}

func anyEntry(t *rapid.T) jenner.LedgerEntry {
	at := anyTime(t, "at")
	kinds := []jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerFault, jenner.LedgerHealth}
	return jenner.LedgerEntry{
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: at,
		Until:   rapid.SampledFrom([]time.Time{{}, at, now.Add(time.Minute)}).Draw(t, "until"),
		Service: rapid.SampledFrom([]string{"checkout", "checkout", "payments"}).Draw(t, "service"),
		Target:  jenner.TargetRef{Kind: "process", Name: rapid.SampledFrom([]string{"checkout", "b", "c", "d"}).Draw(t, "target")},
		Runbook: rapid.SampledFrom([]string{"restart", "drain"}).Draw(t, "runbook"), Cause: "crashed",
	}
}

func anySize(t *rapid.T) StepSize {
	return StepSize{
		Step: rapid.SampledFrom([]string{"again", "other"}).Draw(t, "step"),
		Unit: rapid.SampledFrom([]string{"targets", "connections"}).Draw(t, "unit"),
		Want: rapid.IntRange(0, 6).Draw(t, "want"), Total: rapid.IntRange(0, 6).Draw(t, "total"),
	}
}

func anyProof(t *rapid.T) jenner.Proof {
	return jenner.Proof{Service: "checkout", Runbook: "restart", At: anyTime(t, "at"),
		Verdict:  rapid.SampledFrom(jenner.Verdicts).Draw(t, "verdict"),
		Versions: map[string]string{"service": rapid.SampledFrom([]string{"s0", "s1"}).Draw(t, "version")}}
}

// neverBolder fails where the change makes a guard, or the decision, bolder than it was.
func neverBolder(t *rapid.T, guard func(Input) jenner.GuardResult, was, is Input) {
	a, b := guard(was), guard(is)
	if b.Outcome.Shyness() < a.Outcome.Shyness() {
		t.Fatalf("it became bolder: from %s (%s) to %s (%s)", a.Outcome, a.Reason, b.Outcome, b.Reason)
	}
	if before, after := Decide(was), Decide(is); after.Outcome.Shyness() < before.Outcome.Shyness() {
		t.Fatalf("the decision became bolder: from %s to %s", before.Outcome, after.Outcome)
	}
}

func TestDecisionIsTheShyestOfItsGuardsAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		got := Decide(in)
		shyest, latest := 0, time.Time{}
		for _, result := range got.Guards {
			shyest = max(shyest, result.Outcome.Shyness())
			latest = later(latest, result.RetryAt)
			if result.Outcome == jenner.DecideWait && !result.RetryAt.After(now) {
				t.Fatalf("guard %s waits until %s, which is not after now", result.Guard, result.RetryAt)
			}
			if result.Reason == "" {
				t.Fatalf("guard %s gives no reason", result.Guard)
			}
		}
		if len(got.Guards) != len(Guards) || got.Outcome.Shyness() != shyest {
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

func TestOlderAlertsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		older := in
		older.Alerts = slices.Clone(in.Alerts)
		by := rapid.SampledFrom(lengths).Draw(t, "by")
		for i := range older.Alerts {
			older.Alerts[i].StartsAt = in.Alerts[i].StartsAt.Add(-by)
			older.Alerts[i].SeenAt = in.Alerts[i].SeenAt.Add(-by)
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
	guards := map[string]func(Input) jenner.GuardResult{"cooldown": cooldown, "attempts": attempts, "blast": blast}
	for name, guard := range guards {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				in := anything(t)
				entry := anyEntry(t)
				entry.Kind = rapid.SampledFrom([]jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerFault}).Draw(t, "kind of one more")
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
	for _, guard := range Guards {
		seen[guard.Name] = map[jenner.DecisionOutcome]bool{}
	}
	example := rapid.Custom(anything)
	for seed := range 1000 {
		for _, result := range Decide(example.Example(seed)).Guards {
			seen[result.Guard][result.Outcome] = true
		}
	}
	for guard, want := range map[string][]jenner.DecisionOutcome{
		"hold": {"act", "wait"}, "tier": {"act", "refuse"}, "mode": {"act", "ask", "recommend", "refuse"},
		"confidence": {"act", "wait", "refuse"}, "freshness": {"act", "wait", "refuse"}, "dependency": {"act", "wait"},
		"cooldown": {"act", "wait"}, "attempts": {"act", "refuse"}, "blast": {"act", "wait", "refuse"}, "proof": {"act", "ask"},
	} {
		for _, outcome := range want {
			if !seen[guard][outcome] {
				t.Errorf("in a thousand drawn inputs guard %s never says %s", guard, outcome)
			}
		}
	}
}
