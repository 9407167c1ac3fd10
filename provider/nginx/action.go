package nginx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// target is what the actions of this package share.
type target struct{}

// Checkpoint keeps which master and which workers there were.
func (target) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	_, seen, err := see(call.Target)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(seen), nil
}

// Fingerprint names the master and its workers.
func (target) Fingerprint(_ context.Context, call act.Call) (string, error) {
	_, seen, err := see(call.Target)
	return seen.String(), err
}

// pids is the output.
type pids struct {
	Master  int       `json:"master,omitempty"`
	Workers []process `json:"workers,omitempty"`
}

// ensureRunning starts nginx where it does not live.
func ensureRunning(ctx context.Context, written jenner.Target) (act.Result, error) {
	if ctx.Err() != nil {
		return act.Result{}, jenner.Retryable(context.Cause(ctx), "")
	}
	t, seen, err := see(written)
	if err != nil {
		return act.Result{}, err
	}
	if seen.Alive {
		return act.Result{Summary: fmt.Sprintf("already runs as pid %d", seen.Master.Pid), Output: pids{seen.Master.Pid, seen.Workers}}, nil
	}
	if err := t.test(ctx); err != nil {
		return act.Result{}, err
	}
	started, err := t.start(ctx)
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("started, pid %d", started.Master.Pid), Changed: true,
		Output: pids{started.Master.Pid, started.Workers}}, nil
}

// ensureGone ends nginx where it lives: it may finish its requests for as long as grace, and is then told to end at once.
func ensureGone(ctx context.Context, written jenner.Target, grace time.Duration) (act.Result, error) {
	if ctx.Err() != nil {
		return act.Result{}, jenner.Retryable(context.Cause(ctx), "")
	}
	_, seen, err := see(written)
	if err != nil {
		return act.Result{}, err
	}
	master, err := hold(seen)
	if !seen.Alive || errors.Is(err, errGone) {
		return act.Result{Summary: "already gone: " + seen.Why}, nil
	}
	if err != nil {
		return act.Result{}, jenner.Retryable(err, "")
	}
	defer master.close()
	how, err := end(ctx, master, grace)
	if err != nil && !errors.Is(err, errGone) {
		return act.Result{}, jenner.Retryable(fmt.Errorf("pid %d was told to end by %s and has not yet: %w", seen.Master.Pid, how, err), "")
	}
	return act.Result{Summary: fmt.Sprintf("stopped pid %d by %s", seen.Master.Pid, how), Changed: true, Output: pids{Master: seen.Master.Pid}}, nil
}

// end says how the master ended, or how it was last told to.
func end(ctx context.Context, master held, grace time.Duration) (how string, err error) {
	if err := master.signal(unix.SIGQUIT); err != nil {
		return "SIGQUIT", err
	}
	patience, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := master.wait(patience); err == nil {
		return "SIGQUIT", nil
	}
	if ctx.Err() != nil {
		return "SIGQUIT", context.Cause(ctx)
	}
	if err := master.signal(unix.SIGTERM); err != nil {
		return "SIGTERM", err
	}
	return fmt.Sprintf("SIGTERM, for its requests took longer than %s", grace), master.wait(ctx)
}
