package decide

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// shyer draws what is at a place of the list and something at the same place or a later one.
func shyer[T any](t *rapid.T, label string, fromBoldest []T) (bold, shy T) {
	at := rapid.IntRange(0, len(fromBoldest)-1).Draw(t, label)
	return fromBoldest[at], fromBoldest[rapid.IntRange(at, len(fromBoldest)-1).Draw(t, "shyer "+label)]
}

func TestL7AStricterTierIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		stricter := in
		in.Policy.Automation, stricter.Policy.Automation = shyer(t, "automation", []jenner.Automation{"safe", "human", "never", "x"})
		neverBolder(t, tier, in, stricter)
	})
}

func TestL7ALowerRungIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		rungs := []jenner.Mode{"auto", "approve", "recommend", "shadow", "x"}
		in.Policy.Promotion = &jenner.Promotion{}
		lower, unearned := in, in
		in.Standing.Level, lower.Standing.Level = shyer(t, "level", rungs)
		neverBolder(t, mode, in, lower)
		unearned.Standing, unearned.Policy.Promotion = in.Standing, nil
		neverBolder(t, mode, unearned, in)
		ceiling := in
		in.Policy.Modes, ceiling.Policy.Modes = map[string]jenner.Mode{}, map[string]jenner.Mode{}
		in.Policy.Modes[""], ceiling.Policy.Modes[""] = shyer(t, "ceiling", rungs)
		neverBolder(t, mode, in, ceiling)
	})
}

func TestL7OneMorePlannedEventIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		more := in
		more.Planned = append(slices.Clone(in.Planned), anyPlanned(t))
		neverBolder(t, calendar, in, more)
		neverBolder(t, confidence, in, more)
		unread := in
		unread.Gaps = append(slices.Clone(in.Gaps), "maintenance cannot be read")
		neverBolder(t, calendar, in, unread)
	})
}

func TestL7ALargerLoweringIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		large := rapid.Float64Range(0, 1).Draw(t, "large")
		event := jenner.Planned{Effect: jenner.PlannedLower, From: now, Until: now.Add(time.Hour), LowerBy: rapid.Float64Range(0, large).Draw(t, "small")}
		in.Planned = append(slices.Clone(in.Planned), event)
		more := in
		more.Planned = slices.Clone(in.Planned)
		more.Planned[len(more.Planned)-1].LowerBy = rapid.SampledFrom([]float64{large, 1, 7, -1, math.NaN()}).Draw(t, "larger")
		neverBolder(t, confidence, in, more)
	})
}

func TestL7FewerRecurrencesAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		stricter := in
		times := rapid.IntRange(1, 5).Draw(t, "times")
		window := rapid.Int64Range(1, int64(time.Hour)).Draw(t, "window")
		in.Policy.Recurrence = &jenner.Recurrence{Times: times, Window: jenner.Duration(window)}
		stricter.Policy.Recurrence = &jenner.Recurrence{Times: rapid.IntRange(1, times).Draw(t, "fewer times"),
			Window: jenner.Duration(window + rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))}
		neverBolder(t, recurrence, in, stricter)
	})
}

func TestL7OneMoreFailedRunIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		one := anyEntry(t)
		one.Result = rapid.SampledFrom([]string{"failed", "failed", "", "inconclusive"}).Draw(t, "result of one more")
		more := in
		more.OfRunbook = append(slices.Clone(in.OfRunbook), one)
		neverBolder(t, breaker, in, more)
	})
}

func TestL7AStricterBreakerIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		longer := func(d jenner.Duration, label string) jenner.Duration {
			return d + jenner.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, label))
		}
		rule := jenner.Breaker{Failures: rapid.IntRange(1, 4).Draw(t, "failures"), Window: longer(1, "window"), OpenFor: longer(1, "open_for")}
		stricter := in
		in.Policy.CircuitBreaker = &rule
		stricter.Policy.CircuitBreaker = &jenner.Breaker{Failures: rapid.IntRange(1, rule.Failures).Draw(t, "fewer failures"),
			Window: longer(rule.Window, "more window"), OpenFor: longer(rule.OpenFor, "more open_for")}
		neverBolder(t, breaker, in, stricter)
	})
}

func TestL7TighterLimitsAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Limits = jenner.Limits{MaxTargetsAtOnce: rapid.IntRange(1, 6).Draw(t, "all"), MaxTargetsOfService: rapid.IntRange(1, 6).Draw(t, "one")}
		tighter := in
		tighter.Limits = jenner.Limits{MaxTargetsAtOnce: rapid.IntRange(1, in.Limits.MaxTargetsAtOnce).Draw(t, "fewer in all"),
			MaxTargetsOfService: rapid.IntRange(1, in.Limits.MaxTargetsOfService).Draw(t, "fewer of one")}
		neverBolder(t, blast, in, tighter)
		in.Policy.MaxConcurrent = rapid.IntRange(1, 4).Draw(t, "runs")
		fewer := in
		fewer.Policy.MaxConcurrent = rapid.IntRange(1, in.Policy.MaxConcurrent).Draw(t, "fewer runs")
		neverBolder(t, concurrency, in, fewer)
		unlimited := in
		unlimited.Policy.MaxConcurrent = 0
		neverBolder(t, concurrency, unlimited, in)
	})
}

