package act

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"pgregory.net/rapid"
)

// drains is an action in a unit of its own.
type drains struct {
	Want int `json:"want"`
	Of   int `json:"of"`
}

func (d *drains) Size(context.Context, Call) (Size, error) {
	return Size{Unit: "connections", Want: d.Want, Total: d.Of}, nil
}

func (d *drains) Do(_ context.Context, call Call) (Result, error) {
	return Result{Summary: fmt.Sprintf("cut %d", min(d.Want, call.Allowed["connections"]))}, nil
}

// stepper is one process that runs runbooks over the ledger.
func (l *ledger) stepper() *Stepper {
	docs := &jenner.Documents{Services: []jenner.Service{shop, bakery}}
	return &Stepper{Executor: l.executor(), Docs: func() *jenner.Documents { return docs },
		Host: func(*jenner.Incident) Host { return Host{} },
		Action: func(name, _ string, params jenner.Params) (string, Action, error) {
			name = strings.TrimPrefix(name, "lever.")
			action := map[string]Action{"move": &lever{world: l}, "look": &glance{}, "drain": &drains{}}[name]
			if action == nil {
				return "", nil, fmt.Errorf("there is no action %q", name)
			}
			return "lever." + name, action, json.Unmarshal(jenner.Raw(params), action)
		}}
}

func params(pairs ...any) jenner.Params {
	p := jenner.Params{}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i].(string)] = jenner.Raw(pairs[i+1])
	}
	return p
}

func move(name, to string) jenner.Step {
	return jenner.Step{Name: name, Action: "move", Params: params("to", to)}
}

func incident(steps ...jenner.Step) *jenner.Incident {
	return &jenner.Incident{ID: "i", Service: "shop", Runs: []jenner.Run{{ID: "i/1", Runbook: jenner.Runbook{Name: "book", Steps: steps},
		Target: shop.Targets[0].Ref(), State: jenner.RunActive}}}
}

