package nginx

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("stop", "End nginx: let it finish its requests, then end it at once", func() act.Action {
		return &Stop{Grace: jenner.Duration(10 * time.Second)}
	})
}

// Stop ends nginx by SIGQUIT, upon which it finishes the requests it has, and after a while by SIGTERM.
type Stop struct {
	target
	// Grace is how long it may take to finish its requests; 10s where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// Do ends it.
func (s *Stop) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return ensureGone(ctx, call.Target, s.Grace.Or(10*time.Second))
}

// Happened is done where it does not live.
func (*Stop) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	_, is, err := see(call.Target)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case !is.Alive:
		return act.HappenedDone, nil
	case is.sameMaster(was):
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil // ended and started again by somebody, or never ended
}

// Undo starts it where it lived before.
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
