package chaos

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
)

// SweepGrace is how long after the end of its lease a fault that nobody's journal here knows is taken back: the clocks of
// two machines differ, and who injected it comes first.
const SweepGrace = 10 * time.Second

// Sweeper finds faults that are written down where they are, such as on the objects of a cluster, whoever injected them and
// on whichever machine, and takes those back whose time is over. A provider has one where its faults write such marks.
type Sweeper interface {
	// Sweep looks where the targets are, and takes back what is over by more than SweepGrace. It goes on after an error and
	// may be called concurrently, also beside who injected the faults: undoing twice is as undoing once.
	Sweep(ctx context.Context, targets []jenner.Target, now time.Time) ([]Swept, error)
}

// Swept is a fault that a sweep took back.
type Swept struct {
	ID    string    `json:"id"`
	Fault string    `json:"fault"` // its full name
	On    string    `json:"on"`    // the object, in the words of its provider
	By    string    `json:"by"`    // who injected it
	Until time.Time `json:"until"` // when its time was over
	// Kept is what somebody else had changed meanwhile, and what therefore stays as it is.
	Kept string `json:"kept,omitempty"`
}
