package sim

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// victim is what the faults of this package share.
type victim struct{}

// Checkpoint keeps which start of the service it is, and refuses one that does not run.
func (victim) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	_, is, err := look(call.Record.Target)
	if err == nil && (!is.Alive || is.Hung) {
		err = jenner.Permanent(fmt.Errorf("%s cannot be broken: it is %s", call.Record.Target.Ref(), is), "")
	}
	return jenner.Raw(is), err
}

// Fingerprint is whether it runs, and how late it is by itself. Which start of it runs does not matter: a remediation may
// have started it anew.
func (victim) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	world, is, err := look(call.Record.Target)
	if err != nil {
		return "", err
	}
	defer world.lock()()
	one, struck := world.must(call.Record.Target.Name), 0
	for _, strike := range world.struck {
		if strike.service == call.Record.Target.Name && world.now().Before(strike.till) {
			struck++
		}
	}
	mood := service{alive: is.Alive, hung: is.Hung}
	return fmt.Sprintf("%s, latency %q, %d strikes", mood.mood(), one.knobs[KnobLatency], struck), nil
}

// strikeAt gives the world and the service for a fault to break; immune where nothing is to happen to it.
func strikeAt(call chaos.Call) (world *World, is, was seen, immune bool, err error) {
	if was, err = before(call.Record.Checkpoint); err != nil {
		return nil, is, was, false, err
	}
	if world, is, err = look(call.Record.Target); err != nil {
		return nil, is, was, false, err
	}
	return world, is, was, world.Knob(call.Record.Target.Name, KnobImmune) == "true", nil
}
