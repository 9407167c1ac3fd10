package decide

import (
	"math"

	"github.com/jenner-heal/jenner"
)

// budget is bolder the more of an SLO's error budget is left: below ask_below a person is asked, below recommend_below it
// only says what it would do. A budget that nobody knows asks, for missing data is never good news.
func budget(in Input) jenner.GuardResult {
	rule := in.Policy.ErrorBudget
	if rule == nil {
		return agree(nil, "no error budget is asked for")
	}
	askBelow, recommendBelow := float64(rule.AskBelow), float64(rule.RecommendBelow)
	saw := numbers{"slo": rule.SLO, "ask_below": figure(askBelow), "recommend_below": figure(recommendBelow)}
	if !isConfidence(jenner.Confidence(askBelow)) || !isConfidence(jenner.Confidence(recommendBelow)) {
		return refuse(saw, "ask_below %s and recommend_below %s must be shares from 0 to 1", figure(askBelow), figure(recommendBelow))
	}
	left, why := leftOf(in.Budgets, rule.SLO)
	if why != "" {
		return leave(saw, "nobody knows what is left of the error budget of %s: %s", rule.SLO, why)
	}
	saw["left"] = figure(left)
	switch {
	case left < recommendBelow:
		short, limit := figures(left, recommendBelow)
		return recommend(saw, "%s of the error budget of %s is left, and below %s nothing is done by itself", short, rule.SLO, limit)
	case left < askBelow:
		short, limit := figures(left, askBelow)
		return leave(saw, "%s of the error budget of %s is left, and below %s a person is asked", short, rule.SLO, limit)
	}
	return agree(saw, "%s of the error budget of %s is left", figure(left), rule.SLO)
}

// leftOf is what is left of an SLO's budget, the least where it is there several times; or why nobody knows.
func leftOf(budgets []Budget, slo string) (left float64, why string) {
	left, why = math.Inf(1), "it is not measured"
	for _, one := range budgets {
		if one.SLO != slo {
			continue
		}
		switch {
		case !one.Known && one.Why != "":
			return 0, one.Why
		case !one.Known:
			return 0, "it cannot be measured"
		case math.IsNaN(one.Left) || math.IsInf(one.Left, 0):
			return 0, "what was measured is " + figure(one.Left)
		}
		left, why = min(left, one.Left), ""
	}
	return left, why
}