// run takes steps until the run does not go on by itself. It writes the incident down and reads it again in between, as
// the line does, and each step is another process's.
func (l *ledger) run(t *testing.T, of *jenner.Incident) Stepped {
	t.Helper()
	for range 50 {
		stepped, err := l.stepper().Next(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		stored := jenner.Raw(of)
		*of = jenner.Incident{}
		if err := json.Unmarshal(stored, of); err != nil {
			t.Fatal(err)
		}
		switch stepped.Move {
		case MoveOn:
		case MoveWait:
			time.Sleep(time.Until(stepped.At))
		default:
			return stepped
		}
	}
	t.Fatal("the run does not end")
	return Stepped{}
}

func statuses(of *jenner.Incident) []string {
	var list []string
	for _, record := range of.Run().Steps {
		list = append(list, record.Name+" "+string(record.Status))
	}
	return list
}

func TestStepsOneACallAndConditions(t *testing.T) {
	world := newLedger()
	with := func(step jenner.Step, condition string) jenner.Step { step.Condition = condition; return step }
	of := incident(
		jenner.Step{Name: "look", Action: "look"},
		with(move("yes", "up"), "look.passed && look.output.seen == 7"),
		with(move("no", "nowhere"), "look.failed || yes.skipped"),
		with(move("last", "far up"), `steps["no"].skipped`))
	if stepped := world.run(t, of); stepped.Move != MoveDone {
		t.Fatalf("%s: %+v", stepped.Move, of.Run())
	}
	equal(t, "steps", statuses(of), []string{"look passed", "yes passed", "no skipped", "last passed"})
	equal(t, "effects", world.seen(), []string{"intent i/1/1-yes#0", "effect i/1/1-yes#0", "result i/1/1-yes#0 done",
		"intent i/1/3-last#0", "effect i/1/3-last#0", "result i/1/3-last#0 done"})
}

func TestAFailureThatALaterStepAsksForIsHandled(t *testing.T) {
	world := newLedger()
	of := incident(
		move("cut", "up"),
		jenner.Step{Name: "settled", Action: "look", Params: params("fails", true)},
		jenner.Step{Name: "page", Action: "look", Condition: "settled.failed"},
		jenner.Step{Name: "enjoy", Action: "look", Condition: "settled.passed"})
	if stepped := world.run(t, of); stepped.Move != MoveDone {
		t.Fatalf("%s: %s", stepped.Move, of.Run().Error)
	}
	equal(t, "steps", statuses(of), []string{"cut passed", "settled failed", "page passed", "enjoy skipped"})
}

func TestAFailureThatNobodyAsksForEndsTheRun(t *testing.T) {
	tests := map[string]struct {
		step  jenner.Step
		move  Move
		state jenner.RunState
		says  string
	}{
		"it fails":           {jenner.Step{Name: "s", Action: "move", Params: params("fails", "never")}, MoveFailed, jenner.RunFailed, "step s: it is welded"},
		"nobody can tell":    {jenner.Step{Name: "s", Action: "move", Params: params("fails", "human")}, MoveHuman, jenner.RunUnknown, "it moved by itself"},
		"no such action":     {jenner.Step{Name: "s", Action: "juggle"}, MoveFailed, jenner.RunFailed, `there is no action "juggle"`},
		"no such target":     {jenner.Step{Name: "s", Action: "look", Target: "moon"}, MoveFailed, jenner.RunFailed, `there is no target "moon"`},
		"a wrong condition":  {jenner.Step{Name: "s", Action: "look", Condition: "5"}, MoveFailed, jenner.RunFailed, "must be true or false"},
		"it takes too long":  {jenner.Step{Name: "s", Action: "move", Params: params("takes", "2m")}, MoveFailed, jenner.RunFailed, "deadline exceeded"},
		"a condition of nil": {jenner.Step{Name: "s", Action: "look", Condition: "first.output.missing == 1"}, MoveFailed, jenner.RunFailed, "condition"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := incident(jenner.Step{Name: "first", Action: "look"}, test.step, move("never", "reached"))
				stepped := newLedger().run(t, of)
				if stepped.Move != test.move || of.Run().State != test.state || !strings.Contains(of.Run().Error, test.says) {
					t.Errorf("%s, %s: %s", stepped.Move, of.Run().State, of.Run().Error)
				}
				equal(t, "steps", statuses(of), []string{"first passed", "s failed"})
			})
		})
	}
}

// TestL13RetriesSurvive: each attempt is another process's, and neither the count nor the back-off begins anew. Somebody
// wakes the line all the time, which must not make an attempt come sooner.
func TestL13RetriesSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newLedger()
		of := incident(jenner.Step{Name: "s", Action: "move", Params: params("fails", "retry"),
			Retry: &jenner.Retry{Attempts: 4, Delay: jenner.Duration(10 * time.Second), MaxDelay: jenner.Duration(15 * time.Second)}})
		began, due := time.Now(), time.Time{}
		var waits []time.Duration
		for tries := 0; ; tries++ {
			effects := len(world.seen())
			stepped, err := world.stepper().Next(t.Context(), of)
			if err != nil || tries > 50 {
				t.Fatal(tries, err)
			}
			if len(world.seen()) > effects && time.Now().Before(due) {
				t.Errorf("attempt %d came %s too soon", len(waits)+1, time.Until(due))
			}
			due = stepped.At
			if stepped.Move != MoveWait {
				break
			}
			if len(world.seen()) > effects {
				waits = append(waits, time.Until(stepped.At))
			}
			time.Sleep(min(3*time.Second, time.Until(stepped.At))) // woken before its time
		}
		within := []struct{ least, most time.Duration }{{5 * time.Second, 10 * time.Second}, {7500 * time.Millisecond, 15 * time.Second}, {7500 * time.Millisecond, 15 * time.Second}}
		if len(waits) != len(within) {
			t.Fatalf("waits %v", waits)
		}
		for i, bounds := range within {
			if waits[i] < bounds.least || waits[i] > bounds.most {
				t.Errorf("wait %d is %s, not within %v", i+1, waits[i], bounds)
			}
		}
		if record := of.Run().Steps[0]; record.Attempts != 4 || record.Status != jenner.StepFailed || !record.StartedAt.Equal(began) {
			t.Errorf("%+v", record)
		}
		if got := strings.Count(strings.Join(world.seen(), ","), "effect i/1/0-s#"); got != 4 {
			t.Errorf("%d attempts: %v", got, world.seen())
		}
	})
}

func TestARetryThatHelpsLeavesNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newLedger()
		of := incident(jenner.Step{Name: "s", Action: "move", Params: params("fails", "retry"), Retry: &jenner.Retry{Attempts: 3}})
		if stepped, err := world.stepper().Next(t.Context(), of); err != nil || stepped.Move != MoveWait {
			t.Fatalf("%s, %v", stepped.Move, err)
		}
		of.Run().Runbook.Steps[0].Params = params("to", "up")
		time.Sleep(time.Minute)
		if stepped := world.run(t, of); stepped.Move != MoveDone {
			t.Fatal(stepped.Move)
		}
		if record := of.Run().Steps[0]; record.Error != "" || record.Status != jenner.StepPassed || record.Attempts != 2 || !record.Changed {
			t.Errorf("%+v", record)
		}
	})
}

func TestBackOffStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		retry := jenner.Retry{Delay: jenner.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "delay")),
			MaxDelay: jenner.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "most"))}
		attempts, chance := rapid.IntRange(1, 1000).Draw(t, "attempts"), rapid.Float64Range(0, 0.999).Draw(t, "chance")
		got := backOff(retry, attempts, chance)
		most := retry.MaxDelay.Std()
		least := min(retry.Delay.Std(), most) / 2
		if got < least || got > most {
			t.Fatalf("%s is not within %s and %s", got, least, most)
		}
		if later := backOff(retry, attempts+1, chance); later < got {
			t.Fatalf("attempt %d waits %s, the next one %s", attempts, got, later)
		}
	})
}

func TestBlastRadius(t *testing.T) {
	drain := func(limit string, want, of int) jenner.Step {
		var read jenner.Limit
		if err := read.UnmarshalText([]byte(limit)); err != nil {
			t.Fatal(err)
		}
		return jenner.Step{Name: "s", Action: "drain", Params: params("want", want, "of", of), BlastRadius: jenner.BlastRadius{"max_connections": read}}
	}
	wrongUnit := drain("15%", 1, 100)
	wrongUnit.BlastRadius = jenner.BlastRadius{"max_pods": wrongUnit.BlastRadius["max_connections"]}
	for name, test := range map[string]struct {
		step jenner.Step
		says string
	}{
		"a share":                      {drain("15%", 50, 100), "cut 15"},
		"a share rounds down":          {drain("15%", 50, 39), "cut 5"},
		"but not below one":            {drain("1%", 50, 10), "cut 1"},
		"binary rounding takes none":   {drain("29%", 50, 100), "cut 29"},
		"a count":                      {drain("3", 50, 100), "cut 3"},
		"the smaller of both":          {drain("15% 3", 50, 100), "cut 3"},
		"less than allowed":            {drain("15%", 2, 100), "cut 2"},
		"L5 nothing of nothing":        {drain("15%", 1, 0), "the blast radius allows none of 0"},
		"none at all":                  {drain("0", 1, 100), "the blast radius allows none of 100"},
		"L5 a limit that limits other": {wrongUnit, "lever.drain works in connections, but the blast radius limits [pods]; write max_connections"},
	} {
		of := incident(test.step)
		newLedger().run(t, of)
		if record := of.Run().Steps[0]; !strings.Contains(record.Summary+record.Error, test.says) {
			t.Errorf("%s: %q %q, want %q", name, record.Summary, record.Error, test.says)
		}
	}
}

