package alarm

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("flapping", "Raise a false alarm that comes and goes", func() chaos.Fault {
		return &FaultFlapping{Every: jenner.Duration(2 * time.Second)}
	})
}

// FaultFlapping serves a page with an alarm that is there for a while, then gone for as long, and so on.
type FaultFlapping struct {
	page
	// Every is how long it is there, and how long it is gone; 2s where not said.
	Every jenner.Duration `json:"every,omitempty"`
}

// Validate checks the time.
func (f *FaultFlapping) Validate() error {
	if f.Every.Std() < 10*time.Millisecond {
		return fmt.Errorf("every is %s; write 10ms or more", f.Every)
	}
	return nil
}

// Hold serves the page.
func (f *FaultFlapping) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.serve(ctx, call, tell, 0, func(since time.Duration) (int, bool) { return 1, since/f.Every.Std()%2 == 0 })
}

// Bite sees that somebody has read of the alarm coming or going.
func (f *FaultFlapping) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	last, err := report(call)
	if err != nil || last.Turns == 0 {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("the false alarm came or went %d times", last.Turns)}, nil
}
