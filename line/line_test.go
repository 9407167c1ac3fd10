package line

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

func TestOneStageACall(t *testing.T) {
	store := newMemory()
	l := aLine(store, always(Go(second), nil), always(End(over), nil))
	create(t, l, "a")
	for i, want := range []jenner.Record{
		{Phase: second, Version: 2, State: []byte(`{"calls":1}`)},
		{Phase: over, Version: 3, State: []byte(`{"calls":2}`), Ended: true},
	} {
		due := reconcile(t, l, "a")
		got := store.record(t, "a")
		if got.Phase != want.Phase || got.Version != want.Version || string(got.State) != string(want.State) || got.Ended != want.Ended {
			t.Errorf("after call %d: %s version %d ended %v %s", i+1, got.Phase, got.Version, got.Ended, got.State)
		}
		if due.IsZero() != want.Ended {
			t.Errorf("after call %d it is due at %s", i+1, due)
		}
	}
	if got := strings.Join(store.texts("phase"), ", "); got != "first → second, second → over" {
		t.Errorf("phases in the timeline: %s", got)
	}
}

// TestL10EndedIsFinal: no call and no wake moves what has ended.
func TestL10EndedIsFinal(t *testing.T) {
	store := newMemory()
	l := aLine(store, always(End(over), nil), nil)
	create(t, l, "a")
	reconcile(t, l, "a")
	before := store.record(t, "a")
	if due := reconcile(t, l, "a"); !due.IsZero() {
		t.Errorf("an ended record is due at %s", due)
	}
	if after := store.record(t, "a"); after.Version != before.Version || string(after.State) != `{"calls":1}` {
		t.Errorf("an ended record went from version %d to %d: %s", before.Version, after.Version, after.State)
	}
}

// TestL18AConflictKeepsNothing: of two who move the same version, one does; nothing of the other one's step is kept.
func TestL18AConflictKeepsNothing(t *testing.T) {
	store := newMemory()
	var l *Line[count]
	inner := false
	l = aLine(store, func(ctx context.Context, step *Step[count]) (Next, error) {
		step.State.Calls++
		if !inner { // somebody else moves the record while this stage works
			inner = true
			reconcile(t, l, "a")
			step.Note("note", "the slower one", nil)
			step.Audit("slower", nil)
		}
		return Go(second), nil
	}, always(End(over), nil))
	create(t, l, "a")
	committed := 0
	l.Committed = func(jenner.Change) { committed++ }
	if _, err := l.Reconcile(t.Context(), "a"); !errors.Is(err, jenner.ErrConflict) {
		t.Fatalf("the slower one: %v, want a conflict", err)
	}
	if got := store.record(t, "a"); got.Version != 2 || string(got.State) != `{"calls":1}` {
		t.Errorf("stored is version %d, %s", got.Version, got.State)
	}
	if notes := store.texts("note"); len(notes) > 0 || len(store.audit) != 1 || committed != 1 {
		t.Errorf("of the slower one were kept: notes %v, audit %v, %d told", notes, store.audit, committed)
	}
}

func TestAnErrorSaysWhatHappensNext(t *testing.T) {
	tests := map[string]struct {
		err   error
		ended bool
		due   time.Duration
		note  string
	}{
		"retry": {jenner.Retryable(errBad, ""), false, RetryDelay, "error"},
		"never": {jenner.Permanent(errBad, ""), true, 0, "failed"},
		"human": {jenner.ForHuman(errBad, ""), true, 0, "failed"},
		"plain": {errBad, true, 0, "failed"}, // what does not say is not repeated
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				l := aLine(store, always(Next{}, test.err), nil)
				create(t, l, "a")
				due := reconcile(t, l, "a")
				if got := store.record(t, "a"); got.Ended != test.ended {
					t.Errorf("ended: %v", got.Ended)
				}
				if !test.ended && !due.Equal(time.Now().Add(test.due)) {
					t.Errorf("due in %s, want %s", time.Until(due), test.due)
				}
				if notes := store.texts(test.note); len(notes) != 1 || notes[0] != "bad" {
					t.Errorf("notes of kind %s: %v", test.note, notes)
				}
			})
		})
	}
}

func TestAnUnknownPhaseNeedsAHuman(t *testing.T) {
	store := newMemory()
	l := aLine(store, always(Go("elsewhere"), nil), nil)
	create(t, l, "a")
	reconcile(t, l, "a")
	reconcile(t, l, "a")
	if got := store.texts("failed"); len(got) != 1 || !strings.Contains(got[0], `unknown phase "elsewhere"`) {
		t.Errorf("%v", got)
	}
}

func TestTheEndOfTheProgramIsNoResult(t *testing.T) {
	store := newMemory()
	ctx, stop := context.WithCancelCause(t.Context())
	l := aLine(store, func(context.Context, *Step[count]) (Next, error) {
		stop(errBad)
		return Next{}, jenner.Permanent(context.Canceled, "")
	}, nil)
	create(t, l, "a")
	if _, err := l.Reconcile(ctx, "a"); !errors.Is(err, errBad) {
		t.Errorf("a stage during which the program ended: %v", err)
	}
	if got := store.record(t, "a"); got.Version != 1 || got.Ended {
		t.Errorf("it was committed: version %d, ended %v", got.Version, got.Ended)
	}
}

func TestAnIDIsTakenOnce(t *testing.T) {
	store := newMemory()
	l := aLine(store, nil, nil)
	var told []jenner.Change
	l.Committed = func(change jenner.Change) { told = append(told, change) }
	create(t, l, "a")
	if err := l.Create(t.Context(), "a", "shop", count{Calls: 7}); !errors.Is(err, jenner.ErrConflict) {
		t.Errorf("a second record of one id: %v, want a conflict", err)
	}
	if got := store.record(t, "a"); string(got.State) != `{"calls":0}` {
		t.Errorf("the second one is stored: %s", got.State)
	}
	if len(told) != 1 || told[0].Record.Version != store.record(t, "a").Version {
		t.Errorf("told of %d changes, the first with version %d", len(told), told[0].Record.Version)
	}
}
