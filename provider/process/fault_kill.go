package process

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("kill", "Kill the process with SIGKILL", func() chaos.Fault { return &FaultKill{} }, "process")
}

// FaultKill kills the process of the checkpoint, and only that one: where another took its place meanwhile, nothing is
// done. It holds no lease, for death needs nobody to hold it; whoever owns the record undoes it when its time is over.
type FaultKill struct{ victim }

// Inject kills the process and returns when it is gone. Where it is gone already it has nothing to do.
func (*FaultKill) Inject(ctx context.Context, call chaos.Call) error {
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	if err := deliver(ctx, was.identity, unix.SIGKILL); err != nil && !errors.Is(err, errGone) {
		return fmt.Errorf("%s was not killed: %w", call.Record.Target.Ref(), err)
	}
	return nil
}

// Bite sees whether the process of the checkpoint is gone.
func (*FaultKill) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return chaos.Witness{}, err
	}
	process, err := hold(was.identity)
	if errors.Is(err, errGone) {
		return chaos.Witness{Bit: true, Saw: fmt.Sprintf("pid %d is gone", was.Pid)}, nil
	}
	if err != nil {
		return chaos.Witness{}, err
	}
	process.close()
	return chaos.Witness{Saw: fmt.Sprintf("pid %d lives", was.Pid)}, nil
}

// Armed tells whether the process is still down: as soon as another one of the target lives, the fault is over.
func (*FaultKill) Armed(_ context.Context, call chaos.Call) (bool, error) {
	_, is, err := struck(call)
	return err == nil && !is.Alive, err
}

// Undo starts the process where none lives, so that nothing stays broken.
func (*FaultKill) Undo(ctx context.Context, call chaos.Call) error {
	_, err := ensureRunning(ctx, call.Record.Target)
	return err
}
