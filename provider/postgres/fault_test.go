package postgres

import (
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
)

// worldOf is a world of a fault by its verb and parameters, as an experiment writes them.
func worldOf(t *testing.T, verb string, target jenner.Target, params jenner.Params) faulttest.World {
	t.Helper()
	all := catalog.Merge(Provider)
	return faulttest.World{
		Fault: func() chaos.Fault {
			_, fault, err := all.MakeFault(verb, "postgres", params)
			if err != nil {
				t.Fatal(err)
			}
			return fault
		},
		Record: jenner.FaultRecord{Fault: "postgres." + verb, Target: target, Params: params,
			Service: jenner.Service{Name: "orders", Targets: []jenner.Target{target}}},
		Absent: absent(t),
	}
}

// faultWorlds are the faults with what each of them breaks.
var faultWorlds = map[string]func(t *testing.T) faulttest.World{
	"connections": func(t *testing.T) faulttest.World {
		return worldOf(t, "connections", written(shared(t, primary), "db"), jenner.Params{"user": jenner.Raw("app"), "share": jenner.Raw("50%")})
	},
	"connections in transactions": func(t *testing.T) faulttest.World {
		return worldOf(t, "connections", written(shared(t, primary), "db"), jenner.Params{"user": jenner.Raw("app"), "count": jenner.Raw(3),
			"state": jenner.Raw("idle_in_transaction")})
	},
	"long_query": func(t *testing.T) faulttest.World {
		return worldOf(t, "long_query", written(shared(t, primary), "db"), jenner.Params{"user": jenner.Raw("app"), "sessions": jenner.Raw(2)})
	},
	"lock": func(t *testing.T) faulttest.World {
		return worldOf(t, "lock", written(shared(t, primary), "db"), jenner.Params{"user": jenner.Raw("app"), "table": jenner.Raw("orders")})
	},
	"kill_backends": func(t *testing.T) faulttest.World {
		p, err := primary() // others may be connected: that the suite's earlier worlds are not closed yet does no harm
		if err != nil {
			t.Fatal(err)
		}
		client(t, p, "front")
		return worldOf(t, "kill_backends", written(p, "db"), jenner.Params{"application": jenner.Raw("front")})
	},
	"pause_replay": func(t *testing.T) faulttest.World {
		shared(t, primary)
		return worldOf(t, "pause_replay", written(shared(t, standby), "db"), nil)
	},
	"row": func(t *testing.T) faulttest.World {
		return worldOf(t, "row", written(shared(t, primary), "db"), jenner.Params{"table": jenner.Raw("orders"),
			"key": jenner.Raw(map[string]string{"id": "1"}), "column": jenner.Raw("price"), "value": jenner.Raw("-1")})
	},
}

func TestFaultsConform(t *testing.T) {
	for name, build := range faultWorlds {
		t.Run(name, func(t *testing.T) { faulttest.Run(t, build) })
	}
}

func TestFaultsEndWhoeverIsKilled(t *testing.T) {
	for name, build := range faultWorlds {
		if name == "connections in transactions" {
			continue // one of each fault is written down
		}
		t.Run(name, func(t *testing.T) { faulttest.Killed(t, build) })
	}
}

// stoppable is a cluster that the fault stop may break, and that each test finds running.
func stoppable(t *testing.T, p *lab.Postgres) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		return worldOf(t, "stop", prepared(t, p, true), nil)
	}
}

func TestStopConforms(t *testing.T) {
	faulttest.Run(t, stoppable(t, cluster(t, lab.PostgresOptions{Careless: true})))
}

func TestStopEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, stoppable(t, cluster(t, lab.PostgresOptions{Careless: true})))
}

// TestAStoppedPrimaryThatWasReplacedIsNotStarted: its undo must not make a second primary.
func TestAStoppedPrimaryThatWasReplacedIsNotStarted(t *testing.T) {
	for _, c := range []struct {
		name            string
		fence, promote  bool
		print           string
		armed, runAfter bool
	}{
		{"nobody did anything", false, false, standsUp, true, true},
		{"it was fenced", true, false, standsFenced, false, false},
		{"the standby was promoted", false, true, standsUp, false, false},
		{"both", true, true, standsUp, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			main, copy, service := pair(t)
			fault := &FaultStop{Mode: modeImmediate}
			call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Service: service, Target: service.Targets[0]}}
			var err error
			if call.Record.Checkpoint, err = fault.Checkpoint(within(t), call); err != nil {
				t.Fatal(err)
			}
			if err := fault.Inject(within(t), call); err != nil {
				t.Fatal(err)
			}
			if c.fence {
				if _, err := (&Fence{}).Do(within(t), act.Call{Service: service, Target: service.Targets[0]}); err != nil {
					t.Fatal(err)
				}
			}
			if c.promote {
				run(t, copy, "SELECT pg_promote()")
			}
			if armed, err := fault.Armed(within(t), call); err != nil || armed != c.armed {
				t.Errorf("armed %v, %v", armed, err)
			}
			if err := fault.Undo(within(t), call); err != nil {
				t.Fatal(err)
			}
			if _, runs := main.Pid(); runs != c.runAfter {
				t.Errorf("after the undo it runs: %v", runs)
			}
			if print, err := fault.Fingerprint(within(t), call); err != nil || print != c.print {
				t.Errorf("fingerprint %q, %v; want %q", print, err, c.print)
			}
		})
	}
}

