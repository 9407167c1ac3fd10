package decide

import (
	"math"
	"time"

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
	anyBrakes(t, &in)
	anyPeople(t, &in)
	return in
}

// anyBrakes draws what the guards look at that stand behind a policy's optional keys.
func anyBrakes(t *rapid.T, in *Input) {
	some := func(name string, set func()) {
		if rapid.Bool().Draw(t, name+"?") {
			set()
		}
	}
	in.Policy.Automation = rapid.SampledFrom([]jenner.Automation{"", "", "safe", "safe", "human", "never", "x"}).Draw(t, "automation")
	some("promotion", func() {
		in.Policy.Promotion = &jenner.Promotion{Start: anyMode(t, "start")}
		in.Standing = jenner.Standing{Level: anyMode(t, "level")}
	})
	in.Policy.MaxConcurrent = rapid.IntRange(0, 2).Draw(t, "max_concurrent")
	some("breaker", func() {
		in.Policy.CircuitBreaker = &jenner.Breaker{Failures: rapid.IntRange(0, 3).Draw(t, "failures"),
			Window: anyDuration(t, "window"), OpenFor: anyDuration(t, "open_for")}
	})
	some("recurrence", func() {
		in.Policy.Recurrence = &jenner.Recurrence{Times: rapid.IntRange(0, 3).Draw(t, "times"), Window: anyDuration(t, "within")}
	})
	some("error_budget", func() {
		in.Policy.ErrorBudget = &jenner.BudgetRule{SLO: "availability", AskBelow: anyShare(t, "ask"), RecommendBelow: anyShare(t, "tell")}
	})
	some("cost_budget", func() {
		in.Policy.CostBudget = &jenner.CostBudget{Max: anyAmount(t, "max"), Window: anyDuration(t, "spent_in")}
	})
	in.Runbook.Steps[0].Cost = anyAmount(t, "cost")
	in.Planned = rapid.SliceOfN(rapid.Custom(anyPlanned), 0, 2).Draw(t, "planned")
	in.Gaps = rapid.SliceOfN(rapid.Just("campaigns cannot be read"), 0, 1).Draw(t, "gaps")
	in.OfRunbook = rapid.SliceOfN(rapid.Custom(anyEntry), 0, 5).Draw(t, "of runbook")
	in.OfPolicy = rapid.SliceOfN(rapid.Custom(anyEntry), 0, 3).Draw(t, "of policy")
	in.Budgets = rapid.SliceOfN(rapid.Custom(anyBudget), 0, 2).Draw(t, "budgets")
	in.Owners = rapid.SliceOfN(rapid.Custom(anyOwnership), 0, 2).Draw(t, "owners")
	in.Places = rapid.SampledFrom([][]string{nil, {"checkout/process/checkout"}, {"checkout/process/checkout", "checkout/process/b"},
		{"payments/process/b", "checkout/process/checkout", "payments/process/b"}, {"checkout/process/b"},
		{"checkout/process/checkout", "checkout//"}}).Draw(t, "places")
	in.Limits = jenner.Limits{MaxTargetsAtOnce: rapid.IntRange(0, 4).Draw(t, "at once"), MaxTargetsOfService: rapid.IntRange(0, 3).Draw(t, "of service")}
}

// anyPeople draws who was asked and what they said.
func anyPeople(t *rapid.T, in *Input) {
	in.Version = "v1"
	if rapid.Bool().Draw(t, "approval?") {
		in.Policy.Approval = &jenner.Approval{Count: rapid.IntRange(-1, 3).Draw(t, "count"),
			By: rapid.SampledFrom([][]string{nil, {"owner"}}).Draw(t, "by")}
		in.Approvers = rapid.SampledFrom([][]string{nil, {"ann"}, {"ann", "bob"}}).Draw(t, "approvers")
	}
	if rapid.Bool().Draw(t, "asked?") {
		asked := anyTime(t, "asked at")
		in.Request = jenner.Request{ID: "i1/a1", At: asked, Expires: asked.Add(30 * time.Minute), Service: "checkout", Target: checkout,
			Runbook: rapid.SampledFrom([]string{"restart", "restart", "restart", "drain"}).Draw(t, "asked about"),
			Version: rapid.SampledFrom([]string{"v1", "v1", "v1", "v0"}).Draw(t, "asked version"),
			Closed:  rapid.SampledFrom([]jenner.RequestEnd{"", "", "", "granted", "rejected", "expired", "withdrawn"}).Draw(t, "closed")}
	}
	in.Votes = rapid.SliceOfN(rapid.Custom(anyVote), 0, 4).Draw(t, "votes")
	if rapid.IntRange(0, 4).Draw(t, "ran?") == 0 {
		in.Incident.Runs = []jenner.Run{{Runbook: jenner.Runbook{Name: "restart"}, Target: checkout, StartedAt: anyTime(t, "ran at")}}
	}
}

var lengths = []time.Duration{0, time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 11 * time.Minute, time.Hour}

func anyDuration(t *rapid.T, label string) jenner.Duration {
	return jenner.Duration(rapid.SampledFrom(lengths).Draw(t, label))
}

