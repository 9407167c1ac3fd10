package act

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

func TestTheIntentIsThereBeforeTheEffect(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	intent, err := world.executor().Do(t.Context(), world.order("k", "up"))
	if err != nil || intent.State != jenner.IntentDone || !intent.Changed || intent.Fingerprint != "up" || string(intent.Checkpoint) != `"down"` {
		t.Errorf("%+v, %v", intent, err)
	}
	equal(t, "order", world.seen(), []string{"intent k", "effect k", "result k done"})
}

func TestOneKeyOneEffect(t *testing.T) {
	for _, fails := range []string{"", "never", "retry", "human"} {
		world := newLedger()
		order := world.order("k", "up")
		order.Action = &lever{To: "up", Fails: fails, world: world}
		first, firstErr := world.executor().Do(t.Context(), order)
		again, againErr := world.executor().Do(t.Context(), order)
		if first.State != again.State || (firstErr == nil) != (againErr == nil) || jenner.NextAfter(firstErr) != jenner.NextAfter(againErr) {
			t.Errorf("%q: first %s (%v), again %s (%v)", fails, first.State, firstErr, again.State, againErr)
		}
		if events := world.seen(); len(events) != 3 {
			t.Errorf("%q: %v", fails, events)
		}
	}
}

// TestACrashBetweenIntentAndResult: another process, with the same journal, finds out what became of the effect.
func TestACrashBetweenIntentAndResult(t *testing.T) {
	tests := []struct {
		name, dieAt, leaves string
		later               time.Duration
		state               jenner.IntentState
		says                string
		effects             int
	}{
		{"before the effect", "effect k", "down", 0, jenner.IntentDone, "", 2},
		{"after the effect", "result k done", "", 0, jenner.IntentDone, "it had happened before the restart", 1},
		{"nobody can tell", "result k done", "fog", 0, jenner.IntentUnknown, "nobody can tell whether lever.move on lever/a happened before the restart; look at the target and decide", 1},
		{"it was not carried out in time", "effect k", "down", 3 * time.Minute, jenner.IntentFailed, "expired before it was carried out", 1},
		{"it happened, however long ago", "result k done", "", 3 * time.Hour, jenner.IntentDone, "it had happened", 1},
		{"the precondition is gone", "effect k", "removed", 0, jenner.IntentFailed, "lever.move on lever/a is not possible now: the lever was removed", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := newLedger()
				world.put("a", "down")
				world.dieAt = test.dieAt
				if _, err := world.executor().Do(t.Context(), world.order("k", "up")); !errors.Is(err, errDied) {
					t.Fatalf("the crash: %v", err)
				}
				world.crashed(test.leaves)
				time.Sleep(test.later)
				intent, err := world.executor().Do(t.Context(), world.order("k", "up"))
				if intent.State != test.state || (err == nil) != (test.state == jenner.IntentDone) {
					t.Errorf("%s, %v; want %s", intent.State, err, test.state)
				}
				if !strings.Contains(intent.Summary+intent.Error, test.says) {
					t.Errorf("it says %q and %q, want %q", intent.Summary, intent.Error, test.says)
				}
				if got := strings.Count(strings.Join(world.seen(), ","), "effect k"); got != test.effects {
					t.Errorf("the effect was begun %d times, want %d", got, test.effects)
				}
			})
		})
	}
}

// crashed is the moment after a crash: the journal holds what was stored, and the lever is in a position.
func (l *ledger) crashed(position string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dieAt = ""
	// A process that dies at the effect writes no result; this one did, for it only pretended to die.
	for key, intent := range l.intents {
		intent.State, intent.Error, intent.Next, intent.EndedAt = jenner.IntentIntended, "", "", time.Time{}
		l.intents[key] = intent
	}
	if position != "" {
		l.levers["a"] = position
	}
}

func TestWhatCannotBeToldYetIsAskedAgain(t *testing.T) {
	world := newLedger()
	world.put("a", "down")
	world.dieAt = "effect k"
	_, _ = world.executor().Do(t.Context(), world.order("k", "up"))
	world.crashed("dark")
	if _, err := world.executor().Do(t.Context(), world.order("k", "up")); jenner.NextAfter(err) != jenner.TryAgain {
		t.Fatalf("%v, want an error that may pass", err)
	}
	world.put("a", "down")
	if intent, err := world.executor().Do(t.Context(), world.order("k", "up")); err != nil || intent.State != jenner.IntentDone {
		t.Errorf("%s, %v", intent.State, err)
	}
}

