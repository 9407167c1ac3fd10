package process

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// victim is what the faults of this package share. All they know of the process is in the record's checkpoint.
type victim struct{}

// Checkpoint keeps which process it is, and refuses one that does not live, is stopped already, or is not ours.
func (victim) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	_, seen, err := see(call.Record.Target)
	switch {
	case err != nil:
		return nil, err
	case !seen.Alive:
		return nil, jenner.Permanent(fmt.Errorf("%s cannot be broken: %s", call.Record.Target.Ref(), seen.Why), "start it first")
	case seen.Stopped:
		return nil, jenner.Permanent(fmt.Errorf("%s cannot be broken: pid %d is stopped already", call.Record.Target.Ref(), seen.Pid),
			"somebody else stopped it; let it go on first")
	}
	return jenner.Raw(seen), nil
}

// Fingerprint is running, stopped or gone. Which process runs does not matter: a remediation may have put a new one in
// the place of the one that was broken.
func (victim) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	_, seen, err := see(call.Record.Target)
	switch {
	case err != nil:
		return "", err
	case !seen.Alive:
		return "gone", nil
	case seen.Stopped:
		return "stopped", nil
	}
	return "running", nil
}

// struck gives the process that the record's fault was meant for and what lives now.
func struck(call chaos.Call) (was, is sight, err error) {
	if was, err = before(call.Record.Checkpoint); err != nil {
		return was, is, err
	}
	_, is, err = see(call.Record.Target)
	return was, is, err
}
