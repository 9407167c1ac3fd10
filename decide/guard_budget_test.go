package decide

import (
	"math"
	"testing"

	"github.com/jenner-heal/jenner"
)

func TestBudget(t *testing.T) {
	left := func(budgets ...Budget) Input {
		return crashedBut(func(in *Input) {
			in.Policy.ErrorBudget = &jenner.BudgetRule{SLO: "availability", AskBelow: 0.5, RecommendBelow: 0.1}
			in.Budgets = budgets
		})
	}
	of := func(share float64) Budget { return Budget{SLO: "availability", Left: share, Known: true} }
	odd := left(of(1))
	odd.Policy.ErrorBudget.AskBelow = jenner.Share(math.NaN())
	const unknown = "nobody knows what is left of the error budget of availability: "
	check(t, budget, []said{
		{"not asked for", crashed(), jenner.DecideAct, "no error budget is asked for", 0, nil},
		{"enough", left(of(0.5)), jenner.DecideAct, "0.5 of the error budget of availability is left", 0,
			numbers{"slo": "availability", "left": "0.5", "ask_below": "0.5", "recommend_below": "0.1"}},
		{"little", left(of(0.4999999)), jenner.DecideAsk, "0.4999999 of the error budget of availability is left, and below 0.5 a person is asked", 0, nil},
		{"little, to the edge", left(of(0.1)), jenner.DecideAsk, "0.1 of the error budget of availability is left, and below 0.5 a person is asked", 0, nil},
		{"next to nothing", left(of(0.05)), jenner.DecideRecommend,
			"0.05 of the error budget of availability is left, and below 0.1 nothing is done by itself", 0, nil},
		{"overdrawn", left(of(-2)), jenner.DecideRecommend,
			"-2 of the error budget of availability is left, and below 0.1 nothing is done by itself", 0, numbers{"left": "-2"}},
		{"not measured", left(), jenner.DecideAsk, unknown + "it is not measured", 0, nil},
		{"another SLO's", left(Budget{SLO: "latency", Left: 1, Known: true}), jenner.DecideAsk, unknown + "it is not measured", 0, nil},
		{"no data", left(Budget{SLO: "availability", Left: 1, Why: "no samples in 30d"}), jenner.DecideAsk, unknown + "no samples in 30d", 0, nil},
		{"no data and no word why", left(Budget{SLO: "availability", Left: 1}), jenner.DecideAsk, unknown + "it cannot be measured", 0, nil},
		{"no number", left(of(math.NaN())), jenner.DecideAsk, unknown + "what was measured is NaN", 0, nil},
		{"infinitely much", left(of(math.Inf(1))), jenner.DecideAsk, unknown + "what was measured is +Inf", 0, nil},
		{"the least of two", left(of(1), of(0.2)), jenner.DecideAsk, "0.2 of the error budget of availability is left, and below 0.5 a person is asked", 0, nil},
		{"the least of two, in the other order", left(of(0.2), of(1)), jenner.DecideAsk,
			"0.2 of the error budget of availability is left, and below 0.5 a person is asked", 0, nil},
		{"a limit that is no share", odd, jenner.DecideRefuse, "ask_below NaN and recommend_below 0.1 must be shares from 0 to 1", 0, nil},
	})
}
