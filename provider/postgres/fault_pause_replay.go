package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("pause_replay", "Let a standby receive and not apply", func() chaos.Fault { return &FaultPauseReplay{} })
}

// FaultPauseReplay pauses the replay of a standby: it falls behind and its answers become old. A restart or a promotion of
// the standby ends the pause too.
type FaultPauseReplay struct{}

// Checkpoint refuses a cluster that is no standby, and one whose replay somebody else has paused.
func (*FaultPauseReplay) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	state, err := seeReplay(ctx, call.Record.Target)
	switch {
	case err != nil:
		return nil, err
	case !state.Follows:
		return nil, jenner.Permanent(fmt.Errorf("%s is no standby; it replays nothing", call.Record.Target.Ref()), "")
	case state.Paused:
		return nil, jenner.Permanent(fmt.Errorf("the replay of %s is paused already", call.Record.Target.Ref()), "somebody else did that; let it go on first")
	}
	return jenner.Raw(state), nil
}

// Inject pauses the replay.
func (*FaultPauseReplay) Inject(ctx context.Context, call chaos.Call) error {
	_, err := setReplay(ctx, call.Record.Target, true)
	return err
}

// Bite looks whether the server says that the replay is paused.
func (*FaultPauseReplay) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	state, err := seenReplay(ctx, call)
	return chaos.Witness{Bit: state.Paused, Saw: "the replay is " + state.String()}, err
}

// Armed tells whether the replay is paused.
func (*FaultPauseReplay) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	state, err := seenReplay(ctx, call)
	return state.Paused, err
}

// Undo lets the replay go on. It was not paused before, so that the pause is the fault's.
func (*FaultPauseReplay) Undo(ctx context.Context, call chaos.Call) error {
	state, err := seenReplay(ctx, call)
	if err != nil || !state.Paused {
		return err
	}
	_, err = setReplay(ctx, call.Record.Target, false)
	return err
}

// Fingerprint is paused or not paused.
func (*FaultPauseReplay) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	state, err := seenReplay(ctx, call)
	return state.String(), err
}

// seenReplay is seeReplay, but for a server that is down: a pause does not outlive it.
func seenReplay(ctx context.Context, call chaos.Call) (replayState, error) {
	state, err := seeReplay(ctx, call.Record.Target)
	if nobodyThere(err) && len(call.Record.Checkpoint) > 0 {
		return replayState{}, nil
	}
	return state, err
}
