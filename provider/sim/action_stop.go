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

// Happened is done where this very call ended it last. Where it died by itself, or was started since, that cannot be told
// any more.
func (*Stop) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	return happened(call, false, false)
}

// Undo starts the service where it lived before and nobody else has started it since.
func (*Stop) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if !was.Alive {
		return act.Result{Summary: "it did not live before, and is left so"}, nil
	}
	if mine, err := ours(call); err != nil || !mine {
		return leftAlone, err
	}
	return ensureRunning(ctx, call, "undo stop")
}
