package postgres

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("restart", "Stop the cluster, if it runs, and start it", func() act.Action { return &Restart{Mode: modeFast} })
}

// Restart stops the server as Stop does and starts it as Start does. It has no undo: the connections of before are gone,
// and there is nothing that could be given back.
type Restart struct {
	onServer
	Mode string `json:"mode,omitempty"` // as of stop
}

// Validate refuses an unknown mode.
func (r *Restart) Validate() error { return checkMode(r.Mode) }

// Check refuses what must stay down.
func (*Restart) Check(ctx context.Context, call act.Call) error { return (&Start{}).Check(ctx, call) }

// Do restarts the server. Where it fails between the end and the start, the server is down, and doing it again starts it.
func (r *Restart) Do(ctx context.Context, call act.Call) (act.Result, error) {
	s, err := serverOf(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	seen, err := s.look()
	if err != nil {
		return act.Result{}, err
	}
	// What may not come back is not stopped either.
	if err := s.mayStart(ctx, call.Service); err != nil {
		return act.Result{}, err
	}
	if seen.runs() {
		if err := s.stop(ctx, r.Mode); err != nil {
			return act.Result{}, err
		}
	}
	result, err := ensureRunning(ctx, s, call.Service)
	if err != nil {
		return result, err
	}
	did := result.Output.(pids)
	did.Before = seen.Pid
	return act.Result{Summary: fmt.Sprintf("restarted, pid %d → %d", did.Before, did.Now), Changed: true, Output: did}, nil
}

// Happened compares the server of the checkpoint with the one that runs.
func (*Restart) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, was, is, err := compared(call.Target, call.Checkpoint)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case !is.runs() || is.life == was.life:
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}
