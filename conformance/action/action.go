// Package actiontest is the suite that every action passes, real ones and fakes alike.
//
// It is for tests of providers: hand Run a world in which the action can be carried out. It is not for testing what an
// action does to its technology; that stands in the provider's own tests.
package actiontest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/await"
)

// World is one fresh world for one test of one action. Each test of the suite builds its own.
type World struct {
	// Action gives a fresh value that holds the step's parameters.
	Action func() act.Action
	// Call is what the action is told; the suite fills in Key and Checkpoint.
	Call act.Call
	// Meddle changes what the action changed, as somebody else would after the effect. Needed for a Fingerprinter.
	Meddle func(t *testing.T)
	// State names what an undo must bring back, where that is less than the fingerprint tells: a process that was ended
	// comes back as another one. Nil: the fingerprint.
	State func(t *testing.T) string
	// Block makes the target such that Do cannot end by itself, and gives a function that tells whether a Do is under way;
	// the suite then cancels it. Nil where an effect of this kind is over at once.
	Block func(t *testing.T) (underWay func() bool)
	// KnownAfter and KnownBefore are what Happened answers after the effect and before it; HappenedDone and HappenedNot
	// where not said. An action that cannot know says HappenedUnknown.
	KnownAfter, KnownBefore act.Happened
	// Already means that the world is such that the effect is there before the action is called.
	Already bool
}

// Run runs the suite. build is called once for each test and ends what it starts through t.Cleanup.
func Run(t *testing.T, build func(t *testing.T) World) {
	tests := []struct {
		name string
		test func(t *testing.T, world World)
	}{
		{"parameters are right", validates},
		{"the effect shows", effectShows},
		{"a reader changes nothing", readerChangesNothing},
		{"it knows whether it happened", knowsWhetherItHappened},
		{"undo brings back what was before", undoRestores},
		{"undoing twice is as undoing once", undoTwice},
		{"undoing what did not happen changes nothing", undoOfNothing},
		{"somebody else's change shows", meddlingShows},
		{"a cancelled call ends", cancelEnds},
		{"a call that is cancelled before it begins changes nothing", cancelledBefore},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := build(t)
			world.Call.Key = "conformance-" + jenner.Fingerprint(t.Name())
			test.test(t, world)
		})
	}
}

func validates(t *testing.T, world World) {
	if validator, ok := world.Action().(act.Validator); ok {
		if err := validator.Validate(); err != nil {
			t.Errorf("Validate refuses the world's parameters: %v", err)
		}
	}
	check(t, world)
}

func effectShows(t *testing.T, world World) {
	call := prepared(t, world)
	before := fingerprint(t, world)
	result := do(t, world, call)
	after := fingerprint(t, world)
	if result.Summary == "" {
		t.Error("the result has no summary; the timeline would have an empty line")
	}
	if _, err := json.Marshal(result.Output); err != nil {
		t.Errorf("the output cannot be kept as JSON: %v", err)
	}
	if result.Changed == world.Already {
		t.Errorf("Changed is %v in a world where the effect was there already: %v", result.Changed, world.Already)
	}
	if _, has := world.Action().(act.Fingerprinter); has && (before != after) != result.Changed {
		t.Errorf("Changed is %v, and the fingerprint went from %q to %q", result.Changed, before, after)
	}
}

func readerChangesNothing(t *testing.T, world World) {
	action := world.Action()
	if _, reader := action.(act.Reader); !reader {
		return
	}
	if _, undoer := action.(act.Undoer); undoer {
		t.Error("a reader has nothing to undo, and this one has Undo")
	}
	if do(t, world, prepared(t, world)).Changed {
		t.Error("a reader says that it changed something")
	}
}

func knowsWhetherItHappened(t *testing.T, world World) {
	if _, ok := world.Action().(act.Resolver); !ok {
		return
	}
	call := prepared(t, world)
	wantBefore := or(world.KnownBefore, act.HappenedNot)
	if world.Already {
		wantBefore = or(world.KnownBefore, act.HappenedDone)
	}
	if got := happened(t, world, call); got != wantBefore {
		t.Errorf("before the effect Happened is %q, want %q", got, wantBefore)
	}
	do(t, world, call)
	if got, want := happened(t, world, call), or(world.KnownAfter, act.HappenedDone); got != want {
		t.Errorf("after the effect Happened is %q, want %q", got, want)
	}
}

func undoRestores(t *testing.T, world World) {
	if _, ok := world.Action().(act.Undoer); !ok {
		return
	}
	call := prepared(t, world)
	before := restorable(t, world)
	result := do(t, world, call)
	undone := undo(t, world, call)
	if after := restorable(t, world); after != before {
		t.Errorf("the state is %s after the undo and was %s before the effect", after, before)
	}
	if undone.Changed != result.Changed {
		t.Errorf("the effect changed something: %v; the undo did: %v", result.Changed, undone.Changed)
	}
}

func undoTwice(t *testing.T, world World) {
	if _, ok := world.Action().(act.Undoer); !ok {
		return
	}
	call := prepared(t, world)
	do(t, world, call)
	undo(t, world, call)
	once := fingerprint(t, world)
	if undo(t, world, call).Changed {
		t.Error("the second undo says that it changed something")
	}
	if twice := fingerprint(t, world); twice != once {
		t.Errorf("the fingerprint is %q after one undo and %q after two", once, twice)
	}
}

func undoOfNothing(t *testing.T, world World) {
	if _, ok := world.Action().(act.Undoer); !ok {
		return
	}
	call := prepared(t, world)
	before := fingerprint(t, world)
	if undo(t, world, call).Changed {
		t.Error("the undo of an effect that never was says that it changed something")
	}
	if after := fingerprint(t, world); after != before {
		t.Errorf("the undo of an effect that never was went from %q to %q", before, after)
	}
}

func meddlingShows(t *testing.T, world World) {
	if _, ok := world.Action().(act.Fingerprinter); !ok {
		return
	}
	if world.Meddle == nil {
		t.Fatal("the world of an action with a fingerprint needs Meddle")
	}
	do(t, world, prepared(t, world))
	ours := fingerprint(t, world)
	if again := fingerprint(t, world); again != ours {
		t.Errorf("the fingerprint changes by itself: %q, then %q", ours, again)
	}
	world.Meddle(t)
	if fingerprint(t, world) == ours {
		t.Errorf("after somebody else's change the fingerprint is still %q", ours)
	}
}

func cancelEnds(t *testing.T, world World) {
	if world.Block == nil {
		return
	}
	call := prepared(t, world)
	underWay := world.Block(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := world.Action().Do(ctx, call)
		ended <- err
	}()
	deadline := time.After(await.Patience)
	for !underWay() {
		select {
		case err := <-ended:
			t.Fatalf("Do ended before it was cancelled, with %v; Block does not block", err)
		case <-deadline:
			t.Fatal("Do is not under way and has not ended")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a cancelled Do says that the effect is there")
		}
	case <-time.After(await.Patience):
		t.Fatal("Do goes on after it was cancelled")
	}
}

func cancelledBefore(t *testing.T, world World) {
	if world.Block == nil {
		return
	}
	call := prepared(t, world)
	world.Block(t)
	before := fingerprint(t, world)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := world.Action().Do(ctx, call)
	if err == nil {
		t.Errorf("a Do that was cancelled before says %q and no error", result.Summary)
	}
	if after := fingerprint(t, world); after != before {
		t.Errorf("a Do that was cancelled before went from %q to %q", before, after)
	}
}
