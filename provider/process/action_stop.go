package process

import (
	"context"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("stop", "End the process: ask it, then SIGKILL after its grace", func() act.Action { return &Stop{} })
}

// Stop ends the process by the target's stop command or SIGTERM, and by SIGKILL where that does not help in time. A
// process that is stopped (state T) can handle no SIGTERM and is killed at once.
type Stop struct {
	target
	// Grace is how long the process may take to end by itself; the target's where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// Do ends the process.
func (s *Stop) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureGone(ctx, call.Target, s.Grace)
}

// Happened is done where the process does not live.
func (*Stop) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	was, is, err := compared(call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case !is.Alive:
		return act.HappenedDone, nil
	case is.identity == was.identity:
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil // ended and started again by somebody, or never ended
}

// Undo starts the process where it lived before.
func (*Stop) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if !was.Alive {
		return act.Result{Summary: "it did not run before, and is left so"}, nil
	}
	return ensureRunning(ctx, call.Target)
}
