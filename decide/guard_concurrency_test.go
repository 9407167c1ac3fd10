package decide

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

// run is what another incident holds for two minutes more.
func run(by, service, target string) jenner.LedgerEntry {
	return jenner.LedgerEntry{ID: by + "/" + target, Kind: jenner.LedgerAction, At: before(time.Minute), Until: now.Add(2 * time.Minute), By: by,
		Service: service, Target: jenner.TargetRef{Kind: "process", Name: target}, Policy: "crash", Runbook: "drain"}
}

func TestConcurrencyOfATarget(t *testing.T) {
	holding := func(entries ...jenner.LedgerEntry) Input { return crashedBut(func(in *Input) { in.Ledger = entries }) }
	with := func(change func(*jenner.LedgerEntry)) jenner.LedgerEntry {
		e := run("i2", "checkout", "checkout")
		change(&e)
		return e
	}
	wide := holding(run("i2", "payments", "db"))
	wide.Places = []string{"checkout/process/checkout", "payments/process/db"}
	lost := holding()
	lost.Places = []string{"payments/process/db"}
	const free = "no other run holds what this one would touch"
	check(t, oneRunATarget, []said{
		{"free", holding(), jenner.DecideAct, free, 0, numbers{"places": "1", "places_taken": "0"}},
		{"held by another incident", holding(with(func(*jenner.LedgerEntry) {})), jenner.DecideWait, "i2 holds checkout/process/checkout", time.Second,
			numbers{"places_taken": "1", "checkout/process/checkout": "i2"}},
		{"as a further target of its run", holding(with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerTouch })), jenner.DecideWait,
			"i2 holds checkout/process/checkout", time.Second, nil},
		{"held by this very incident", holding(with(func(e *jenner.LedgerEntry) { e.By = "i1" })), jenner.DecideAct, free, 0, nil},
		{"a fault is the trouble itself", holding(with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerFault })), jenner.DecideAct, free, 0, nil},
		{"another service's target of the same name", holding(run("i2", "payments", "checkout")), jenner.DecideAct, free, 0, nil},
		{"a further target of this run is held", wide, jenner.DecideWait, "i2 holds payments/process/db", time.Second, numbers{"places": "2"}},
	})
	check(t, concurrency, []said{
		{"a plan that misses its own target", lost, jenner.DecideRefuse,
			"checkout/process/checkout is not among the targets that restart would touch (payments/process/db)", 0, nil},
		{"the whole guard", wide, jenner.DecideWait, "i2 holds payments/process/db", time.Second, nil},
	})
}

func TestConcurrencyOfAPolicy(t *testing.T) {
	limited := func(most int, entries ...jenner.LedgerEntry) Input {
		return crashedBut(func(in *Input) { in.Policy.MaxConcurrent, in.OfPolicy = most, entries })
	}
	given := run("i3", "a", "a")
	given.Until = now
	fault := run("i3", "a", "a")
	fault.Kind = jenner.LedgerFault
	inLedger := limited(1)
	inLedger.Ledger = []jenner.LedgerEntry{run("i2", "a", "a")}
	unnamed := inLedger
	unnamed.Policy.Name, unnamed.Policy.IncidentType = "", "crash"
	other := limited(1)
	other.Ledger = []jenner.LedgerEntry{run("i2", "a", "a")}
	other.Policy.Name = "hung"
	text := func(n, most string) string {
		return n + " other runs of policy crash are on, and " + most + " are allowed at the same time"
	}
	check(t, runsOfPolicy, []said{
		{"no limit", limited(0, run("i2", "a", "a")), jenner.DecideAct, "the policy does not limit its runs", 0, nil},
		{"none", limited(1), jenner.DecideAct, text("0", "1"), 0, numbers{"runs": "0", "max_concurrent": "1"}},
		{"as many as allowed", limited(1, run("i2", "a", "a")), jenner.DecideWait, text("1", "1"), time.Second, numbers{"runs": "1"}},
		{"one run on two targets", limited(2, run("i2", "a", "a"), run("i2", "b", "b")), jenner.DecideAct, text("1", "2"), 0, nil},
		{"two runs", limited(2, run("i2", "a", "a"), run("i3", "b", "b")), jenner.DecideWait, text("2", "2"), time.Second, nil},
		{"one has ended", limited(2, run("i2", "a", "a"), given), jenner.DecideAct, text("1", "2"), 0, nil},
		{"a fault is no run", limited(1, fault), jenner.DecideAct, text("0", "1"), 0, nil},
		{"its own", limited(1, run("i1", "a", "a")), jenner.DecideAct, text("0", "1"), 0, nil},
		{"seen in the ledger only", inLedger, jenner.DecideWait, text("1", "1"), time.Second, nil},
		{"a policy without a name is called by its incident type", unnamed, jenner.DecideWait, text("1", "1"), time.Second, nil},
		{"another policy's", other, jenner.DecideAct, "0 other runs of policy hung are on, and 1 are allowed at the same time", 0, nil},
	})
}

