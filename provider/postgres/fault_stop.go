package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("stop", "Stop the cluster, as a crash would", func() chaos.Fault { return &FaultStop{Mode: modeImmediate} })
}

// FaultStop ends the server of the checkpoint. Its undo starts it where nobody did. A primary that was fenced, or in whose
// place another cluster of the service takes the writes by then, is not started: it would be the second one.
type FaultStop struct {
	// Mode is smart, fast or immediate, as of the action stop.
	Mode string `json:"mode,omitempty"`
}

// Validate refuses an unknown mode.
func (f *FaultStop) Validate() error { return checkMode(f.Mode) }

// Checkpoint keeps which server it is, and refuses one that does not run.
func (*FaultStop) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	s, err := serverOf(call.Record.Target)
	if err != nil {
		return nil, err
	}
	state, err := s.state()
	switch {
	case err != nil:
		return nil, err
	case !state.runs():
		return nil, jenner.Permanent(fmt.Errorf("%s cannot be broken: it does not run", s.ref), "start it first")
	case state.Fenced:
		return nil, jenner.Permanent(fmt.Errorf("%s cannot be broken: it is fenced", s.ref), "")
	}
	return jenner.Raw(state), nil
}

// Inject ends the server of the checkpoint, and only that one.
func (f *FaultStop) Inject(ctx context.Context, call chaos.Call) error {
	s, was, is, err := compared(call.Record.Target, call.Record.Checkpoint)
	if err != nil || is.life != was.life {
		return err
	}
	return s.stop(ctx, f.Mode)
}

// Bite looks whether the server of the checkpoint is gone.
func (*FaultStop) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	_, was, is, err := compared(call.Record.Target, call.Record.Checkpoint)
	if err != nil {
		return chaos.Witness{}, err
	}
	if is.life == was.life {
		return chaos.Witness{Saw: fmt.Sprintf("pid %d runs", was.Pid)}, nil
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("pid %d is gone", was.Pid)}, nil
}

// Armed tells whether the cluster is down and nobody has taken that into account.
func (*FaultStop) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	standing, err := standingOf(ctx, call)
	return standing == standsDown, err
}

// Undo starts the server where it is down and may come back.
func (*FaultStop) Undo(ctx context.Context, call chaos.Call) error {
	standing, err := standingOf(ctx, call)
	if err != nil || standing != standsDown {
		return err
	}
	s, err := serverOf(call.Record.Target)
	if err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		// Somebody else may have been quicker.
		if seen, lookErr := s.look(); lookErr != nil || !seen.runs() {
			return errors.Join(err, lookErr)
		}
	}
	return nil
}

// Fingerprint is whether the writes are taken care of: by this cluster, or by the one that was promoted in its place. One
// that was fenced without that is a state that somebody must look at.
func (*FaultStop) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	return standingOf(ctx, call)
}

// How a cluster stands.
const (
	standsUp     = "taken care of"
	standsDown   = "down"
	standsFenced = "fenced, and no other cluster takes the writes"
)

func standingOf(ctx context.Context, call chaos.Call) (string, error) {
	s, err := serverOf(call.Record.Target)
	if err != nil {
		return "", err
	}
	state, err := s.state()
	if err != nil {
		return "", err
	}
	if state.runs() && !state.Fenced {
		return standsUp, nil
	}
	if !state.Signal || state.Fenced {
		primary, err := otherPrimary(ctx, call.Record.Service, s.ref)
		switch {
		case err != nil:
			return "", err
		case primary != "":
			return standsUp, nil
		case state.Fenced:
			return standsFenced, nil
		}
	}
	return standsDown, nil
}