func TestAHoldBeforeTheEffectLeavesNothing(t *testing.T) {
	for _, scope := range []string{jenner.HoldAll, "shop"} {
		world := newLedger()
		world.setHold(&jenner.Hold{Scope: scope, By: "ann", Reason: "release", At: time.Now()})
		_, err := world.executor().Do(t.Context(), world.order("k", "up"))
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "by ann") || !strings.Contains(err.Error(), "(release)") {
			t.Errorf("%s: %v", scope, err)
		}
		if events := world.seen(); len(events) > 0 {
			t.Errorf("%s: %v", scope, events)
		}
		world.setHold(nil)
		if intent, err := world.executor().Do(t.Context(), world.order("k", "up")); err != nil || intent.State != jenner.IntentDone {
			t.Errorf("%s, when it was over: %s, %v", scope, intent.State, err)
		}
	}
	world := newLedger()
	world.setHold(&jenner.Hold{Scope: "bakery", By: "ann", At: time.Now()})
	if _, err := world.executor().Do(t.Context(), world.order("k", "up")); err != nil {
		t.Errorf("a hold of another service: %v", err)
	}
}

// TestL11AHoldBreaksOffWhatIsUnderWay, and what has become of it is found out when the hold is gone.
func TestL11AHoldBreaksOffWhatIsUnderWay(t *testing.T) {
	for name, order := range map[string]func(*ledger) Order{
		"an effect": func(l *ledger) Order {
			order := l.order("k", "up")
			order.Action = &lever{To: "up", Takes: jenner.Duration(time.Hour), world: l}
			return order
		},
		"a look": func(l *ledger) Order {
			order := l.order("k", "up")
			order.Action = &glance{Takes: jenner.Duration(time.Hour)}
			return order
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				world := newLedger()
				e, hold := world.executor(), jenner.Hold{Scope: jenner.HoldAll, By: "ann", At: time.Now()}
				began := time.Now()
				var held error
				var doing sync.WaitGroup
				doing.Go(func() { _, held = e.Do(t.Context(), order(world)) })
				time.Sleep(time.Minute)
				e.Halt(jenner.Hold{Scope: "bakery", By: "bob", At: began}) // somebody else's
				time.Sleep(time.Minute)
				world.setHold(&hold)
				e.Halt(hold)
				doing.Wait()
				if !errors.Is(held, ErrHeld) || time.Since(began) != 2*time.Minute {
					t.Fatalf("after %s: %v", time.Since(began), held)
				}
				if stored, err := world.Intent(t.Context(), "k"); err == nil && stored.State != jenner.IntentIntended {
					t.Errorf("a result was stored: %s", stored.State)
				}
				if _, err := e.Do(t.Context(), order(world)); !errors.Is(err, ErrHeld) {
					t.Errorf("under the hold: %v", err)
				}
				world.setHold(nil)
				e.Expiry = 3 * time.Hour
				if stored, err := e.Do(t.Context(), order(world)); name == "a look" && (err != nil || stored.State != jenner.IntentDone) {
					t.Errorf("when it was over: %s, %v", stored.State, err)
				} else if name == "an effect" && jenner.NextAfter(err) != jenner.NeverMind && err != nil {
					t.Errorf("when it was over: %s, %v", stored.State, err)
				}
			})
		})
	}
}

// TestTheEndOfTheProgramIsNoResult: the next start asks what happened.
func TestTheEndOfTheProgramIsNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newLedger()
		order := world.order("k", "up")
		order.Action = &lever{To: "up", Takes: jenner.Duration(time.Minute), world: world}
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(errDied) })
		if _, err := world.executor().Do(ctx, order); !errors.Is(err, errDied) {
			t.Errorf("%v", err)
		}
		if stored, _ := world.Intent(t.Context(), "k"); stored.State != jenner.IntentIntended {
			t.Errorf("the intent is %s", stored.State)
		}
		if intent, err := world.executor().Do(t.Context(), order); err != nil || intent.State != jenner.IntentDone || world.position("a") != "up" {
			t.Errorf("the next start: %s, %v, lever %s", intent.State, err, world.position("a"))
		}
	})
}

