package process

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("hang", "Stop the process with SIGSTOP: it lives and answers nothing", func() chaos.Fault { return &FaultHang{} }, "process")
}

// FaultHang stops the process of the checkpoint, and only that one. Its connections stay open and nobody answers on
// them, and SIGTERM waits until the process goes on. A stopped process cannot wake itself: whoever owns the record
// undoes it when its time is over.
type FaultHang struct{ victim }

// Inject stops the process and returns when /proc shows it stopped.
func (*FaultHang) Inject(ctx context.Context, call chaos.Call) error {
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	if err := deliver(ctx, was.identity, unix.SIGSTOP); err != nil {
		return fmt.Errorf("%s was not stopped: %w", call.Record.Target.Ref(), err)
	}
	return nil
}

// Bite sees whether /proc shows the process of the checkpoint stopped.
func (f *FaultHang) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return chaos.Witness{}, err
	}
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return chaos.Witness{Saw: fmt.Sprintf("pid %d is not stopped", was.Pid)}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("pid %d is in state T", was.Pid)}, nil
}

// Armed tells whether the process of the checkpoint is still stopped. It does not ask the pidfile: a remediation that
// lost the process without ending it has not taken the fault away.
func (*FaultHang) Armed(_ context.Context, call chaos.Call) (bool, error) {
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return false, err
	}
	process, err := hold(was.identity)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer process.close()
	stopped, err := process.stopped()
	if errors.Is(err, errGone) {
		return false, nil
	}
	return stopped, err
}

// Undo lets exactly the process of the checkpoint go on. Where it is gone or runs, there is nothing to take back.
func (f *FaultHang) Undo(ctx context.Context, call chaos.Call) error {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return err
	}
	was, err := before(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	if err := deliver(ctx, was.identity, unix.SIGCONT); err != nil && !errors.Is(err, errGone) {
		return fmt.Errorf("%s was not let go on: %w", call.Record.Target.Ref(), err)
	}
	return nil
}
