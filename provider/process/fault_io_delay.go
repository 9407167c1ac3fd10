package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("io_delay", "Let calls of the live process on some files wait", func() chaos.Fault {
		return &FaultIODelay{interposed: newInterposed()}
	}, "process")
}

// FaultIODelay lets reads, writes and other calls of the process on some files wait before they are made, as a slow disk
// does. Only the thread that makes the call waits. It needs to be root, or CAP_SYS_PTRACE.
type FaultIODelay struct {
	interposed
	Delay jenner.Duration `json:"delay"` // how long each call waits
}

// Validate checks the parameters.
func (f *FaultIODelay) Validate() error {
	err := f.interposed.Validate()
	if f.Delay <= 0 {
		err = errors.Join(err, errors.New("delay is missing; say how long each call waits, such as 50ms"))
	}
	return err
}

// Hold lets the calls wait until ctx ends or the process is gone. Calls that wait then are made at once.
func (f *FaultIODelay) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.hold(ctx, call, tell, ruling{wait: f.Delay.Std()})
}

// Bite tells how many calls have waited.
func (f *FaultIODelay) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.bite(call, fmt.Sprintf("waited for %s", f.Delay))
}
