package nginx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("reload", "Let nginx read its configuration anew", func() act.Action { return &Reload{} })
}

// Reload lets the master read its configuration and start new workers in the place of those it has, which finish their
// requests. It returns when every worker that takes connections is a new one. A configuration that nginx refuses is never
// loaded. It has no undo: put the configuration back and reload again.
type Reload struct{ target }

// Check refuses an nginx that does not live, and a configuration that it refuses, with its own words.
func (*Reload) Check(ctx context.Context, call act.Call) error {
	t, seen, err := see(call.Target)
	if err != nil {
		return err
	}
	if !seen.Alive {
		return jenner.Permanent(fmt.Errorf("%s cannot be reloaded: %s", call.Target.Ref(), seen.Why), "start it")
	}
	return t.test(ctx)
}

// Do reloads. Where it ends early, nginx may still be about to reload; doing it again does no harm.
func (r *Reload) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if ctx.Err() != nil {
		return act.Result{}, jenner.Retryable(context.Cause(ctx), "")
	}
	if err := r.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	t, was, err := see(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	master, err := hold(was)
	if err == nil {
		err = master.signal(unix.SIGHUP)
		master.close()
	}
	if err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s was not told to reload: %w", call.Target.Ref(), err), "")
	}
	is, err := t.renewal(ctx, was)
	if err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s: %w", call.Target.Ref(), err), "its error log says why")
	}
	return act.Result{Summary: fmt.Sprintf("reloaded, master pid %d, %d new workers", is.Master.Pid, len(is.Workers)), Changed: true,
		Output: pids{is.Master.Pid, is.Workers}}, nil
}

// renewal waits until all workers are new ones.
func (t *Target) renewal(ctx context.Context, was sight) (sight, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		is, err := t.look()
		switch {
		case err == nil && is.Alive && is.sameMaster(was) && is.renewed(was):
			return is, nil
		case err == nil && (!is.Alive || !is.sameMaster(was)):
			return is, fmt.Errorf("the master process ended while it reloaded; now: %s", is)
		}
		select {
		case <-ctx.Done():
			return is, fmt.Errorf("it was told to reload and has not started new workers: %w", errors.Join(err, context.Cause(ctx)))
		case <-tick.C:
		}
	}
}

// Happened tells by the workers: another master, or nothing but new workers, has read the configuration since. Doing it
// again does no harm, so that anything else is 'not done'.
func (*Reload) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	was, err := before(call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	_, is, err := see(call.Target)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.Alive && (!is.sameMaster(was) || is.renewed(was)):
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}