// undoAll takes back what can be taken back, and gives the steps in the order of that.
func (l *ledger) undoAll(t *testing.T, of *jenner.Incident) []string {
	t.Helper()
	var order []string
	for range 20 {
		record, err := l.stepper().UndoNext(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		if record == nil {
			return order
		}
		order = append(order, record.Name+" "+string(record.Status))
	}
	t.Fatal("the undo does not end")
	return nil
}

func TestUndoIsASaga(t *testing.T) {
	world := newLedger()
	world.put("a", "0")
	world.put("b", "0")
	on := func(step jenner.Step, target string) jenner.Step { step.Target = target; return step }
	world.put("oven", "warm")
	of := incident(move("one", "1"), jenner.Step{Name: "look", Action: "look"}, on(move("two", "2"), "b"),
		on(move("already", "warm"), "bakery/oven"), move("three", "3"), jenner.Step{Name: "bad", Action: "move", Params: params("fails", "never")})
	if stepped := world.run(t, of); stepped.Move != MoveFailed {
		t.Fatal(stepped.Move)
	}
	equal(t, "undone", world.undoAll(t, of), []string{"three undone", "two undone", "one undone"})
	if world.position("a") != "0" || world.position("b") != "0" || world.position("oven") != "warm" {
		t.Errorf("levers %v", world.levers)
	}
	events := len(world.seen())
	equal(t, "undone again", world.undoAll(t, of), nil)
	if len(world.seen()) != events {
		t.Errorf("a second undo did something: %v", world.seen()[events:])
	}
}

// TestUndoNextIsIdempotent: the process dies after the undo and before the run is written down.
func TestUndoNextIsIdempotent(t *testing.T) {
	world := newLedger()
	world.put("a", "0")
	of := incident(move("one", "1"))
	world.run(t, of)
	before := jenner.Raw(of)
	equal(t, "undone", world.undoAll(t, of), []string{"one undone"})
	var again jenner.Incident
	if err := json.Unmarshal(before, &again); err != nil {
		t.Fatal(err)
	}
	equal(t, "undone by the next process", world.undoAll(t, &again), []string{"one undone"})
	if got := strings.Count(strings.Join(world.seen(), ","), "undo i/1/0-one#0/undo"); got != 1 {
		t.Errorf("%d undos: %v", got, world.seen())
	}
}

func explicitly(to string, more ...any) jenner.Step {
	step := move("one", "up")
	step.Undo = &jenner.UndoStep{Action: "move", Params: params(append([]any{"to", to}, more...)...)}
	return step
}

func TestAnUndoStepOfTheRunbookIsDoneInstead(t *testing.T) {
	world := newLedger()
	world.put("a", "0")
	of := incident(explicitly("rest"))
	world.run(t, of)
	world.setHold(&jenner.Hold{Scope: jenner.HoldAll, At: time.Now()}) // L3
	equal(t, "undone", world.undoAll(t, of), []string{"one undone"})
	if world.position("a") != "rest" {
		t.Errorf("the lever is %s", world.position("a"))
	}
}

// TestL4AnUndoStepKeepsSomebodyElsesChangeToo: that the runbook says how to undo does not make it ours.
func TestL4AnUndoStepKeepsSomebodyElsesChangeToo(t *testing.T) {
	world := newLedger()
	of := incident(explicitly("rest"))
	world.run(t, of)
	world.put("a", "sideways")
	equal(t, "undone", world.undoAll(t, of), []string{"one kept"})
	if world.position("a") != "sideways" {
		t.Errorf("the lever is %s", world.position("a"))
	}
}

// TestAnUndoStepThatFailsForNowIsTriedAgain, and its first failure is not taken for the answer for ever.
func TestAnUndoStepThatFailsForNowIsTriedAgain(t *testing.T) {
	world := newLedger()
	of := incident(explicitly("rest", "fails", "retry"))
	world.run(t, of)
	for range 3 {
		if _, err := world.stepper().UndoNext(t.Context(), of); jenner.NextAfter(err) != jenner.TryAgain {
			t.Fatalf("%v, want an error that may pass", err)
		}
	}
	if got := strings.Count(strings.Join(world.seen(), ","), "effect i/1/0-one#0/undo"); got != 3 {
		t.Errorf("%d tries: %v", got, world.seen())
	}
	of.Run().Runbook.Steps[0].Undo.Params = params("to", "rest")
	equal(t, "undone", world.undoAll(t, of), []string{"one undone"})
}
