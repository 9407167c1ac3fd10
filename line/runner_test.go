package line

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// running starts a runner, and gives it with a function that stops it and waits until it has.
func running(t *testing.T, workers int, lines ...Reconciler) (*Runner, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	r := NewRunner(workers, silent, lines...)
	var done sync.WaitGroup
	done.Go(func() { r.Run(ctx) })
	stop := func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return r, stop
}

// TestL13DueTimesSurviveANewRunner: a wait of an hour goes on where it stood when another process takes over.
func TestL13DueTimesSurviveANewRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, began := newMemory(), time.Now()
		at := map[jenner.Phase]time.Duration{}
		l := aLine(store, func(_ context.Context, step *Step[count]) (Next, error) {
			if step.State.Calls++; step.State.Calls == 1 {
				return Later(began.Add(time.Hour)), nil
			}
			at[first] = time.Since(began)
			return Go(second), nil
		}, always(End(over), nil))
		create(t, l, "a")
		_, stop := running(t, 2, l)
		time.Sleep(20 * time.Minute)
		stop()
		time.Sleep(20 * time.Minute)
		_, stop = running(t, 2, l)
		time.Sleep(time.Hour)
		stop()
		if at[first] != time.Hour {
			t.Errorf("it was called again after %s, want 1h", at[first])
		}
		if !store.record(t, "a").Ended {
			t.Error("it has not ended")
		}
	})
}

// TestL12WhatADeadOneLeftIsTakenOver: the store alone tells what is due, whoever put it there.
func TestL12WhatADeadOneLeftIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		l := aLine(store, always(Go(second), nil), always(End(over), nil))
		_, stop := running(t, 1, l)
		time.Sleep(10 * time.Second)
		create(t, l, "a") // by another process: nobody wakes the runner
		time.Sleep(2 * rescan)
		stop()
		if !store.record(t, "a").Ended {
			t.Error("nobody took it over")
		}
	})
}

func TestAWakeEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, began, woken := newMemory(), time.Now(), time.Duration(-1)
		l := aLine(store, func(_ context.Context, step *Step[count]) (Next, error) {
			if step.State.Calls++; step.State.Calls == 1 {
				return WaitFor("person", began.Add(24*time.Hour)), nil
			}
			woken = time.Since(began)
			return End(over), nil
		}, nil)
		create(t, l, "a")
		r, stop := running(t, 1, l)
		time.Sleep(time.Minute)
		if got := store.record(t, "a"); got.Wait != "person" {
			t.Errorf("it waits for %q", got.Wait)
		}
		r.Wake(t.Context(), "test", "a")
		r.Wake(t.Context(), "test", "nobody")
		r.Wake(t.Context(), "other", "a")
		time.Sleep(time.Second)
		stop()
		if woken != time.Minute {
			t.Errorf("called again after %s, want 1m", woken)
		}
	})
}

// TestAWakeDuringAStageIsNotLost: what changed while the stage looked must be looked at again.
func TestAWakeDuringAStageIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		l := aLine(store, func(_ context.Context, step *Step[count]) (Next, error) {
			step.State.Calls++
			time.Sleep(time.Second)
			return WaitFor("person", step.Now.Add(24*time.Hour)), nil
		}, nil)
		create(t, l, "a")
		r, stop := running(t, 1, l)
		time.Sleep(500 * time.Millisecond)
		r.Wake(t.Context(), "test", "a")
		time.Sleep(time.Minute)
		stop()
		if got := string(store.record(t, "a").State); got != `{"calls":2}` {
			t.Errorf("%s, want two calls", got)
		}
	})
}

// busiest counts who works at the same time, in all and on one id.
type busiest struct {
	mu        sync.Mutex
	now, most int
	ids       map[string]int
	twice     bool
}

func (b *busiest) stage(takes time.Duration, calls int) stage {
	b.ids = map[string]int{}
	return func(_ context.Context, step *Step[count]) (Next, error) {
		b.mu.Lock()
		b.now++
		b.ids[step.ID]++
		b.most, b.twice = max(b.most, b.now), b.twice || b.ids[step.ID] > 1
		b.mu.Unlock()
		time.Sleep(takes)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
		b.ids[step.ID]--
		if step.State.Calls++; step.State.Calls == calls {
			return End(over), nil
		}
		return Later(step.Now), nil
	}
}

func TestWorkersAreBoundedAndNoIDIsHandledTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, seen := newMemory(), &busiest{}
		l := aLine(store, seen.stage(100*time.Millisecond, 3), nil)
		for i := range 40 {
			create(t, l, fmt.Sprint(i))
		}
		r, stop := running(t, 3, l)
		for range 50 {
			time.Sleep(90 * time.Millisecond)
			for i := range 40 {
				r.Wake(t.Context(), "test", fmt.Sprint(i))
			}
		}
		time.Sleep(time.Minute)
		stop()
		if seen.most != 3 || seen.twice {
			t.Errorf("%d at the same time, want 3; one id twice at once: %v", seen.most, seen.twice)
		}
		for i := range 40 {
			if got := store.record(t, fmt.Sprint(i)); !got.Ended || string(got.State) != `{"calls":3}` {
				t.Fatalf("record %d: ended %v, %s", i, got.Ended, got.State)
			}
		}
	})
}

// TestL20AStormIsNotAskedForWithoutPause: far more is due than the workers can take, and the store has its peace.
func TestL20AStormIsNotAskedForWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, seen := newMemory(), &busiest{}
		l := aLine(store, seen.stage(time.Minute, 1), nil)
		for i := range 100 {
			create(t, l, fmt.Sprint(i))
		}
		_, stop := running(t, 2, l)
		time.Sleep(50 * time.Second) // nothing ends in this time
		store.mu.Lock()
		asked := store.dues
		store.mu.Unlock()
		if asked > 60 {
			t.Errorf("the store was asked %d times in 50 s what is due", asked)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if store.commits != 200 {
			t.Errorf("%d commits for 100 records, want 200", store.commits)
		}
	})
}

func TestAStoreThatRefusesIsNotAskedWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var calls atomic.Int64
		l := aLine(store, func(context.Context, *Step[count]) (Next, error) { calls.Add(1); return End(over), nil }, nil)
		create(t, l, "a")
		store.refuse = errBad
		_, stop := running(t, 8, l)
		time.Sleep(10 * time.Second)
		if made := calls.Load(); made < 5 || made > 101 {
			t.Errorf("%d calls in 10 s against a store that refuses", made)
		}
		store.mu.Lock()
		store.refuse = nil
		store.mu.Unlock()
		time.Sleep(2 * time.Second)
		stop()
		if !store.record(t, "a").Ended {
			t.Error("it did not go on when the store did")
		}
	})
}

// TestTheEndOfTheContextStopsWithoutCommitting: neither the stage at work nor those that wait for a worker commit.
func TestTheEndOfTheContextStopsWithoutCommitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var mu sync.Mutex
		begun := 0
		l := aLine(store, func(ctx context.Context, step *Step[count]) (Next, error) {
			mu.Lock()
			begun++
			mu.Unlock()
			<-ctx.Done()
			return End(over), nil
		}, nil)
		create(t, l, "a", "b", "c")
		r, stop := running(t, 1, l)
		time.Sleep(time.Second)
		stop() // returns, so no worker is left
		r.Wake(t.Context(), "test", "b")
		synctest.Wait()
		if begun != 1 || store.commits != 3 {
			t.Errorf("%d stages were begun, want 1; %d commits, want the 3 that created them", begun, store.commits)
		}
	})
}
