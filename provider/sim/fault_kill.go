package sim

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("kill", "End the service", func() chaos.Fault { return &FaultKill{} })
}

// FaultKill ends the start of the service that the checkpoint names, and no other one.
type FaultKill struct{ victim }

// Inject ends it.
func (*FaultKill) Inject(_ context.Context, call chaos.Call) error {
	world, is, was, immune, err := strikeAt(call)
	if err != nil || immune || is.Generation != was.Generation {
		return err
	}
	defer world.lock()()
	world.end(call.Record.Target.Name, world.must(call.Record.Target.Name))
	world.note("fault kill", call.Record.Target.Name, call.Record.ID)
	return nil
}

// Bite sees whether that start of it is over.
func (*FaultKill) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	_, is, was, _, err := strikeAt(call)
	if err != nil || is.Alive && is.Generation == was.Generation {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("start %d is gone", was.Generation)}, nil
}

// Armed tells whether it is still down.
func (*FaultKill) Armed(_ context.Context, call chaos.Call) (bool, error) {
	_, is, _, _, err := strikeAt(call)
	return err == nil && !is.Alive, err
}

// Undo starts it where it does not live.
func (*FaultKill) Undo(ctx context.Context, call chaos.Call) error {
	_, err := ensureRunning(ctx, act.Call{Target: call.Record.Target, Key: call.Record.ID}, "undo fault kill")
	return err
}