// TestMorePlacesAreNeverBolder leaves out what a step says of its width, for a place may be one of those that it meant.
func TestMorePlacesAreNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		in.Steps = nil
		in.Places = append(slices.Clone(in.Places), placeOf(in))
		more := in
		more.Places = append(slices.Clone(in.Places), rapid.SampledFrom([]string{"checkout/process/b", "payments/process/c", "ledger/process/a", "x"}).Draw(t, "place"))
		neverBolder(t, blast, in, more)
		neverBolder(t, concurrency, in, more)
	})
}

func TestL7LessOfTheErrorBudgetIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		rule := jenner.BudgetRule{SLO: "availability", AskBelow: anyShare(t, "ask below"), RecommendBelow: anyShare(t, "recommend below")}
		in.Policy.ErrorBudget = &rule
		much := rapid.Float64Range(-1, 1).Draw(t, "much")
		in.Budgets = []Budget{{SLO: "availability", Left: much, Known: true}}
		less := in
		less.Budgets = []Budget{{SLO: "availability", Left: rapid.Float64Range(-1, much).Draw(t, "less"), Known: true}}
		neverBolder(t, budget, in, less)
		stricter := in
		stricter.Policy.ErrorBudget = &jenner.BudgetRule{SLO: "availability",
			AskBelow:       jenner.Share(rapid.Float64Range(float64(rule.AskBelow), 1).Draw(t, "higher ask")),
			RecommendBelow: jenner.Share(rapid.Float64Range(float64(rule.RecommendBelow), 1).Draw(t, "higher recommend"))}
		neverBolder(t, budget, in, stricter)
		without := in
		without.Policy.ErrorBudget = nil
		neverBolder(t, budget, without, in)
	})
}

func TestL7MoreSpendingIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		most := rapid.Float64Range(0, 10).Draw(t, "max")
		price := rapid.Float64Range(0, 10).Draw(t, "price")
		in.Policy.CostBudget = &jenner.CostBudget{Max: jenner.Number(most)}
		in.Runbook.Steps = []jenner.Step{{Name: "again", Cost: jenner.Number(price)}}
		dearer, poorer, spent := in, in, in
		dearer.Runbook.Steps = []jenner.Step{{Name: "again", Cost: jenner.Number(price + rapid.Float64Range(0, 5).Draw(t, "more"))}}
		neverBolder(t, cost, in, dearer)
		poorer.Policy.CostBudget = &jenner.CostBudget{Max: jenner.Number(rapid.Float64Range(0, most).Draw(t, "less"))}
		neverBolder(t, cost, in, poorer)
		spent.OfPolicy = append(slices.Clone(in.OfPolicy), anyEntry(t))
		neverBolder(t, cost, in, spent)
		odd := in
		odd.Runbook.Steps = []jenner.Step{{Name: "again", Cost: jenner.Number(rapid.SampledFrom([]float64{-1, math.NaN(), math.Inf(1)}).Draw(t, "odd"))}}
		neverBolder(t, cost, in, odd)
	})
}

func TestOneMoreOwnerIsNeverBolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		more := in
		more.Owners = append(slices.Clone(in.Owners), anyOwnership(t))
		neverBolder(t, owner, in, more)
	})
}

// anyAsking draws an input in which every guard agrees but one, which asks; what people said of it is anything.
func anyAsking(t *rapid.T) Input {
	in := crashedBut(func(in *Input) { in.Policy.Mode = jenner.ModeApprove })
	anyPeople(t, &in)
	return in
}

func TestL7WordsOfPeopleAreNeverReadTheWrongWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyAsking(t)
		one := anyVote(t)
		if one.Yes {
			more := in
			more.Votes = append(slices.Clone(in.Votes), one)
			neverBolder(t, people, more, in) // one yes less
		} else {
			more := in
			more.Votes = append(slices.Clone(in.Votes), one)
			neverBolder(t, people, in, more)
		}
		most := rapid.IntRange(1, 4).Draw(t, "need")
		few, many := in, in
		few.Policy.Approval = &jenner.Approval{Count: rapid.IntRange(1, most).Draw(t, "fewer")}
		many.Policy.Approval = &jenner.Approval{Count: most}
		neverBolder(t, people, few, many)
	})
}

