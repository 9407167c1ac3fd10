package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Action("stop", "Stop the cluster", func() act.Action { return &Stop{Mode: modeFast} })
}

// The ways to end a server, as pg_ctl calls them.
const (
	modeSmart     = "smart"
	modeFast      = "fast"
	modeImmediate = "immediate"
)

// Stop stops the server with pg_ctl and returns once it is gone.
type Stop struct {
	onServer
	// Mode is smart (waits until all have left), fast (cuts connections, ends in good order) or immediate (as a crash: the
	// next start recovers from the log).
	Mode string `json:"mode,omitempty"`
}

// Validate refuses an unknown mode.
func (s *Stop) Validate() error { return checkMode(s.Mode) }

func checkMode(mode string) error {
	if modes := []string{modeSmart, modeFast, modeImmediate}; !slices.Contains(modes, mode) {
		return fmt.Errorf("unknown mode %q%s", mode, strict.Hint(mode, modes))
	}
	return nil
}

// Check refuses a target whose server cannot be told or reached from here.
func (*Stop) Check(_ context.Context, call act.Call) error {
	s, err := serverOf(call.Target)
	if err == nil {
		_, err = s.look()
	}
	return err
}

// Do stops the server.
func (s *Stop) Do(ctx context.Context, call act.Call) (act.Result, error) {
	server, err := serverOf(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	seen, err := server.look()
	if err != nil {
		return act.Result{}, err
	}
	if !seen.runs() {
		return act.Result{Summary: "it does not run"}, nil
	}
	if err := server.stop(ctx, s.Mode); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("stopped pid %d (%s)", seen.Pid, s.Mode), Changed: true, Output: pids{Before: seen.Pid}}, nil
}

// Happened is done where no server runs: that is all that Do wants.
func (*Stop) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, _, is, err := compared(call.Target, call.Checkpoint)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.runs():
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}

// Undo starts the server where it ran before, and where it may be started.
func (*Stop) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	s, was, _, err := compared(call.Target, call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if !was.runs() {
		return act.Result{Summary: "it did not run before, and is left so"}, nil
	}
	return ensureRunning(ctx, s, call.Service)
}
