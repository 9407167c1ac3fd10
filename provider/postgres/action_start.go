package postgres

import (
	"context"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("start", "Start the cluster where it does not run", func() act.Action { return &Start{} })
}

// Start starts the server with pg_ctl and returns once it answers. A fenced cluster is not started, nor one that would come
// back as a second primary of its service.
type Start struct{ onServer }

// Check refuses what must stay down.
func (*Start) Check(ctx context.Context, call act.Call) error {
	s, err := serverOf(call.Target)
	if err != nil {
		return err
	}
	seen, err := s.look()
	if err != nil || seen.runs() {
		return err
	}
	return s.mayStart(ctx, call.Service)
}

// Do starts the server.
func (*Start) Do(ctx context.Context, call act.Call) (act.Result, error) {
	s, err := serverOf(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	return ensureRunning(ctx, s, call.Service)
}

// Happened is done where a server runs, whoever started it: that is all that Do wants.
func (*Start) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, _, is, err := compared(call.Target, call.Checkpoint)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.runs():
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Undo stops the server where it did not run before.
func (*Start) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	s, was, is, err := compared(call.Target, call.Checkpoint)
	switch {
	case err != nil:
		return act.Result{}, err
	case was.runs():
		return act.Result{Summary: "it ran before, and is left running"}, nil
	case !is.runs():
		return act.Result{Summary: "it is stopped already"}, nil
	}
	if err := s.stop(ctx, modeFast); err != nil {
		return act.Result{}, jenner.Retryable(err, "")
	}
	return act.Result{Summary: "stopped again", Changed: true}, nil
}