func TestApprovalNeverHelpsOverAnotherGuard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		got := Decide(in)
		shyest := jenner.DecideAct
		for _, result := range got.Guards[:len(Guards)] {
			if result.Outcome.Shyness() > shyest.Shyness() {
				shyest = result.Outcome
			}
		}
		if shyest != jenner.DecideAsk && got.Outcome != shyest {
			t.Fatalf("the guards say %s, and it is decided %s", shyest, got.Outcome)
		}
		last := got.Guards[len(Guards)]
		if last.Guard != ApprovalGuard || shyest != jenner.DecideAsk && last.Outcome != jenner.DecideAct {
			t.Fatalf("the guards say %s, and the last entry is %+v", shyest, last)
		}
	})
}

func TestPeopleReachEveryOutcome(t *testing.T) {
	seen := map[jenner.DecisionOutcome]int{}
	example := rapid.Custom(anyAsking)
	for seed := range 300 {
		seen[Decide(example.Example(seed)).Outcome]++
	}
	for _, outcome := range []jenner.DecisionOutcome{jenner.DecideAct, jenner.DecideAsk, jenner.DecideRefuse} {
		if seen[outcome] < 10 {
			t.Errorf("of 300 drawn inputs %d are decided %s: too few to prove anything", seen[outcome], outcome)
		}
	}
}

// anyBeginning draws a run that is about to begin in a ledger of which everything is known.
func anyBeginning(t *rapid.T) (Input, []jenner.LedgerEntry) {
	in := crashed()
	in.Policy.Name = "any"
	in.Policy.MaxConcurrent = rapid.IntRange(0, 3).Draw(t, "max_concurrent")
	in.Siblings.Total = rapid.IntRange(1, 6).Draw(t, "total")
	in.Policy.BlastRadius, in.Runbook.Steps[0].BlastRadius = anyRadius(t, "policy"), anyRadius(t, "step")
	delete(in.Runbook.Steps[0].BlastRadius, "max_connections") // nobody says how many it would touch
	in.Limits = jenner.Limits{MaxTargetsAtOnce: rapid.IntRange(0, 8).Draw(t, "at once"), MaxTargetsOfService: rapid.IntRange(0, 5).Draw(t, "of service")}
	in.Ledger = rapid.SliceOfN(rapid.Custom(anyEntry), 0, 6).Draw(t, "ledger")
	for i := range in.Ledger {
		in.Ledger[i].ID = fmt.Sprint("e", i)
	}
	all := []string{"checkout/process/b", "checkout/process/e", "payments/process/b", "payments/process/c", "ledger/process/a"}
	in.Places = append(rapid.SliceOfN(rapid.SampledFrom(all), 0, 4).Draw(t, "places"), placeOf(in))
	var put []jenner.LedgerEntry
	for i, place := range in.Places {
		parts := strings.Split(place, "/")
		put = append(put, jenner.LedgerEntry{ID: fmt.Sprint("new", i), Kind: jenner.LedgerTouch, At: now, Until: now.Add(time.Minute), By: in.Incident.ID,
			Policy: "any", Service: parts[0], Target: jenner.TargetRef{Kind: parts[1], Name: parts[2]}})
	}
	return in, put
}

func TestL5WhereTheGuardsAgreeTheCapsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, put := anyBeginning(t)
		if blast(in).Outcome != jenner.DecideAct || concurrency(in).Outcome != jenner.DecideAct {
			return
		}
		held := slices.DeleteFunc(slices.Clone(in.Ledger), func(e jenner.LedgerEntry) bool { return !e.Holds(now) })
		if err := jenner.CheckCaps(Caps(in), held, put, now); err != nil {
			t.Fatalf("both guards agree (%s; %s), and the commit is refused: %v", blast(in).Reason, concurrency(in).Reason, err)
		}
	})
}

// TestL5WhereTheCapsHoldTheGuardsAgree keeps the caps from being narrower than what the guards count.
func TestL5WhereTheCapsHoldTheGuardsAgree(t *testing.T) {
	agreed, stopped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		in, put := anyBeginning(t)
		held := slices.DeleteFunc(slices.Clone(in.Ledger), func(e jenner.LedgerEntry) bool { return !e.Holds(now) })
		if jenner.CheckCaps(Caps(in), held, put, now) != nil {
			stopped++
			return
		}
		agreed++
		if a, b := blast(in), concurrency(in); a.Outcome != jenner.DecideAct || b.Outcome != jenner.DecideAct {
			t.Fatalf("the commit would be let through, and the guards say %s: %s; %s: %s", a.Outcome, a.Reason, b.Outcome, b.Reason)
		}
	})
	if agreed < 10 || stopped < 10 {
		t.Errorf("%d agree and %d are stopped: too few to prove anything", agreed, stopped)
	}
}
