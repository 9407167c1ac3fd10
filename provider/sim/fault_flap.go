package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("flap", "Make the service fail every other moment", func() chaos.Fault { return &FaultFlap{} })
}

// FaultFlap makes the service answer with errors for a while, then well for as long, and so on. It ends with its lease.
type FaultFlap struct {
	lasting
	// Every is how long it is in either state.
	Every jenner.Duration `json:"every"`
}

// Validate asks for a time.
func (f *FaultFlap) Validate() error {
	if f.Every <= 0 {
		return errors.New("every is missing; write a duration such as 2s")
	}
	return nil
}

// Inject makes it flap until the end of the lease.
func (f *FaultFlap) Inject(_ context.Context, call chaos.Call) error {
	return begin(call, "flap", strike{flaps: f.Every.Std()})
}

// Bite counts the answers that were errors.
func (f *FaultFlap) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	one, _, err := struck(call)
	if err != nil || one.count == 0 {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%s fails every other %s", one.service, f.Every)}, nil
}

// Undo lets it be well.
func (*FaultFlap) Undo(_ context.Context, call chaos.Call) error { return end(call, "flap") }
