package postgres

import (
	"context"
	"encoding/json"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("resume_replay", "Let a standby apply what it receives again", func() act.Action { return &ResumeReplay{} })
}

// ResumeReplay ends a pause of the replay, whoever began it.
type ResumeReplay struct{}

// Check refuses a cluster that is no standby.
func (*ResumeReplay) Check(ctx context.Context, call act.Call) error {
	return standbyOnly(ctx, call.Target)
}

// Checkpoint keeps whether the replay was paused.
func (*ResumeReplay) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	state, err := seeReplay(ctx, call.Target)
	return jenner.Raw(state), err
}

// Fingerprint is paused or not paused.
func (*ResumeReplay) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	state, err := seeReplay(ctx, call.Target)
	return state.String(), err
}

// Do resumes the replay.
func (*ResumeReplay) Do(ctx context.Context, call act.Call) (act.Result, error) {
	changed, err := setReplay(ctx, call.Target, false)
	switch {
	case err != nil:
		return act.Result{}, err
	case !changed:
		return act.Result{Summary: "the replay is not paused"}, nil
	}
	return act.Result{Summary: "the replay goes on", Changed: true}, nil
}

// Happened is done where the replay is not paused.
func (*ResumeReplay) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	state, err := seeReplay(ctx, call.Target)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case state.Paused:
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}

// Undo pauses the replay again where it was paused before.
func (*ResumeReplay) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := replayBefore(call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if !was.Paused {
		return act.Result{Summary: "it was not paused before, and is left so"}, nil
	}
	changed, err := setReplay(ctx, call.Target, true)
	return act.Result{Summary: "the replay is paused again", Changed: changed}, err
}