// TestAStepThatTakesTooLongHasFailed: its own time is over, and the program goes on.
func TestAStepThatTakesTooLongHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newLedger()
		order := world.order("k", "up")
		order.Action = &lever{To: "up", Takes: jenner.Duration(time.Hour), world: world}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if intent, err := world.executor().Do(ctx, order); intent.State != jenner.IntentFailed || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, %v", intent.State, err)
		}
	})
}

// TestL19DryRunTouchesNothing, whatever the action is.
func TestL19DryRunTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := newLedger()
		world.put("a", "down")
		e := world.executor()
		e.DryRun = true
		intent, err := e.Do(t.Context(), world.order("k", "up"))
		if err != nil || intent.Summary != `would do lever.move on lever/a with {"to":"up"}` {
			t.Errorf("%q, %v", intent.Summary, err)
		}
		look, began := world.order("k2", "up"), time.Now()
		look.Action = &glance{Takes: jenner.Duration(time.Hour)}
		if _, err := e.Do(t.Context(), look); err != nil || !time.Now().Equal(began) {
			t.Errorf("a wait took %s, %v", time.Since(began), err)
		}
		done := jenner.Intent{Key: "k3", Service: "shop", Target: shop.Targets[0], Checkpoint: jenner.Raw("left"), Fingerprint: "down"}
		if undone, err := e.Undo(t.Context(), world.order("k3", "up"), done); err != nil || !strings.HasPrefix(undone.Note, "dry run") {
			t.Errorf("%+v, %v", undone, err)
		}
		if events := world.seen(); len(events) > 0 || world.position("a") != "down" {
			t.Errorf("%v, lever %s", events, world.position("a"))
		}
		world.setHold(&jenner.Hold{Scope: jenner.HoldAll, At: time.Now()})
		if _, err := e.Do(t.Context(), world.order("k4", "up")); !errors.Is(err, ErrHeld) {
			t.Errorf("dry run got round a hold: %v", err)
		}
	})
}

