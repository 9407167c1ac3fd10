package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("set", "Turn a knob of the service", func() act.Action { return &Set{} })
}

// Set turns one knob. Its undo turns it back.
type Set struct {
	// Knob is a knob of the world, or flag:NAME.
	Knob string `json:"knob"`
	// Value is what to turn it to; for flags any text.
	Value string `json:"value"`
}

// Validate checks that the knob can have that value.
func (s *Set) Validate() error {
	if s.Knob == "" {
		return errors.New("knob is missing")
	}
	return checkKnob(s.Knob, s.Value)
}

// Check refuses a service that is not there, and a value that the knob cannot have.
func (s *Set) Check(_ context.Context, call act.Call) error {
	if err := s.Validate(); err != nil {
		return jenner.Permanent(err, "")
	}
	_, err := find(call.Target)
	return err
}

// Checkpoint keeps the value.
func (s *Set) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	value, err := s.value(call)
	return jenner.Raw(value), err
}

// Fingerprint is the value.
func (s *Set) Fingerprint(_ context.Context, call act.Call) (string, error) { return s.value(call) }

func (s *Set) value(call act.Call) (string, error) {
	world, err := find(call.Target)
	if err != nil {
		return "", err
	}
	return world.Knob(call.Target.Name, s.Knob), nil
}

// Do turns the knob.
func (s *Set) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return s.turn(ctx, call, s.Value, "set "+s.Knob)
}

// Happened is done where the knob has the value, not done where it has the one of the checkpoint, and not to be told
// where it has a third one: then somebody else turned it since, before or after.
func (s *Set) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	value, err := s.value(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	var was string
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil {
		return act.HappenedUnknown, jenner.ForHuman(fmt.Errorf("the checkpoint %q cannot be read: %w", call.Checkpoint, err), "")
	}
	switch value {
	case s.Value:
		return act.HappenedDone, nil
	case was:
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// Undo turns the knob back, where nobody else has turned it since.
func (s *Set) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	var was string
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil {
		return act.Result{}, jenner.ForHuman(fmt.Errorf("the checkpoint %q cannot be read: %w", call.Checkpoint, err), "")
	}
	if value, err := s.value(call); err != nil || value != s.Value && value != was {
		return leftAlone, err
	}
	return s.turn(ctx, call, was, "undo set "+s.Knob)
}

func (s *Set) turn(ctx context.Context, call act.Call, value, what string) (act.Result, error) {
	was, err := s.value(call)
	if err != nil {
		return act.Result{}, err
	}
	if ctx.Err() != nil {
		return act.Result{}, context.Cause(ctx)
	}
	if was == value {
		return act.Result{Summary: fmt.Sprintf("%s is %q already", s.Knob, value)}, nil
	}
	world, err := find(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	defer world.lock()()
	world.must(call.Target.Name).knobs[s.Knob] = value
	world.note(what, call.Target.Name, call.Key)
	return act.Result{Summary: fmt.Sprintf("%s %q → %q", s.Knob, was, value), Changed: true}, nil
}
