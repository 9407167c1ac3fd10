package actiontest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/await"
)

// Each step takes a fresh value of the action: after a crash it is another process that resolves and undoes.

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, world World) {
	t.Helper()
	if checker, ok := world.Action().(act.Checker); ok {
		if err := checker.Check(limited(t), world.Call); err != nil {
			t.Fatalf("Check refuses the world: %v", err)
		}
	}
}

// prepared is the call with its checkpoint, which went through JSON as it does in the store.
func prepared(t *testing.T, world World) act.Call {
	t.Helper()
	check(t, world)
	call := world.Call
	checkpointer, ok := world.Action().(act.Checkpointer)
	if !ok {
		return call
	}
	raw, err := checkpointer.Checkpoint(limited(t), call)
	if err != nil {
		t.Fatalf("Checkpoint: %v", err)
	}
	var stored json.RawMessage
	if err := json.Unmarshal(jenner.Raw(raw), &stored); err != nil {
		t.Fatalf("the checkpoint is not JSON: %v", err)
	}
	call.Checkpoint = stored
	return call
}

func do(t *testing.T, world World, call act.Call) act.Result {
	t.Helper()
	result, err := world.Action().Do(limited(t), call)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	return result
}

func undo(t *testing.T, world World, call act.Call) act.Result {
	t.Helper()
	result, err := world.Action().(act.Undoer).Undo(limited(t), call)
	if err != nil {
		t.Fatalf("Undo: %v", err)
	}
	return result
}

func happened(t *testing.T, world World, call act.Call) act.Happened {
	t.Helper()
	known, err := world.Action().(act.Resolver).Happened(limited(t), call)
	if err != nil {
		t.Fatalf("Happened: %v", err)
	}
	return known
}

func fingerprint(t *testing.T, world World) string {
	t.Helper()
	fingerprinter, ok := world.Action().(act.Fingerprinter)
	if !ok {
		return ""
	}
	print, err := fingerprinter.Fingerprint(limited(t), world.Call)
	if err != nil {
		t.Fatalf("Fingerprint: %v", err)
	}
	return print
}

// restorable is the state that an undo must bring back.
func restorable(t *testing.T, world World) string {
	t.Helper()
	if world.State != nil {
		return world.State(t)
	}
	return fingerprint(t, world)
}

func or(known, fallback act.Happened) act.Happened {
	if known == "" {
		return fallback
	}
	return known
}
