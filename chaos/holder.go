package chaos

import (
	"context"
	"encoding/json"

	"github.com/jenner-heal/jenner"
)

// Holder is a fault that lasts as long as somebody holds it: a connection kept open, a queue that delays packets, a
// memory that is filled. It is held in a process of its own, whose end, however it came, ends the fault. That process
// ends when it is told to, when the lease is over, and when the process that injected the fault dies.
//
// A Holder embeds HeldElsewhere, which is the rest of Fault for most of them.
type Holder interface {
	Fault
	// Hold makes the fault, says so by its first call of tell, and keeps the fault until ctx ends. Before it returns it
	// takes back all it made; where it was killed before it could, Undo of another process does it. Each call of tell
	// also reports what Bite wants to know, as JSON: counters, mostly. It may be called often and from any goroutine.
	Hold(ctx context.Context, call Call, tell func(report any)) error
}

// Held is what is known of a fault that a process holds.
type Held struct {
	Alive  bool            // the process lives, and so does the fault
	Pid    int             // of the process
	Report json.RawMessage // what it told last; kept after its end
}

// HeldElsewhere is what faults that a process holds have in common: they are embedded with it, and add what they need.
type HeldElsewhere struct{}

// Inject has nothing to do: the Injector has started what holds the fault.
func (HeldElsewhere) Inject(_ context.Context, call Call) error {
	if !call.Held.Alive {
		return jenner.Permanent(errNobodyHolds, "inject it through the Injector")
	}
	return nil
}

// Armed tells whether the holding process lives.
func (HeldElsewhere) Armed(_ context.Context, call Call) (bool, error) { return call.Held.Alive, nil }

// Undo has nothing to take back: the Injector has ended what held the fault.
func (HeldElsewhere) Undo(context.Context, Call) error { return nil }
