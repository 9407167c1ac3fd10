package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

// count is how many connections an application has.
func count(t *testing.T, p *lab.Postgres, application string) string {
	t.Helper()
	return ask(t, p, fmt.Sprintf("SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '%s'", application))
}

// clientsOf opens connections that are idle.
func clientsOf(t *testing.T, p *lab.Postgres, application string, number int) (all []*pgx.Conn) {
	t.Helper()
	for range number {
		all = append(all, client(t, p, application))
	}
	return all
}

// once does an action from its check to its effect, as the executor does, with so many allowed; all below 0.
func once(t *testing.T, action act.Action, target jenner.Target, unit string, allowed int) (act.Result, error) {
	t.Helper()
	call := act.Call{Target: target}
	if allowed >= 0 {
		call.Allowed = map[string]int{unit: allowed}
	}
	if err := action.(act.Checker).Check(within(t), call); err != nil {
		return act.Result{}, err
	}
	checkpoint, err := action.(act.Checkpointer).Checkpoint(within(t), call)
	if err != nil {
		return act.Result{}, err
	}
	call.Checkpoint = json.RawMessage(checkpoint)
	return action.Do(within(t), call)
}

func TestTerminateConnectionsConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		p := shared(t, primary)
		clientsOf(t, p, "leak", 2)
		return actiontest.World{Action: func() act.Action { return &TerminateConnections{State: stateIdle, Passes: 1} },
			Call: act.Call{Target: written(p, "db")}}
	})
}

func TestCancelQueriesConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		p := shared(t, primary)
		busy(t, p, "report")
		return actiontest.World{Action: func() act.Action { return &CancelQueries{} }, Call: act.Call{Target: written(p, "db")}}
	})
}

// TestOnlyWhatIsMeantIsEnded has one connection of each sort and looks which of them is left.
func TestOnlyWhatIsMeantIsEnded(t *testing.T) {
	for _, c := range []struct {
		name   string
		action TerminateConnections
		gone   []string
	}{
		{"idle", TerminateConnections{State: stateIdle}, []string{"idle", "other"}},
		{"of one application", TerminateConnections{State: stateIdle, Application: "other"}, []string{"other"}},
		{"of one user", TerminateConnections{State: stateIdle, User: "nobody"}, nil},
		{"idle in transaction", TerminateConnections{State: stateIdleInTransaction}, []string{"failed", "transaction"}},
		{"active", TerminateConnections{State: stateActive}, []string{"active"}},
		{"younger than meant", TerminateConnections{State: stateIdle, OlderThan: jenner.Duration(time.Hour)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := shared(t, primary)
			clientsOf(t, p, "idle", 1)
			clientsOf(t, p, "other", 1)
			if _, err := clientsOf(t, p, "transaction", 1)[0].Exec(within(t), "BEGIN"); err != nil {
				t.Fatal(err)
			}
			failed := clientsOf(t, p, "failed", 1)[0]
			if _, err := failed.Exec(within(t), "BEGIN; SELECT 1/0", pgx.QueryExecModeSimpleProtocol); err == nil {
				t.Fatal("no error")
			}
			busy(t, p, "active")
			super, err := pgx.Connect(within(t), dsn(p, "postgres", "shop", "super"))
			if err != nil {
				t.Fatal(err)
			}
			defer super.Close(context.Background())
			ours, err := pgx.Connect(within(t), dsn(p, "app", "shop", ourName)) // by name only
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close(context.Background())

			c.action.Passes = 1
			size, err := c.action.Size(within(t), act.Call{Target: written(p, "db")})
			if err != nil {
				t.Fatal(err)
			}
			if want := (act.Size{Unit: "connections", Want: len(c.gone), Total: 5, Bounded: true}); size != want {
				t.Errorf("size %+v, want %+v", size, want)
			}
			if _, err := once(t, &c.action, written(p, "db"), "connections", -1); err != nil {
				t.Fatal(err)
			}
			var gone []string
			for _, application := range []string{"active", "failed", "idle", "other", "super", "transaction"} {
				if count(t, p, application) == "0" {
					gone = append(gone, application)
				}
			}
			if diff := cmp.Diff(c.gone, gone); diff != "" {
				t.Errorf("other connections are gone than those that were meant (-want +got):\n%s", diff)
			}
			if err := ours.Ping(within(t)); err != nil {
				t.Errorf("one of Jenner's own was ended: %v", err)
			}
			if err := super.Ping(within(t)); err != nil {
				t.Errorf("a superuser's connection was ended: %v", err)
			}
		})
	}
}