// moved is an effect that was done, from down to up.
func (l *ledger) moved(t *testing.T) (Order, jenner.Intent) {
	t.Helper()
	l.put("a", "down")
	order := l.order("k", "up")
	done, err := l.executor().Do(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	return order, done
}

// TestL3AHoldNeverBlocksUndo: the kill switch is on, and what was done is taken back all the same.
func TestL3AHoldNeverBlocksUndo(t *testing.T) {
	world := newLedger()
	order, done := world.moved(t)
	hold := jenner.Hold{Scope: jenner.HoldAll, By: "ann", At: time.Now()}
	world.setHold(&hold)
	e := world.executor()
	undone, err := e.Undo(t.Context(), order, done)
	if err != nil || undone.Kept || world.position("a") != "down" {
		t.Errorf("%+v, %v, lever %s", undone, err, world.position("a"))
	}
	again, err := e.Undo(t.Context(), order, done)
	if err != nil || again != undone {
		t.Errorf("a second undo: %+v, %v", again, err)
	}
	if got := strings.Count(strings.Join(world.seen(), ","), "undo k/undo"); got != 1 {
		t.Errorf("it was undone %d times: %v", got, world.seen())
	}
	explicit := world.order("k2", "middle")
	explicit.Undoing = true
	if _, err := e.Do(t.Context(), explicit); err != nil || world.position("a") != "middle" {
		t.Errorf("an effect that takes something back: %v", err)
	}
}

// TestL4SomebodyElsesLaterChangeIsKept.
func TestL4SomebodyElsesLaterChangeIsKept(t *testing.T) {
	world := newLedger()
	order, done := world.moved(t)
	world.put("a", "sideways")
	undone, err := world.executor().Undo(t.Context(), order, done)
	if err != nil || !undone.Kept || !strings.Contains(undone.Note, "somebody else changed it") {
		t.Errorf("%+v, %v", undone, err)
	}
	if world.position("a") != "sideways" {
		t.Errorf("the lever is %s", world.position("a"))
	}
}

// TestACrashDuringAnUndo: the second try must not take its own half-done undo for somebody else's change.
func TestACrashDuringAnUndo(t *testing.T) {
	world := newLedger()
	order, done := world.moved(t)
	world.dieAt = "result k/undo done"
	if _, err := world.executor().Undo(t.Context(), order, done); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	world.dieAt = ""
	undone, err := world.executor().Undo(t.Context(), order, done)
	if err != nil || undone.Kept || world.position("a") != "down" {
		t.Errorf("%+v, %v, lever %s", undone, err, world.position("a"))
	}
}

// lateJournal lets something happen right after an intent is on disk.
type lateJournal struct {
	Journal
	then func()
}

func (j lateJournal) Begin(ctx context.Context, intent jenner.Intent) (jenner.Intent, bool, error) {
	stored, fresh, err := j.Journal.Begin(ctx, intent)
	j.then()
	return stored, fresh, err
}

// blunt is an action that can tell nothing about itself.
type blunt struct{ done int }

func (b *blunt) Do(context.Context, Call) (Result, error) {
	b.done++
	return Result{Changed: true}, nil
}

// TestAHoldBetweenTheIntentAndTheEffect: nothing was done, and this process knows it, so that it is done once the hold is
// gone also by an action that cannot tell; the next process does not know it, and asks.
func TestAHoldBetweenTheIntentAndTheEffect(t *testing.T) {
	world, action := newLedger(), &blunt{}
	executor := world.executor()
	executor.Journal = lateJournal{executor.Journal, func() { world.setHold(&jenner.Hold{Scope: jenner.HoldAll, By: "ann", At: time.Now()}) }}
	order := world.order("k", "up")
	order.Action = action
	if _, err := executor.Do(t.Context(), order); !errors.Is(err, ErrHeld) || action.done != 0 {
		t.Fatalf("held: %v, done %d times", err, action.done)
	}
	world.setHold(nil)
	next := world.executor()
	if intent, err := next.Do(t.Context(), order); intent.State != jenner.IntentUnknown || jenner.NextAfter(err) != jenner.TellHuman || action.done != 0 {
		t.Errorf("another process: %s, %v, done %d times", intent.State, err, action.done)
	}
	order.Call.Key = "k2"
	if _, err := executor.Do(t.Context(), order); !errors.Is(err, ErrHeld) {
		t.Fatal(err)
	}
	world.setHold(nil)
	for range 2 {
		if intent, err := executor.Do(t.Context(), order); err != nil || intent.State != jenner.IntentDone || action.done != 1 {
			t.Errorf("when it was over: %s, %v, done %d times", intent.State, err, action.done)
		}
	}
}

// TestL4SomebodyElsesChangeDuringAnUndo: an undo was begun, and its process died. What is as before the effect is done;
// what is neither that nor as the effect left it was changed by somebody else since, and is left alone.
func TestL4SomebodyElsesChangeDuringAnUndo(t *testing.T) {
	for name, want := range map[string]struct {
		now     string // how the lever stands when the next process looks
		kept    bool
		effects int // of the next process
	}{
		"the undo had not begun":     {"up", false, 1},
		"the undo had been done":     {"down", false, 0},
		"somebody else has moved it": {"left", true, 0},
	} {
		world := newLedger()
		order := world.order("k", "up")
		lever := order.Call.Target.Name
		world.put(lever, "down")
		done, err := world.executor().Do(t.Context(), order)
		if err != nil || done.Before == "" || done.Fingerprint == "" {
			t.Fatalf("%s: %v, fingerprints %q and %q", name, err, done.Before, done.Fingerprint)
		}
		if _, _, err := world.Begin(t.Context(), jenner.Intent{Key: "k/undo", State: jenner.IntentIntended, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		world.put(lever, want.now)
		before := len(world.seen())
		undone, err := world.executor().Undo(t.Context(), order, done)
		effects := strings.Count("\n"+strings.Join(world.seen()[before:], "\n"), "\nundo ")
		if err != nil || undone.Kept != want.kept || effects != want.effects {
			t.Errorf("%s: %+v, %v, %d effects: %v", name, undone, err, effects, world.seen()[before:])
		}
		wantPosition := want.now
		if want.effects > 0 {
			wantPosition = "down"
		}
		if got := world.position(lever); got != wantPosition {
			t.Errorf("%s: the lever stands %s", name, got)
		}
	}
}
