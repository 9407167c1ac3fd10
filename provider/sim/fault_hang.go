package sim

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("hang", "Stop the service without ending it", func() chaos.Fault { return &FaultHang{} })
}

// FaultHang makes the start of the service hang that the checkpoint names, and no other one.
type FaultHang struct{ victim }

// Inject makes it hang.
func (*FaultHang) Inject(_ context.Context, call chaos.Call) error {
	world, is, was, immune, err := strikeAt(call)
	if err != nil || immune || is.Generation != was.Generation {
		return err
	}
	defer world.lock()()
	world.must(call.Record.Target.Name).hung = true
	world.note("fault hang", call.Record.Target.Name, call.Record.ID)
	return nil
}

// Bite sees whether it hangs.
func (f *FaultHang) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%s hangs", call.Record.Target.Name)}, nil
}

// Armed tells whether that start of it still hangs.
func (*FaultHang) Armed(_ context.Context, call chaos.Call) (bool, error) {
	_, is, was, _, err := strikeAt(call)
	return err == nil && is.Hung && is.Generation == was.Generation, err
}

// Undo lets that start of it go on.
func (f *FaultHang) Undo(ctx context.Context, call chaos.Call) error {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return err
	}
	world, err := find(call.Record.Target)
	if err != nil {
		return err
	}
	defer world.lock()()
	world.must(call.Record.Target.Name).hung = false
	world.note("undo fault hang", call.Record.Target.Name, call.Record.ID)
	return nil
}
