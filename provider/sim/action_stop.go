package sim

import (
	"context"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("stop", "End the service", func() act.Action { return &Stop{} })
}

// Stop ends the service. Its undo starts it where it lived before.
type Stop struct{ lifecycle }

// Do ends the service.
func (*Stop) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureGone(ctx, call, "stop")
}

// Happened is done where it does not live, and not to be told where it was started since.
func (*Stop) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	was, is, err := compared(call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case !is.Alive:
		return act.HappenedDone, nil
	case is.Generation == was.Generation:
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// Undo starts the service where it lived before.
func (*Stop) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if !was.Alive {
		return act.Result{Summary: "it did not live before, and is left so"}, nil
	}
	return ensureRunning(ctx, call, "undo stop")
}
