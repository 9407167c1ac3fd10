package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// target is what all actions of this package share: each works on the one process of call.Target, compares it with
// what the checkpoint saw, and is not safe for concurrent use.
type target struct{}

// Check refuses a target that cannot be told apart from somebody else's process.
func (target) Check(_ context.Context, call act.Call) error {
	_, _, err := see(call.Target)
	return err
}

// Checkpoint keeps which process it was and how it was.
func (target) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	_, seen, err := see(call.Target)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(seen), nil
}

// Fingerprint names the process that lives now, and whether it is stopped.
func (target) Fingerprint(_ context.Context, call act.Call) (string, error) {
	_, seen, err := see(call.Target)
	return seen.String(), err
}

// see decodes a target and looks at it.
func see(written jenner.Target) (*Target, sight, error) {
	t, err := decode(written)
	if err != nil {
		return nil, sight{}, err
	}
	seen, err := t.look()
	if err != nil {
		return nil, sight{}, jenner.ForHuman(fmt.Errorf("target %s: %w", written.Ref(), err), "")
	}
	return t, seen, nil
}

// locked is see under the target's lock, for who is about to start or end it.
func locked(ctx context.Context, written jenner.Target) (*Target, sight, func(), error) {
	t, err := decode(written)
	if err != nil {
		return nil, sight{}, nil, err
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return nil, sight{}, nil, err
	}
	_, seen, err := see(written)
	if err != nil {
		unlock()
		return nil, sight{}, nil, err
	}
	return t, seen, unlock, nil
}

// before reads a checkpoint.
func before(checkpoint json.RawMessage) (sight, error) {
	var seen sight
	if len(checkpoint) == 0 {
		return seen, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(checkpoint, &seen); err != nil {
		return sight{}, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if seen.AtBoot == "" || seen.Alive && !seen.possible() {
		return sight{}, fmt.Errorf("the checkpoint %s does not say what was before", checkpoint)
	}
	return seen, nil
}

// compared gives what the checkpoint saw and what lives now.
func compared(call act.Call) (was, is sight, err error) {
	if was, err = before(call.Checkpoint); err != nil {
		return was, is, err
	}
	t, is, err := see(call.Target)
	if err == nil && !is.Alive {
		err = t.errStarting()
	}
	return was, is, err
}

// startedSince tells whether is began its life after was had been looked at.
func startedSince(was, is sight) bool {
	return is.Boot != was.AtBoot || is.Start >= was.At
}

// ensureRunning starts the target where nothing of it lives.
func ensureRunning(ctx context.Context, written jenner.Target) (act.Result, error) {
	t, seen, unlock, err := locked(ctx, written)
	if err != nil {
		return act.Result{}, err
	}
	defer unlock()
	if seen.Alive {
		return act.Result{Summary: fmt.Sprintf("already runs as pid %d", seen.Pid), Output: pids{Now: seen.Pid}}, nil
	}
	started, err := t.launch(ctx)
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("started, pid %d", started.Pid), Changed: true, Output: pids{Now: started.Pid}}, nil
}

// ensureGone ends the target where it lives.
func ensureGone(ctx context.Context, written jenner.Target, grace jenner.Duration) (act.Result, error) {
	t, seen, unlock, err := locked(ctx, written)
	if err != nil {
		return act.Result{}, err
	}
	defer unlock()
	if !seen.Alive {
		return act.Result{Summary: "already gone: " + seen.Why}, nil
	}
	how, err := t.end(ctx, seen.identity, t.patience(grace))
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{
		Summary: fmt.Sprintf("stopped pid %d by %s", seen.Pid, how), Changed: true, Output: pids{Before: seen.Pid, How: how},
	}, nil
}

// patience is the grace of the step, or of the target, or 5s.
func (t *Target) patience(step jenner.Duration) time.Duration {
	return step.Or(t.Grace.Or(5 * time.Second))
}

// pids is the output of the actions that start and end processes.
type pids struct {
	Before int    `json:"before,omitempty"`
	Now    int    `json:"now,omitempty"`
	How    string `json:"how,omitempty"` // what ended the one before
}
