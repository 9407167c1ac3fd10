package decide

import (
	"math"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func TestCost(t *testing.T) {
	priced := func(max float64, spent []jenner.LedgerEntry, costs ...float64) Input {
		return crashedBut(func(in *Input) {
			in.Policy.CostBudget, in.OfPolicy, in.Runbook.Steps = &jenner.CostBudget{Max: jenner.Number(max)}, spent, nil
			for _, cost := range costs {
				in.Runbook.Steps = append(in.Runbook.Steps, jenner.Step{Name: "grow", Cost: jenner.Number(cost)})
			}
		})
	}
	spent := func(ago time.Duration, cost float64) jenner.LedgerEntry { e := did(ago); e.Cost = cost; return e }
	list := func(entries ...jenner.LedgerEntry) []jenner.LedgerEntry { return entries }
	touch, failed := spent(time.Hour, 5), spent(time.Hour, 5)
	touch.Kind, failed.Result = jenner.LedgerTouch, "failed"
	unlimited := priced(0, nil, 4)
	unlimited.Policy.CostBudget = nil
	short := priced(10, list(spent(time.Hour, 5)), 6)
	short.Policy.CostBudget.Window = jenner.Duration(time.Hour)
	check(t, cost, []said{
		{"nothing", priced(0, list(spent(time.Hour, 5))), jenner.DecideAct, "restart costs nothing", 0, numbers{"cost": "0"}},
		{"no budget", unlimited, jenner.DecideAct, "restart costs 4, and the policy has no cost budget", 0, nil},
		{"enough", priced(10, list(spent(time.Hour, 5)), 2, 3), jenner.DecideAct,
			"restart costs 5, 5 was spent within 1d, and the policy allows 10", 0, numbers{"cost": "5", "spent": "5", "max": "10", "window": "1d"}},
		{"enough, to the penny", priced(0.3, list(spent(time.Hour, 0.1)), 0.2), jenner.DecideAct,
			"restart costs 0.2, 0.1 was spent within 1d, and the policy allows 0.3", 0, nil},
		{"too much", priced(10, list(spent(time.Hour, 5)), 2, 4), jenner.DecideAsk,
			"restart costs 6, which would make 11 within 1d, and the policy allows 10", 0, nil},
		{"by itself too much", priced(10, nil, 11), jenner.DecideAsk, "restart costs 11, which would make 11 within 1d, and the policy allows 10", 0, nil},
		{"what failed was paid for too", priced(10, list(failed), 6), jenner.DecideAsk,
			"restart costs 6, which would make 11 within 1d, and the policy allows 10", 0, nil},
		{"a run is paid for once", priced(10, list(touch), 6), jenner.DecideAct, "restart costs 6, 0 was spent within 1d, and the policy allows 10", 0, nil},
		{"a day ago", priced(10, list(spent(24*time.Hour, 5)), 6), jenner.DecideAct, "restart costs 6, 0 was spent within 1d, and the policy allows 10", 0, nil},
		{"as the policy says", short, jenner.DecideAct, "restart costs 6, 0 was spent within 1h, and the policy allows 10", 0, nil},
		{"a cost below zero", priced(10, nil, 5, -3), jenner.DecideRefuse, "step grow says that it costs -3; a cost is a number of 0 or more", 0, nil},
		{"a cost that is no number", priced(10, nil, math.NaN()), jenner.DecideRefuse, "step grow says that it costs NaN; a cost is a number of 0 or more", 0, nil},
		{"a budget that is no number", priced(math.NaN(), nil, 1), jenner.DecideRefuse, "the cost budget NaN is not a number of 0 or more", 0, nil},
		{"nobody knows what was spent", priced(10, list(spent(time.Hour, math.NaN())), 1), jenner.DecideAsk,
			"nobody knows what was spent within 1d: an earlier run has no cost that is a number of 0 or more", 0, nil},
		{"nobody earns by healing", priced(10, list(spent(time.Hour, -50)), 1), jenner.DecideAsk,
			"nobody knows what was spent within 1d: an earlier run has no cost that is a number of 0 or more", 0, nil},
	})
}