func anyTime(t *rapid.T, label string) time.Time {
	return before(rapid.SampledFrom(lengths).Draw(t, label))
}

func anyMode(t *rapid.T, label string) jenner.Mode {
	return rapid.SampledFrom([]jenner.Mode{"", "shadow", "recommend", "approve", "auto", "auto", "x"}).Draw(t, label)
}

func anyShare(t *rapid.T, label string) jenner.Share {
	return jenner.Share(rapid.SampledFrom([]float64{0, 0.25, 0.5, 1}).Draw(t, label))
}

func anyAmount(t *rapid.T, label string) jenner.Number {
	return jenner.Number(rapid.SampledFrom([]float64{0, 0, 0.1, 1, 5, 10, -1, math.NaN(), math.Inf(1)}).Draw(t, label))
}

func anyPlanned(t *rapid.T) jenner.Planned {
	return jenner.Planned{Calendar: "campaigns", Summary: rapid.SampledFrom([]string{"sale", "newsletter"}).Draw(t, "summary"),
		From: anyTime(t, "from"), Until: rapid.SampledFrom([]time.Time{now, now.Add(time.Second), now.Add(time.Hour)}).Draw(t, "until"),
		Services: rapid.SampledFrom([]jenner.Selector{{}, {Names: []string{"payments"}}}).Draw(t, "services"),
		Effect:   rapid.SampledFrom([]jenner.PlannedEffect{"lower", "lower", "approve", "freeze", "x"}).Draw(t, "effect"),
		LowerBy:  rapid.SampledFrom([]float64{0, 0.05, 0.5, 1, 2, math.NaN()}).Draw(t, "lower_by")}
}

func anyBudget(t *rapid.T) Budget {
	return Budget{SLO: rapid.SampledFrom([]string{"availability", "availability", "latency"}).Draw(t, "slo"),
		Left:  rapid.SampledFrom([]float64{-1, 0, 0.1, 0.3, 0.6, 1, math.NaN()}).Draw(t, "left"),
		Known: rapid.IntRange(0, 3).Draw(t, "known") > 0}
}

func anyOwnership(t *rapid.T) Ownership {
	return Ownership{Step: "again", Service: "checkout", Target: checkout,
		Controller: rapid.SampledFrom([]string{"", "argocd", "operator"}).Draw(t, "controller"),
		Through:    rapid.SampledFrom([]string{"", "argocd"}).Draw(t, "through")}
}

func anyVote(t *rapid.T) jenner.Vote {
	vote := jenner.Vote{Request: "i1/a1", Person: rapid.SampledFrom([]string{"ann", "bob", "cyd", ""}).Draw(t, "person"),
		Yes: rapid.IntRange(0, 3).Draw(t, "yes") > 0, At: rapid.SampledFrom([]time.Time{before(time.Hour), before(time.Second), now, now.Add(time.Hour)}).Draw(t, "said at")}
	if rapid.IntRange(0, 3).Draw(t, "ahead?") == 0 {
		vote.Request, vote.Service, vote.Runbook = "", "checkout", rapid.SampledFrom([]string{"restart", "drain"}).Draw(t, "ahead of")
		vote.Until = rapid.SampledFrom([]time.Time{now, now.Add(time.Hour)}).Draw(t, "vote until")
	}
	return vote
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
	alert := jenner.Alert{
		Status:   rapid.SampledFrom([]jenner.AlertStatus{jenner.Firing, jenner.Firing, jenner.Resolved}).Draw(t, "status"),
		StartsAt: anyTime(t, "began"), SeenAt: anyTime(t, "seen"),
	}
	if rapid.IntRange(0, 3).Draw(t, "taken?") == 0 {
		alert.ValidUntil = now.Add(rapid.SampledFrom([]time.Duration{-time.Minute, 0, time.Second, time.Minute}).Draw(t, "valid"))
	}
	return alert
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
	kinds := []jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerAction, jenner.LedgerFault, jenner.LedgerHealth, jenner.LedgerTouch}
	return jenner.LedgerEntry{
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: at,
		Until:   rapid.SampledFrom([]time.Time{{}, at, now.Add(time.Minute)}).Draw(t, "until"),
		Service: rapid.SampledFrom([]string{"checkout", "checkout", "payments"}).Draw(t, "service"),
		Target:  jenner.TargetRef{Kind: "process", Name: rapid.SampledFrom([]string{"checkout", "b", "c", "d"}).Draw(t, "target")},
		Runbook: rapid.SampledFrom([]string{"restart", "drain"}).Draw(t, "runbook"),
		Cause:   rapid.SampledFrom([]jenner.Cause{"crashed", "crashed", "Crashed", "hung"}).Draw(t, "caused by"),
		By:      rapid.SampledFrom([]string{"i0", "i1", "i2"}).Draw(t, "by"), Policy: rapid.SampledFrom([]string{"any", "other"}).Draw(t, "policy"),
		Result: rapid.SampledFrom([]string{"", "passed", "failed", "failed", "inconclusive"}).Draw(t, "result"),
		Cost:   rapid.SampledFrom([]float64{0, 0.2, 3, -1, math.NaN()}).Draw(t, "cost"),
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
