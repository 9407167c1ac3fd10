package decide

import (
	"math"
	"time"

	"github.com/jenner-heal/jenner"
)

// DefaultCostWindow is the time within which the costs of a policy's runs are added up, where it does not say.
const DefaultCostWindow = 24 * time.Hour

// cost asks a person where the run would cost more than is left of the policy's cost budget: a person may allow the
// spending. What a run costs is the sum of what its steps say, and counts whether it helped or not. A cost below zero, or
// one that is no number, refuses.
func cost(in Input) jenner.GuardResult {
	price := 0.0
	for _, step := range in.Runbook.Steps {
		if !isAmount(float64(step.Cost)) {
			return refuse(numbers{"cost": figure(float64(step.Cost))}, "step %s says that it costs %s; a cost is a number of 0 or more",
				step.Name, figure(float64(step.Cost)))
		}
		price += float64(step.Cost)
	}
	saw := numbers{"cost": figure(price)}
	rule := in.Policy.CostBudget
	switch {
	case price == 0:
		return agree(saw, "%s costs nothing", in.Runbook.Name)
	case rule == nil:
		return agree(saw, "%s costs %s, and the policy has no cost budget", in.Runbook.Name, figure(price))
	}
	window := rule.Window.Or(DefaultCostWindow)
	spent, known := spentWithin(in, window)
	saw["spent"], saw["max"], saw["window"] = figure(spent), figure(float64(rule.Max)), lasting(window)
	switch whole, most := figures(spent+price, float64(rule.Max)); {
	case !isAmount(float64(rule.Max)):
		return refuse(saw, "the cost budget %s is not a number of 0 or more", most)
	case !known:
		return leave(saw, "nobody knows what was spent within %s: an earlier run has no cost that is a number of 0 or more",
			lasting(window))
	case cents(spent+price) > cents(float64(rule.Max)):
		return leave(saw, "%s costs %s, which would make %s within %s, and the policy allows %s",
			in.Runbook.Name, figure(price), whole, lasting(window), most)
	}
	return agree(saw, "%s costs %s, %s was spent within %s, and the policy allows %s",
		in.Runbook.Name, figure(price), figure(spent), lasting(window), figure(float64(rule.Max)))
}

// spentWithin adds up what the policy's runs cost that began within the window.
func spentWithin(in Input, window time.Duration) (spent float64, known bool) {
	for _, entry := range in.OfPolicy {
		if entry.Kind != jenner.LedgerAction || !entry.At.After(in.Now.Add(-window)) {
			continue
		}
		if !isAmount(entry.Cost) {
			return spent, false
		}
		spent += entry.Cost
	}
	return spent, true
}

// isAmount is false for NaN and infinity too.
func isAmount(f float64) bool { return f >= 0 && !math.IsInf(f, 0) }

// cents undoes binary fractions: 0.1+0.2 is 0.30000000000000004.
func cents(f float64) float64 { return math.Round(f * 1e6) }
