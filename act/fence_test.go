package act

import (
	"errors"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
)

// TestAFenceBlocksEverything: unlike a hold it also blocks undo, for another process may act in this one's place.
func TestAFenceBlocksEverything(t *testing.T) {
	world := newLedger()
	order, done := world.moved(t)
	before := len(world.seen())
	fence := errors.New("the lease is lost")
	e := world.executor()
	e.Fence = func() error { return fence }
	taking := world.order("k2", "middle")
	taking.Undoing = true
	undo := func() error { _, err := e.Undo(t.Context(), order, done); return err }
	tries := map[string]func() error{
		"an effect":                         func() error { _, err := e.Do(t.Context(), world.order("k3", "up")); return err },
		"an effect that takes another back": func() error { _, err := e.Do(t.Context(), taking); return err },
		"an undo":                           undo,
	}
	for name, try := range tries {
		if err := try(); !errors.Is(err, ErrHeld) || jenner.NextAfter(err) != jenner.TryAgain || !strings.Contains(err.Error(), "the lease is lost") {
			t.Errorf("%s behind a fence: %v", name, err)
		}
	}
	for _, event := range world.seen()[before:] {
		if strings.HasPrefix(event, "effect") || strings.HasPrefix(event, "undo") {
			t.Errorf("behind a fence happened: %s", event)
		}
	}
	if world.position("a") != "up" {
		t.Errorf("the lever is %s", world.position("a"))
	}
	fence = nil
	if err := undo(); err != nil || world.position("a") != "down" {
		t.Errorf("without the fence: %v, lever %s", err, world.position("a"))
	}
}
