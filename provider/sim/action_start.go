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

// Happened is done where it was started since the checkpoint and lives, by whoever. Where it has died since, that cannot be
// told any more.
func (*Start) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	return happened(call, true, false)
}

// Undo ends the service where it did not live before and nobody else has started it since.
func (*Start) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if was.Alive {
		return act.Result{Summary: "it lived before, and is left so"}, nil
	}
	if mine, err := ours(call); err != nil || !mine {
		return leftAlone, err
	}
	return ensureGone(ctx, call, "undo start")
}
