package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("slow", "Make the service answer late", func() chaos.Fault { return &FaultSlow{} })
}

// FaultSlow adds a latency that ends with its lease.
type FaultSlow struct {
	lasting
	// Latency is what it adds to each answer.
	Latency jenner.Duration `json:"latency"`
}

// Validate asks for a latency.
func (f *FaultSlow) Validate() error {
	if f.Latency <= 0 {
		return errors.New("latency is missing; write a duration such as 400ms")
	}
	return nil
}

// Inject adds the latency until the end of the lease.
func (f *FaultSlow) Inject(_ context.Context, call chaos.Call) error {
	return begin(call, "slow", strike{latency: f.Latency.Std()})
}

// Bite counts the answers that were delayed.
func (f *FaultSlow) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	one, _, err := struck(call)
	if err != nil || one.count == 0 {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%d answers delayed by %s", one.count, f.Latency)}, nil
}

// Undo takes the latency away that this fault added.
func (*FaultSlow) Undo(_ context.Context, call chaos.Call) error { return end(call, "slow") }