// TestWhatSomebodyElseWroteIntoTheSpoiledRowIsKept: the undo leaves it, and the fingerprint shows it.
func TestWhatSomebodyElseWroteIntoTheSpoiledRowIsKept(t *testing.T) {
	p := shared(t, primary)
	t.Cleanup(func() { run(t, p, "TRUNCATE orders; INSERT INTO orders VALUES (1, 'paid', 9.5), (2, NULL, 3)") })
	for _, c := range []struct {
		name, id, between, want string
		residue                 bool
	}{
		{"nothing happened", "1", "SELECT", "9.50", false},
		{"somebody corrected it", "1", "UPDATE orders SET price = 9.5 WHERE id = 1", "9.50", false},
		{"somebody changed it", "1", "UPDATE orders SET price = 7 WHERE id = 1", "7.00", true},
		{"somebody changed the rest of the row", "2", "UPDATE orders SET state = 'new' WHERE id = 2", "3.00", false},
		{"somebody removed it", "2", "DELETE FROM orders WHERE id = 2", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fault := &FaultRow{Table: "public.orders", Key: map[string]string{"id": c.id}, Column: "price", Value: "-1"}
			call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: written(p, "db")}}
			var err error
			if call.Record.Checkpoint, err = fault.Checkpoint(within(t), call); err != nil {
				t.Fatal(err)
			}
			before, err := fault.Fingerprint(within(t), call)
			if err != nil {
				t.Fatal(err)
			}
			if err := fault.Inject(within(t), call); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, p, "SELECT price::text FROM orders WHERE id = "+c.id); got != "-1.00" {
				t.Fatalf("the price is %s", got)
			}
			run(t, p, c.between)
			if err := fault.Undo(within(t), call); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, p, "SELECT price::text FROM orders WHERE id = "+c.id); got != c.want {
				t.Errorf("the price is %q, want %q", got, c.want)
			}
			after, err := fault.Fingerprint(within(t), call)
			if err != nil || (after != before) != c.residue {
				t.Errorf("the fingerprint was %q and is %q (%v); residue: %v", before, after, err, c.residue)
			}
		})
	}
}

func TestANullComesBack(t *testing.T) {
	p := shared(t, primary)
	fault := &FaultRow{Table: "orders", Key: map[string]string{"id": "2"}, Column: "state", Value: "it's spoiled"}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: written(p, "db")}}
	var err error
	if call.Record.Checkpoint, err = fault.Checkpoint(within(t), call); err != nil {
		t.Fatal(err)
	}
	if err := fault.Inject(within(t), call); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, p, "SELECT state FROM orders WHERE id = 2"); got != "it's spoiled" {
		t.Errorf("it is %q", got)
	}
	if err := fault.Undo(within(t), call); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, p, "SELECT (state IS NULL)::text FROM orders WHERE id = 2"); got != "true" {
		t.Errorf("null: %s", got)
	}
}

// TestFaultsRefuse what would break more than they say, or nothing.
func TestFaultsRefuse(t *testing.T) {
	p := shared(t, primary)
	target := written(p, "db")
	run(t, p, "CREATE TABLE pairs AS SELECT 1 AS id, 2 AS price FROM generate_series(1, 2)")
	t.Cleanup(func() { run(t, p, "DROP TABLE pairs") })
	leak := func(change func(*FaultConnections)) chaos.Checkpointer {
		fault := &FaultConnections{State: stateIdle, Count: 1, Login: Login{User: "app", Application: "leak"}}
		change(fault)
		return fault
	}
	row := func(change func(*FaultRow)) chaos.Checkpointer {
		fault := &FaultRow{Table: "orders", Key: map[string]string{"id": "1"}, Column: "price", Value: "1"}
		change(fault)
		return fault
	}
	for _, c := range []struct {
		name  string
		fault chaos.Checkpointer
		words []string
	}{
		{"a superuser", leak(func(f *FaultConnections) { f.User = "postgres" }), []string{"superuser"}},
		{"an unknown user", leak(func(f *FaultConnections) { f.User = "ap" }), []string{`no user "ap"`}},
		{"more than is free", leak(func(f *FaultConnections) { f.Count = 28 }), []string{"28", "27 are free"}},
		{"no row", row(func(f *FaultRow) { f.Key["id"] = "9" }), []string{"no row"}},
		{"two rows", row(func(f *FaultRow) { f.Table, f.Key = "pairs", map[string]string{"id": "1"} }), []string{"2 rows"}},
		{"no column", row(func(f *FaultRow) { f.Column = "prize" }), []string{`column "prize"`}},
		{"the same value", row(func(f *FaultRow) { f.Value = "9.5" }), []string{"already"}},
		{"no number", row(func(f *FaultRow) { f.Value = "x" }), []string{"invalid input syntax"}},
		{"no table", &FaultLock{Table: "order", Login: Login{User: "app", Application: "m"}}, []string{`no table "order"`}},
		{"no connections", &FaultKillBackends{Application: "front"}, []string{`"front" has no connections`}},
		{"no standby", &FaultPauseReplay{}, []string{"no standby"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.fault.Checkpoint(within(t), chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: target}})
			says(t, err, c.words...)
		})
	}
	for _, c := range []struct {
		fault chaos.Validator
		words string
	}{
		{&FaultConnections{State: stateIdle, Login: Login{User: "app", Application: "leak"}}, "one of count and share"},
		{&FaultConnections{State: stateActive, Count: 1, Login: Login{User: "app", Application: "leak"}}, "long_query"},
		{&FaultConnections{State: stateIdle, Count: 1, Login: Login{Application: "leak"}}, "user is missing"},
		{&FaultConnections{State: stateIdle, Count: 1, Login: Login{User: "app", Application: ourName}}, "application"},
		{&FaultKillBackends{Application: ourName}, "application"},
		{&FaultRow{Table: "orders", Column: "id", Key: map[string]string{"id": "1"}}, "part of the key"},
		{&FaultLongQuery{Login: Login{User: "app", Application: "r"}}, "sessions"},
		{&FaultStop{Mode: "x"}, "unknown mode"},
	} {
		says(t, c.fault.Validate(), c.words)
	}
}
