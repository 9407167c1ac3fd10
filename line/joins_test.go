package line

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestAStageThatOnlyLooksJoins: it is committed together with the one before, and is run anew together with it.
func TestAStageThatOnlyLooksJoins(t *testing.T) {
	store := newMemory()
	joined := false
	l := aLine(store, always(Go(second), nil), func(_ context.Context, step *Step[count]) (Next, error) {
		step.State.Calls++
		joined = step.Joined() && step.Phase == second
		return Later(step.Now.Add(time.Hour)), nil
	})
	l.Phases[1].Joins = true
	create(t, l, "a")
	before := store.commits
	reconcile(t, l, "a")
	got := store.record(t, "a")
	if !joined || store.commits != before+1 || got.Phase != second || string(got.State) != `{"calls":2}` {
		t.Errorf("joined %v, %d commits, %s %s", joined, store.commits-before, got.Phase, got.State)
	}
	if told := strings.Join(store.texts("phase"), ", "); told != "first → second" {
		t.Errorf("phases in the timeline: %s", told)
	}
	joined = true
	reconcile(t, l, "a")
	if joined {
		t.Error("a stage that begins a call says that it joined")
	}
}

// TestAStageThatLeadsBackToItselfIsAStepOfItsOwn: otherwise one call could go on for ever.
func TestAStageThatLeadsBackToItselfIsAStepOfItsOwn(t *testing.T) {
	store := newMemory()
	l := aLine(store, always(Go(first), nil), nil)
	l.Phases[0].Joins = true
	create(t, l, "a")
	reconcile(t, l, "a")
	if got := store.record(t, "a"); string(got.State) != `{"calls":1}` {
		t.Errorf("one call came to %s", got.State)
	}
}

// TestWhatWouldTakeTooMuchWaits: nothing of the step is kept, the record rests where it stood, and says so once.
func TestWhatWouldTakeTooMuchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		l := aLine(store, func(_ context.Context, step *Step[count]) (Next, error) {
			step.State.Calls++
			step.Note("begin", "it begins", nil)
			step.Caps(jenner.Cap{Scope: jenner.CapAll})
			return Go(second), nil
		}, always(End(over), nil))
		create(t, l, "a")
		store.taken = true
		for range 2 {
			if due := reconcile(t, l, "a"); !due.Equal(time.Now().Add(TakenDelay)) {
				t.Errorf("it is due in %s", time.Until(due))
			}
			time.Sleep(TakenDelay)
		}
		got := store.record(t, "a")
		if got.Phase != first || string(got.State) != `{"calls":0}` || got.Wait != WaitTaken || len(store.texts("begin")) > 0 {
			t.Errorf("%s %s waits for %q; noted %q", got.Phase, got.State, got.Wait, store.texts("begin"))
		}
		if told := store.texts("wait"); len(told) != 1 {
			t.Errorf("the wait was told %d times: %q", len(told), told)
		}
		store.taken = false
		reconcile(t, l, "a")
		if got := store.record(t, "a"); got.Phase != second || got.Wait != "" {
			t.Errorf("when there is room, it stands in %s and waits for %q", got.Phase, got.Wait)
		}
	})
}

// TestResultsOutliveAStepThatIsNotKept: a conflict, caps, the end of the program; the effect is there all the same.
func TestResultsOutliveAStepThatIsNotKept(t *testing.T) {
	for name, spoil := range map[string]func(store *memory, step *Step[count], stop func()){
		"conflict": func(store *memory, _ *Step[count], _ func()) { store.refuse = jenner.ErrConflict },
		"caps": func(store *memory, step *Step[count], _ func()) {
			store.taken = true
			step.Caps(jenner.Cap{Scope: jenner.CapAll})
		},
		"the end": func(_ *memory, _ *Step[count], stop func()) { stop() },
		"a disk":  func(store *memory, _ *Step[count], _ func()) { store.refuse = errBad },
		"nothing": func(*memory, *Step[count], func()) {},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			l := aLine(store, func(_ context.Context, step *Step[count]) (Next, error) {
				step.Result(jenner.Intent{Key: "k", State: jenner.IntentDone})
				spoil(store, step, stop)
				return Go(second), nil
			}, nil)
			var saved []string
			l.Refused = func(_ context.Context, results []jenner.Intent) {
				for _, result := range results {
					saved = append(saved, result.Key)
				}
			}
			create(t, l, "a")
			_, _ = l.Reconcile(ctx, "a")
			if kept := name == "nothing"; kept != (len(saved) == 0) || len(saved) > 1 {
				t.Errorf("saved beside the step: %v", saved)
			}
		})
	}
}

// TestWhatFollowsAtOnceIsNotLoaded: the record is as this line committed it a moment ago; whoever moved it since is met
// when the step is committed, and then it is loaded.
func TestWhatFollowsAtOnceIsNotLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		l := aLine(store, always(Go(second), nil), func(_ context.Context, step *Step[count]) (Next, error) {
			return Later(step.Now.Add(time.Minute)), nil
		})
		create(t, l, "a")
		reconcile(t, l, "a")
		reconcile(t, l, "a")
		if store.loads != 0 {
			t.Errorf("%d loads of what follows at once", store.loads)
		}
		time.Sleep(time.Minute)
		reconcile(t, l, "a")
		if store.loads != 1 {
			t.Errorf("%d loads after a rest", store.loads)
		}
		other := aLine(store, always(Go(second), nil), always(Go(first), nil))
		reconcile(t, other, "a")
		time.Sleep(time.Minute)
		moved := store.record(t, "a").Version
		before := store.loads
		reconcile(t, l, "a") // it has rested, so it is loaded, and the other's commit seen
		if loads := store.loads - before; store.record(t, "a").Version != moved+1 || loads != 1 {
			t.Errorf("version %d after %d, %d loads", store.record(t, "a").Version, moved, loads)
		}
	})
}
