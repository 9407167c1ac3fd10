// Package chaos provokes: it injects faults under control, makes sure that each one ends, and judges what a drill
// showed.
//
// It stands above the stages of the line and may use them; none of them may use it, for the line must not know that it
// is being tested. It is not for healing anything: a fault that is taken back by its undo proves no runbook.
package chaos

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jenner-heal/jenner"
)

// Fault breaks one target in one way. The type that fulfils Fault holds its parameters in exported fields with `json`
// tags. Every method may be called by another process than the one that injected: all it knows is in the record.
type Fault interface {
	// Inject breaks the target until call.Record.Until at the latest, where the fault can end by itself.
	Inject(ctx context.Context, call Call) error
	// Bite looks for a witness that the fault itself works, whatever the service does: a counter, a state, a hash.
	Bite(ctx context.Context, call Call) (Witness, error)
	// Armed tells whether the fault still holds.
	Armed(ctx context.Context, call Call) (bool, error)
	// Undo takes the fault back, exactly what this fault added and nothing else. Undoing twice is as undoing once.
	Undo(ctx context.Context, call Call) error
}

// The optional halves of a fault.
type (
	// Validator checks parameters beyond their types, without touching anything.
	Validator interface{ Validate() error }

	// Checkpointer keeps what Undo, Bite and Armed need to know of the state before. It also refuses, with an error,
	// a target that is not there or is not ours to break.
	Checkpointer interface {
		Checkpoint(ctx context.Context, call Call) (json.RawMessage, error)
	}

	// Fingerprinter names the state that Undo must bring back. It is taken before the injection and after the undo.
	Fingerprinter interface {
		Fingerprint(ctx context.Context, call Call) (string, error)
	}

	// Renewer makes a lease-held fault last until call.Record.Until.
	Renewer interface {
		Renew(ctx context.Context, call Call) error
	}

	// Slow is a fault that works only some time after its injection, such as when a control plane has noticed it. Before
	// that time is over nobody takes it for one without effect.
	Slow interface{ BitesWithin() time.Duration }
)

// Call is what a fault is told.
type Call struct {
	Record jenner.FaultRecord
	Held   Held // of a Holder
}

// Witness is what saw a fault bite.
type Witness struct {
	Bit bool
	Saw string // `pid 4711 is gone`, `7 requests delayed by 400ms`
}
