package sim

import (
	"context"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("start", "Start the service, if it does not live", func() act.Action { return &Start{} })
}

// Start starts the service. Its undo ends it where it did not live before.
type Start struct{ lifecycle }

// Do starts the service.
func (*Start) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureRunning(ctx, call, "start")
}

// Happened is done where it lives.
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

// Undo ends the service where it did not live before.
func (*Start) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if was.Alive {
		return act.Result{Summary: "it lived before, and is left so"}, nil
	}
	return ensureGone(ctx, call, "undo start")
}
