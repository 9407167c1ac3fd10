package process

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("restart", "End the process, if it lives, and start it", func() act.Action { return &Restart{} })
}

// Restart ends the process as Stop does and starts it as Start does. It has no undo: the process of before is gone, and
// there is nothing that could be given back.
type Restart struct {
	target
	// Grace is how long the process may take to end by itself; the target's where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// Do restarts the process. Where it fails between the end and the start, the process is down, and doing it again starts
// it.
func (r *Restart) Do(ctx context.Context, call act.Call) (act.Result, error) {
	t, seen, unlock, err := locked(ctx, call.Target)
	if err != nil {
		return act.Result{}, err
	}
	defer unlock()
	did := pids{How: "it was gone"}
	if seen.Alive {
		did.Before = seen.Pid
		if did.How, err = t.end(ctx, seen.identity, t.patience(r.Grace)); err != nil {
			return act.Result{}, err
		}
	}
	started, err := t.launch(ctx)
	if err != nil {
		return act.Result{}, err
	}
	did.Now = started.Pid
	summary := fmt.Sprintf("restarted, pid %d → %d (%s)", did.Before, did.Now, did.How)
	if !seen.Alive {
		summary = fmt.Sprintf("started, pid %d; before: %s", did.Now, seen.Why)
	}
	return act.Result{Summary: summary, Changed: true, Output: did}, nil
}

// Happened compares the process of the checkpoint with the one that lives. One that began after the checkpoint is what
// a restart leaves. One that is neither that nor the same was there all along, and nobody can tell what happened.
func (*Restart) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	was, is, err := compared(call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case !is.Alive, is.identity == was.identity:
		return act.HappenedNot, nil
	case startedSince(was, is):
		return act.HappenedDone, nil
	}
	return act.HappenedUnknown, nil
}
