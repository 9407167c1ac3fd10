package nginx

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("start", "Start nginx where it does not live", func() act.Action { return &Start{} })
}

// Start starts nginx and returns when it has workers. Where it lives already, nothing is changed.
type Start struct{ target }

// Check refuses a configuration that nginx refuses, with its own words.
func (*Start) Check(ctx context.Context, call act.Call) error {
	t, _, err := see(call.Target)
	if err != nil {
		return err
	}
	return t.test(ctx)
}

// Do starts it.
func (*Start) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureRunning(ctx, call.Target)
}

// Happened is done where it lives, whoever started it: that is all that Do wants.
func (*Start) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, is, err := see(call.Target)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.Alive:
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// undoGrace is how long an nginx that is stopped again may take to finish its requests.
const undoGrace = 5 * time.Second

// Undo ends it where it did not live before.
func (*Start) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if was.Alive {
		return act.Result{Summary: "it ran before, and is left running"}, nil
	}
	return ensureGone(ctx, call.Target, undoGrace)
}
