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
	victim
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
	world, _, _, immune, err := strikeAt(call)
	if err != nil || immune {
		return err
	}
	defer world.lock()()
	world.struck[call.Record.ID] = strike{service: call.Record.Target.Name, latency: f.Latency.Std(), until: call.Record.Until}
	world.note("fault slow", call.Record.Target.Name, call.Record.ID)
	return nil
}

// Renew makes it last until the new end of the lease. What has ended is not begun again.
func (*FaultSlow) Renew(_ context.Context, call chaos.Call) error {
	world, err := find(call.Record.Target)
	if err != nil {
		return err
	}
	defer world.lock()()
	if one, there := world.struck[call.Record.ID]; there && world.now().Before(one.until) {
		one.until = call.Record.Until
		world.struck[call.Record.ID] = one
	}
	return nil
}

// Bite counts the answers that were delayed.
func (f *FaultSlow) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	world, err := find(call.Record.Target)
	if err != nil {
		return chaos.Witness{}, err
	}
	defer world.lock()()
	if delayed := world.struck[call.Record.ID].delayed; delayed > 0 {
		return chaos.Witness{Bit: true, Saw: fmt.Sprintf("%d answers delayed by %s", delayed, f.Latency)}, nil
	}
	return chaos.Witness{}, nil
}

// Armed tells whether the latency is still added.
func (*FaultSlow) Armed(_ context.Context, call chaos.Call) (bool, error) {
	world, err := find(call.Record.Target)
	if err != nil {
		return false, err
	}
	defer world.lock()()
	one, there := world.struck[call.Record.ID]
	return there && world.now().Before(one.until), nil
}

// Undo takes the latency away that this fault added.
func (*FaultSlow) Undo(_ context.Context, call chaos.Call) error {
	world, err := find(call.Record.Target)
	if err != nil {
		return err
	}
	defer world.lock()()
	if one, there := world.struck[call.Record.ID]; there && world.now().Before(one.until) {
		one.until = world.now() // stays, for the witness
		world.struck[call.Record.ID] = one
		world.note("undo fault slow", call.Record.Target.Name, call.Record.ID)
	}
	return nil
}
