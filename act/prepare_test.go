package act

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestAPreparedIntentIsCarriedOutByTheProcessThatPreparedIt: it knows that nothing has happened yet, and does not ask.
func TestAPreparedIntentIsCarriedOutByTheProcessThatPreparedIt(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	executor := world.executor()
	intent, ready := executor.Prepare(t.Context(), world.order("k", "up"))
	if !ready || intent.State != jenner.IntentIntended || string(intent.Checkpoint) != `"down"` || world.position("a") != "down" {
		t.Fatalf("%t %+v; the lever is %s", ready, intent, world.position("a"))
	}
	if _, _, err := world.Begin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	world.put("a", "fog") // its action could not tell
	if done, err := executor.Do(t.Context(), world.order("k", "up")); err != nil || done.State != jenner.IntentDone {
		t.Errorf("%+v, %v", done, err)
	}
	equal(t, "order", world.seen(), []string{"intent k", "effect k", "result k done"})
}

// TestAPreparedIntentOfAnotherProcessIsAskedAbout: whoever finds it does not know whether it was begun.
func TestAPreparedIntentOfAnotherProcessIsAskedAbout(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	intent, _ := world.executor().Prepare(t.Context(), world.order("k", "up"))
	if _, _, err := world.Begin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	world.put("a", "fog")
	if found, err := world.executor().Do(t.Context(), world.order("k", "up")); err == nil || found.State != jenner.IntentUnknown {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestWithoutItsIntentOnDiskNothingIsDone: what was prepared and never written down is written down before the effect.
func TestWithoutItsIntentOnDiskNothingIsDone(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	executor := world.executor()
	if _, ready := executor.Prepare(t.Context(), world.order("k", "up")); !ready {
		t.Fatal("it was not prepared")
	}
	if _, err := executor.Do(t.Context(), world.order("k", "up")); err != nil {
		t.Fatal(err)
	}
	equal(t, "order", world.seen(), []string{"intent k", "effect k", "result k done"})
}

// TestWhatMayNotBeginIsNotPrepared: a hold, a dry run, a precondition that is not met, an action that only looks.
func TestWhatMayNotBeginIsNotPrepared(t *testing.T) {
	for name, change := range map[string]func(world *ledger, executor *Executor, order *Order){
		"hold": func(world *ledger, _ *Executor, _ *Order) {
			world.setHold(&jenner.Hold{Scope: jenner.HoldAll, At: time.Now()})
		},
		"dry run":      func(_ *ledger, executor *Executor, _ *Order) { executor.DryRun = true },
		"precondition": func(world *ledger, _ *Executor, _ *Order) { world.put("a", "removed") },
		"only looks":   func(_ *ledger, _ *Executor, order *Order) { order.Action = &glance{} },
	} {
		t.Run(name, func(t *testing.T) {
			world := newLedger()
			world.put("a", "down")
			executor, order := world.executor(), world.order("k", "up")
			change(world, executor, &order)
			if intent, ready := executor.Prepare(t.Context(), order); ready {
				t.Errorf("%+v", intent)
			}
		})
	}
}

// TestAHoldBetweenIntentAndEffect: what was prepared waits, and nobody needs to be asked when the hold is gone.
func TestAHoldBetweenIntentAndEffect(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	executor := world.executor()
	intent, _ := executor.Prepare(t.Context(), world.order("k", "up"))
	if _, _, err := world.Begin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	world.setHold(&jenner.Hold{Scope: jenner.HoldAll, At: time.Now()})
	if _, err := executor.Do(t.Context(), world.order("k", "up")); !errors.Is(err, ErrHeld) || world.position("a") != "down" {
		t.Errorf("%v; the lever is %s", err, world.position("a"))
	}
	world.setHold(nil)
	if _, err := executor.Do(t.Context(), world.order("k", "up")); err != nil {
		t.Error(err)
	}
}

// TestTheResultIsTheCallers: the stepper's caller is given what an effect came to, and the journal is not.
func TestTheResultIsTheCallers(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	of := incident(move("one", "up"), move("two", "far up"))
	stepper := world.stepper()
	var results []jenner.Intent
	stepped, err := stepper.NextWith(t.Context(), of, func(result jenner.Intent) { results = append(results, result) })
	if err != nil || stepped.Move != MoveOn || len(results) != 1 || results[0].State != jenner.IntentDone || !results[0].Changed {
		t.Fatalf("%+v, %v; results %+v", stepped, err, results)
	}
	equal(t, "order", world.seen(), []string{"intent i/1/0-one#0", "effect i/1/0-one#0"})
	if next, ready := stepper.Prepare(t.Context(), of); !ready || next.Key != "i/1/1-two#0" || string(next.Checkpoint) != `"up"` {
		t.Errorf("the next intent: %t %+v", ready, next)
	}
	// The program stops in the middle of the second one: that is no result.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := stepper.NextWith(ctx, of, func(result jenner.Intent) { results = append(results, result) }); err == nil {
		t.Error("a program that stops goes on")
	}
}
