package alarm

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("stale_alert", "Raise a false alarm and leave it behind", func() chaos.Fault {
		return &FaultStaleAlert{After: jenner.Duration(time.Second)}
	})
}

// FaultStaleAlert serves a page with an alarm, and after a while no page any more: what was read last says that there is an
// alarm, and nobody can tell whether there still is.
type FaultStaleAlert struct {
	page
	// After is how long the page is there; 1s where not said.
	After jenner.Duration `json:"after,omitempty"`
}

// Validate checks the time.
func (f *FaultStaleAlert) Validate() error {
	if f.After.Std() < 10*time.Millisecond {
		return fmt.Errorf("after is %s; write 10ms or more", f.After)
	}
	return nil
}

// Hold serves the page for a while.
func (f *FaultStaleAlert) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.serve(ctx, call, tell, f.After.Std(), func(time.Duration) (int, bool) { return 1, true })
}

// Bite sees that somebody has read of the alarm, and that the page is gone.
func (f *FaultStaleAlert) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	last, err := report(call)
	if err != nil || last.Pages == 0 || !last.Silent {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("the false alarm was read %d times, and the page is gone", last.Pages)}, nil
}