// TestL14TwoRunsNeverWaitForEachOther: what two runs need is taken in one commit or not at all, so that neither holds a
// target while it waits for the other; and what a run holds ends by itself, though nobody gives it back.
func TestL14TwoRunsNeverWaitForEachOther(t *testing.T) {
	places := []string{"checkout/process/checkout", "checkout/process/b"}
	entries := func(by string) []jenner.LedgerEntry {
		return []jenner.LedgerEntry{run(by, "checkout", "checkout"), run(by, "checkout", "b")}
	}
	first := crashedBut(func(in *Input) { in.Places, in.Siblings.Total = places, 4 })
	second := first
	second.Incident.ID, second.Places = "i2", []string{places[1], places[0]} // the other way round
	for _, in := range []Input{first, second} {
		if got := concurrency(in); got.Outcome != jenner.DecideAct {
			t.Fatalf("%s, while nobody holds anything: %s", got.Outcome, got.Reason)
		}
	}
	if err := jenner.CheckCaps(Caps(first), nil, entries("i1"), now); err != nil {
		t.Fatalf("the first to commit: %v", err)
	}
	if err := jenner.CheckCaps(Caps(second), entries("i1"), entries("i2"), now); !errors.Is(err, jenner.ErrTaken) {
		t.Fatalf("the second to commit: %v, want ErrTaken", err)
	}
	second.Ledger = entries("i1")
	if got := concurrency(second); got.Outcome != jenner.DecideWait {
		t.Errorf("the second sees the first: %s: %s", got.Outcome, got.Reason)
	}
	second.Now = now.Add(2 * time.Minute) // the first has died, and its deadline is over
	if got := concurrency(second); got.Outcome != jenner.DecideAct {
		t.Errorf("after the deadline: %s: %s", got.Outcome, got.Reason)
	}
}

func TestCaps(t *testing.T) {
	in := crashedBut(func(in *Input) {
		in.Places = []string{"payments/process/db", "checkout/process/checkout", "checkout/process/b", "payments/process/db"}
		in.Siblings.Total = 4
		in.Policy.BlastRadius = jenner.BlastRadius{"max_targets": share(0.5)}
		in.Policy.MaxConcurrent = 5
		in.Limits = jenner.Limits{MaxTargetsAtOnce: 7, MaxTargetsOfService: 4}
	})
	want := []jenner.Cap{
		{Scope: jenner.CapAll, Max: 7},
		{Scope: jenner.CapService, Name: "checkout", Max: 2},
		{Scope: jenner.CapService, Name: "payments", Max: 4},
		{Scope: jenner.CapTarget, Name: "checkout/process/b", Max: 1},
		{Scope: jenner.CapTarget, Name: "checkout/process/checkout", Max: 1},
		{Scope: jenner.CapTarget, Name: "payments/process/db", Max: 1},
		{Scope: jenner.CapPolicy, Name: "crash", Max: 5},
	}
	if diff := cmp.Diff(want, Caps(in)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want = []jenner.Cap{{Scope: jenner.CapAll, Max: 10}, {Scope: jenner.CapService, Name: "checkout", Max: 3},
		{Scope: jenner.CapTarget, Name: "checkout/process/checkout", Max: 1}}
	if diff := cmp.Diff(want, Caps(crashed())); diff != "" {
		t.Errorf("where nothing is said (-want +got):\n%s", diff)
	}
}