func TestEachPassEndsNoMoreThanIsAllowedTheOldestFirst(t *testing.T) {
	p := shared(t, primary)
	all := clientsOf(t, p, "leak", 7)
	action := &TerminateConnections{State: stateIdle, Passes: 2, Pause: jenner.Duration(time.Millisecond)}
	result, err := once(t, action, written(p, "db"), "connections", 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(terminated{Passes: []int{2, 2}, Ended: 4, Left: 3}, result.Output); diff != "" {
		t.Error(diff)
	}
	for i, conn := range all {
		if err := conn.Ping(within(t)); (err != nil) != (i < 4) {
			t.Errorf("connection %d of 7: %v", i, err)
		}
	}
}

// gaugeOf answers every question with one number, that of connections at present.
type gaugeOf func() float64

func (g gaugeOf) Query(context.Context, string) (jenner.Answer, error) {
	return jenner.Answer{Samples: []jenner.Sample{{Value: g(), At: time.Now()}}}, nil
}
func (gaugeOf) Probe(string, string) (jenner.ProbeState, bool) { return jenner.ProbeState{}, false }
func (gaugeOf) Probes(string) []jenner.ProbeState              { return nil }

func TestPassesEndWhenTheNumberIsFine(t *testing.T) {
	p := shared(t, primary)
	clientsOf(t, p, "leak", 6)
	below := jenner.Number(4.5)
	action := &TerminateConnections{State: stateIdle, Passes: 10, Pause: jenner.Duration(time.Millisecond), Metric: "leaks", Below: &below}
	if err := action.Validate(); err != nil {
		t.Fatal(err)
	}
	call := act.Call{Target: written(p, "db"), Allowed: map[string]int{"connections": 1},
		Host: act.Host{Telemetry: gaugeOf(func() (now float64) {
			fmt.Sscan(count(t, p, "leak"), &now)
			return now
		})}}
	var err error
	if call.Checkpoint, err = action.Checkpoint(within(t), call); err != nil {
		t.Fatal(err)
	}
	result, err := action.Do(within(t), call)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(terminated{Passes: []int{1, 1}, Ended: 2, Left: 4}, result.Output); diff != "" {
		t.Error(diff)
	}
}

// TestWhatBecameBusyIsLeftAlone lets something happen between the choice and the effect.
func TestWhatBecameBusyIsLeftAlone(t *testing.T) {
	p := shared(t, primary)
	all := clientsOf(t, p, "leak", 2)
	action := &TerminateConnections{State: stateIdle, Passes: 1}
	call := act.Call{Target: written(p, "db")}
	var err error
	if call.Checkpoint, err = action.Checkpoint(within(t), call); err != nil {
		t.Fatal(err)
	}
	if _, err := all[0].Exec(within(t), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	later := clientsOf(t, p, "leak", 1)[0] // not chosen
	result, err := action.Do(within(t), call)
	if err != nil {
		t.Fatal(err)
	}
	if result.Output.(terminated).Ended != 1 {
		t.Errorf("%+v", result)
	}
	for i, conn := range []*pgx.Conn{all[0], all[1], later} {
		if err := conn.Ping(within(t)); (err != nil) != (i == 1) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

func TestAnotherQueryOfTheSameConnectionIsNotCancelled(t *testing.T) {
	p := shared(t, primary)
	first := busy(t, p, "report")
	action := &CancelQueries{}
	call := act.Call{Target: written(p, "db")}
	checkpoint, err := action.Checkpoint(within(t), call)
	if err != nil {
		t.Fatal(err)
	}
	var kept chosen
	if err := json.Unmarshal(checkpoint, &kept); err != nil || len(kept.Sessions) != 1 {
		t.Fatalf("%s: %v", checkpoint, err)
	}
	kept.Sessions[0].Query = kept.Sessions[0].Query.Add(-time.Second) // it was another one that was chosen
	call.Checkpoint = jenner.Raw(kept)
	if result, err := action.Do(within(t), call); err != nil || result.Changed {
		t.Errorf("%+v, %v", result, err)
	}
	if first() {
		t.Error("the query was cancelled")
	}
	if _, err := once(t, action, written(p, "db"), "queries", 1); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the query to end", first)
}

func TestWhoMayNotEndConnectionsIsToldSoFirst(t *testing.T) {
	p := shared(t, primary)
	target := written(p, "db")
	target.Params["user"] = jenner.Raw("app")
	_, err := once(t, &TerminateConnections{State: stateIdle, Passes: 1}, target, "connections", 1)
	says(t, err, "app", "pg_signal_backend")
}

// TestASuperuserGetsInWhenAllIsTaken: that is when it is needed.
func TestASuperuserGetsInWhenAllIsTaken(t *testing.T) {
	p := shared(t, primary)
	for range 27 {
		client(t, p, "peak")
	}
	target := written(p, "db")
	if err := use(within(t), target, func(_ *Target, conn *pgx.Conn) error { return conn.Ping(within(t)) }); err != nil {
		t.Error(err)
	}
	target.Params["user"] = jenner.Raw("app")
	says(t, use(within(t), target, func(*Target, *pgx.Conn) error { return nil }), "reserved", "connect as a superuser")
}

func TestParametersOfActionsAreChecked(t *testing.T) {
	below := jenner.Number(1)
	for _, c := range []struct {
		action act.Validator
		words  string
	}{
		{&TerminateConnections{State: "idel", Passes: 1}, `did you mean "idle"`},
		{&TerminateConnections{State: stateIdle}, "passes"},
		{&TerminateConnections{State: stateIdle, Passes: 1, Below: &below}, "metric and below"},
		{&TerminateConnections{State: stateIdle, Passes: 1, Below: &below, Metric: "a +"}, "a +"},
		{&Stop{Mode: "fats"}, `did you mean "fast"`},
		{&Restart{Mode: "slow"}, "unknown mode"},
		{&Promote{MaxLag: -1}, "max_lag"},
	} {
		says(t, c.action.Validate(), c.words)
	}
}
