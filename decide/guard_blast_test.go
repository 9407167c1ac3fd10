package decide

import (
	"fmt"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// of is the service with so many targets, others of which are taken.
func of(total int, limit *jenner.Limit, entries ...jenner.LedgerEntry) Input {
	return crashedBut(func(in *Input) {
		in.Siblings, in.Ledger = Siblings{Total: total, Healthy: total - 1}, entries
		if limit != nil {
			in.Policy.BlastRadius = jenner.BlastRadius{"max_targets": *limit}
		}
	})
}

func TestL5AnEmptyTargetIsNeverEveryTarget(t *testing.T) {
	empty := crashedBut(func(in *Input) { in.Target = jenner.TargetRef{} })
	half := crashedBut(func(in *Input) { in.Target.Name = "" })
	nobody := crashedBut(func(in *Input) { in.Service.Name = "" })
	check(t, blast, []said{
		{"empty", empty, jenner.DecideRefuse, `the target "" of service "checkout" is not fully named, and an empty target is never every target`, 0, nil},
		{"a kind only", half, jenner.DecideRefuse, `the target "process/" of service "checkout" is not fully named, and an empty target is never every target`, 0, nil},
		{"no service", nobody, jenner.DecideRefuse, `the target "process/checkout" of service "" is not fully named, and an empty target is never every target`, 0, nil},
	})
	if got := Decide(empty); got.Outcome != jenner.DecideRefuse {
		t.Errorf("decided %s for an empty target", got.Outcome)
	}
}

func TestBlastTargets(t *testing.T) {
	third, two := share(1.0/3), count(2)
	fault := func(name string) jenner.LedgerEntry { return taken(jenner.LedgerFault, "checkout", name) }
	action := func(name string) jenner.LedgerEntry { return taken(jenner.LedgerAction, "checkout", name) }
	given := fault("b")
	given.Until = before(time.Second)
	check(t, targetsOfService, []said{
		{"alone", of(3, nil), jenner.DecideAct, "1 of 3 targets of checkout wanted, 0 others taken, 3 allowed at once", 0,
			numbers{"targets_total": "3", "targets_taken": "0", "targets_wanted": "1", "targets_allowed": "3"}},
		{"a third of three, and a fault has it", of(3, &third, fault("b")), jenner.DecideWait,
			"1 of 3 targets of checkout wanted, 1 others taken, 1 allowed at once", time.Second, nil},
		{"remediation counts as chaos does", of(3, &third, action("b")), jenner.DecideWait,
			"1 of 3 targets of checkout wanted, 1 others taken, 1 allowed at once", time.Second, nil},
		{"given back", of(3, &third, given), jenner.DecideAct, "1 of 3 targets of checkout wanted, 0 others taken, 1 allowed at once", 0, nil},
		{"the fault on the target itself is the trouble", of(1, &third, fault("checkout")), jenner.DecideAct,
			"1 of 1 targets of checkout wanted, 0 others taken, 1 allowed at once", 0, nil},
		{"taken twice is taken once", of(4, &two, fault("b"), action("b")), jenner.DecideAct,
			"1 of 4 targets of checkout wanted, 1 others taken, 2 allowed at once", 0, nil},
		{"another service's", of(3, &third, taken(jenner.LedgerFault, "payments", "b")), jenner.DecideAct,
			"1 of 3 targets of checkout wanted, 0 others taken, 1 allowed at once", 0, nil},
		{"the cap holds whatever the policy says", func() Input {
			many := count(50)
			return of(100, &many, fault("b"), fault("c"), fault("d"))
		}(), jenner.DecideWait, "1 of 100 targets of checkout wanted, 3 others taken, 3 allowed at once", time.Second, nil},
		{"a limit of nothing", func() Input { none := count(0); return of(3, &none) }(), jenner.DecideRefuse,
			"1 of 3 targets of checkout wanted, 0 others taken, 0 allowed at once", 0, nil},
		{"a share of an unknown whole", of(0, &third), jenner.DecideRefuse,
			"1 of 0 targets of checkout wanted, 0 others taken, 0 allowed at once", 0, nil},
		{"a step's own limit", crashedBut(func(in *Input) {
			in.Siblings.Total = 10
			in.Ledger = []jenner.LedgerEntry{fault("b")}
			in.Runbook.Steps[0].BlastRadius = jenner.BlastRadius{"max_targets": count(1)}
		}), jenner.DecideWait, "1 of 10 targets of checkout wanted, 1 others taken, 1 allowed at once", time.Second, nil},
		{"a wide step", crashedBut(func(in *Input) {
			in.Siblings.Total = 10
			in.Steps = []StepSize{{Step: "again", Unit: "targets", Want: 4, Total: 10}}
		}), jenner.DecideRefuse, "4 of 10 targets of checkout wanted, 0 others taken, 3 allowed at once", 0, nil},
	})
}

func TestBlastCapOfTheWholeLedger(t *testing.T) {
	var entries []jenner.LedgerEntry
	for i := range jenner.DefaultMaxTargetsAtOnce {
		entries = append(entries, taken(jenner.LedgerAction, fmt.Sprint("service", i), "a"))
	}
	check(t, targetsAtOnce, []said{
		{"nine others", of(1, nil, entries[1:]...), jenner.DecideAct, "1 wanted in all, 9 others taken, 10 allowed at once", 0, nil},
		{"ten others", of(1, nil, entries...), jenner.DecideWait, "1 wanted in all, 10 others taken, 10 allowed at once", time.Second, nil},
	})
	if got := blast(of(1, nil, entries...)); got.Outcome != jenner.DecideWait {
		t.Errorf("the guard does not ask for the cap: %s", got.Outcome)
	}
}

func TestBlastLimitsOfTheFiles(t *testing.T) {
	limited := func(atOnce, ofService int, entries ...jenner.LedgerEntry) Input {
		return crashedBut(func(in *Input) {
			in.Siblings.Total, in.Ledger = 10, entries
			in.Limits = jenner.Limits{MaxTargetsAtOnce: atOnce, MaxTargetsOfService: ofService}
		})
	}
	b, db := taken(jenner.LedgerTouch, "checkout", "b"), taken(jenner.LedgerFault, "payments", "db")
	two := count(2)
	policyToo := limited(0, 5, b)
	policyToo.Policy.BlastRadius = jenner.BlastRadius{"max_targets": two}
	check(t, targetsOfService, []said{
		{"fewer than the default", limited(0, 1, b), jenner.DecideWait, "1 of 10 targets of checkout wanted, 1 others taken, 1 allowed at once", time.Second, nil},
		{"more than the default", limited(0, 5, b), jenner.DecideAct, "1 of 10 targets of checkout wanted, 1 others taken, 5 allowed at once", 0, nil},
		{"the smaller of files and policy", policyToo, jenner.DecideAct, "1 of 10 targets of checkout wanted, 1 others taken, 2 allowed at once", 0, nil},
	})
	check(t, targetsAtOnce, []said{
		{"in all", limited(2, 0, b, db), jenner.DecideWait, "1 wanted in all, 2 others taken, 2 allowed at once", time.Second,
			numbers{"all_taken": "2", "all_wanted": "1", "all_allowed": "2"}},
	})
}

func TestBlastCountsAllThatTheRunWouldTouch(t *testing.T) {
	touching := func(places []string, entries ...jenner.LedgerEntry) Input {
		return crashedBut(func(in *Input) { in.Siblings.Total, in.Places, in.Ledger = 10, places, entries })
	}
	const own, b, db, cache = "checkout/process/checkout", "checkout/process/b", "payments/process/db", "payments/process/cache"
	mine := run("i1", "checkout", "b")
	odd := func(place string) Input { return touching([]string{own, place}) }
	unnamed := func(place string) string {
		return `"` + place + `" among the targets of restart is not fully named (SERVICE/KIND/NAME), and an empty target is never every target`
	}
	check(t, targetsOfService, []said{
		{"each once", touching([]string{own, b, own, db}), jenner.DecideAct, "2 of 10 targets of checkout wanted, 0 others taken, 3 allowed at once", 0, nil},
		{"what it holds already is not counted twice", touching([]string{own, b}, mine), jenner.DecideAct,
			"2 of 10 targets of checkout wanted, 0 others taken, 3 allowed at once", 0, nil},
		{"more than ever fits", touching([]string{own, b, "checkout/process/c", "checkout/process/d"}), jenner.DecideRefuse,
			"4 of 10 targets of checkout wanted, 0 others taken, 3 allowed at once", 0, nil},
	})
	check(t, targetsAtOnce, []said{
		{"of all services", touching([]string{own, b, db, cache}, taken(jenner.LedgerFault, "gateway", "a")), jenner.DecideAct,
			"4 wanted in all, 1 others taken, 10 allowed at once", 0, nil},
	})
	wide := touching([]string{own, db})
	wide.Steps = []StepSize{{Step: "again", Unit: "targets", Want: 3, Total: 10}}
	check(t, targetsAtOnce, []said{{"a wide step and another service", wide, jenner.DecideAct, "4 wanted in all, 0 others taken, 10 allowed at once", 0, nil}})
	if parts := targetsElsewhere(touching([]string{own, b})); len(parts) != 0 {
		t.Errorf("the service itself counts as another one: %+v", parts)
	}
	full := touching([]string{own, db, cache}, taken(jenner.LedgerTouch, "payments", "a"), taken(jenner.LedgerFault, "payments", "b"))
	check(t, blast, []said{
		{"another service's cap", full, jenner.DecideWait, "2 targets of payments wanted, 2 others taken, 3 allowed at once", time.Second,
			numbers{"payments_wanted": "2", "payments_taken": "2", "payments_allowed": "3"}},
		{"a place without a target", odd("payments/process/"), jenner.DecideRefuse, unnamed("payments/process/"), 0, nil},
		{"a place without a service", odd("/process/db"), jenner.DecideRefuse, unnamed("/process/db"), 0, nil},
		{"an empty place", odd(""), jenner.DecideRefuse, unnamed(""), 0, nil},
		{"a word", odd("payments"), jenner.DecideRefuse, unnamed("payments"), 0, nil},
	})
}

func TestBlastMinHealthy(t *testing.T) {
	some := func(total, healthy int, limit jenner.Limit) Input {
		return crashedBut(func(in *Input) { in.Siblings, in.Policy.MinHealthy = Siblings{total, healthy}, &limit })
	}
	check(t, healthyEnough, []said{
		{"enough", some(3, 2, count(2)), jenner.DecideAct, "2 of the other 2 targets are healthy, 2 must be", 0, nil},
		{"too few", some(3, 1, count(2)), jenner.DecideWait, "1 of the other 2 targets are healthy, 2 must be", time.Second, nil},
		{"a share rounds up", some(5, 2, share(0.5)), jenner.DecideWait, "2 of the other 4 targets are healthy, 3 must be", time.Second, nil},
		{"29% of 100 is 29", some(100, 29, share(0.29)), jenner.DecideAct, "29 of the other 99 targets are healthy, 29 must be", 0, nil},
		{"the only target can be healed", some(1, 0, count(1)), jenner.DecideAct, "0 of the other 0 targets are healthy, 0 must be", 0, nil},
		{"the target itself does not count", some(3, 3, count(3)), jenner.DecideAct, "2 of the other 2 targets are healthy, 2 must be", 0, nil},
		{"of nobody knows how many", some(0, 0, count(1)), jenner.DecideRefuse,
			"a minimum of healthy targets is asked for, and 0 of 0 healthy cannot be", 0, nil},
	})
}

func TestBlastSteps(t *testing.T) {
	drain := func(step, policy string, sizes ...StepSize) Input {
		return crashedBut(func(in *Input) {
			in.Steps = sizes
			in.Runbook.Steps = []jenner.Step{{Name: "cut", BlastRadius: radius(step)}, {Name: "more"}}
			in.Policy.BlastRadius = radius(policy)
		})
	}
	cut := func(want, total int) StepSize { return StepSize{"cut", "connections", want, total} }
	more := func(want, total int) StepSize { return StepSize{"more", "connections", want, total} }
	for _, c := range []struct {
		name    string
		in      Input
		outcome jenner.DecisionOutcome
		number  string
		value   string
	}{
		{"within the step's share", drain("15%", "", cut(15, 100)), jenner.DecideAct, "cut_connections_allowed", "15"},
		{"beyond the step's share", drain("15%", "", cut(16, 100)), jenner.DecideRefuse, "cut_connections", "16"},
		{"beyond the policy's count", drain("15%", "10", cut(15, 100)), jenner.DecideRefuse, "connections_allowed", "10"},
		{"the steps together", drain("15%", "20%", cut(15, 100), more(15, 100)), jenner.DecideRefuse, "connections_wanted", "30"},
		{"the smallest whole counts", drain("", "20%", cut(8, 100), more(8, 50)), jenner.DecideRefuse, "connections_allowed", "10"},
		{"a share of nothing", drain("15%", "", cut(1, 0)), jenner.DecideRefuse, "cut_connections_allowed", "0"},
		{"less than nothing", drain("15%", "", cut(-1, 100)), jenner.DecideRefuse, "cut_connections", "-1"},
		{"more than there is", drain("", "", cut(5, 4)), jenner.DecideRefuse, "cut_connections_total", "4"},
		{"some, and nothing limits it", drain("", "", cut(3, 4)), jenner.DecideAct, "cut_connections", "3"},
		{"all, and nothing limits it", drain("", "", cut(4, 4)), jenner.DecideRefuse, "cut_connections", "4"},
		{"all of one", drain("", "", cut(1, 1)), jenner.DecideAct, "cut_connections", "1"},
		{"all, as the policy says", drain("", "100%", cut(4, 4)), jenner.DecideAct, "connections_allowed", "4"},
		{"a limit, and nobody knows the size", drain("15%", ""), jenner.DecideRefuse, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := blast(c.in)
			if got.Outcome != c.outcome || got.Numbers[c.number] != c.value {
				t.Errorf("got %s: %s\n%v\nwant %s, with %s = %s", got.Outcome, got.Reason, got.Numbers, c.outcome, c.number, c.value)
			}
		})
	}
}

func radius(limit string) jenner.BlastRadius {
	if limit == "" {
		return nil
	}
	var read jenner.Limit
	if err := read.UnmarshalText([]byte(limit)); err != nil {
		panic(err)
	}
	return jenner.BlastRadius{"max_connections": read}
}
