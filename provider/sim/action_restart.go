package sim

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("restart", "End the service, if it lives, and start it", func() act.Action { return &Restart{} })
}

// Restart ends the service and starts it. It has no undo, for what ran before is gone.
type Restart struct{ lifecycle }

// Do restarts the service. Where it fails between the end and the start, the service is down, and doing it again starts
// it.
func (*Restart) Do(ctx context.Context, call act.Call) (act.Result, error) {
	world, was, err := look(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	if ctx.Err() != nil {
		return act.Result{}, context.Cause(ctx)
	}
	unlock := world.lock()
	world.note("restart", call.Target.Name, call.Key)
	one := world.must(call.Target.Name)
	one.alive, one.hung = false, false
	unlock()
	if err := world.start(ctx, call.Target.Name, call.Key); err != nil {
		return act.Result{}, err
	}
	now := world.Generation(call.Target.Name)
	return act.Result{Summary: fmt.Sprintf("restarted, start %d → %d", was.Generation, now), Changed: true}, nil
}

// Happened is done where it was started since the checkpoint and lives, by whoever. Where it has died since, that cannot be
// told any more.
func (*Restart) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	return happened(call, true, true)
}
