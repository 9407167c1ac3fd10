package process

import (
	"context"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("start", "Start the process where it does not live", func() act.Action { return &Start{} })
}

// Start starts the process and returns once its pidfile names it. Where it lives already, nothing is changed.
type Start struct{ target }

// Do starts the process.
func (*Start) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureRunning(ctx, call.Target)
}

// Happened is done where the process lives, whoever started it: that is all that Do wants.
func (*Start) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, is, err := compared(call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.Alive:
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Undo ends the process where it did not live before.
func (*Start) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if was.Alive {
		return act.Result{Summary: "it ran before, and is left running"}, nil
	}
	return ensureGone(ctx, call.Target, 0)
}
