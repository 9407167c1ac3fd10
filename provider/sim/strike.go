package sim

import (
	"context"

	"github.com/jenner-heal/jenner/chaos"
)

// lasting is what the faults share that last until the end of their lease: each is a strike under its record's id.
type lasting struct{ victim }

// begin makes the strike, unless nothing is to happen to the service.
func begin(call chaos.Call, what string, one strike) error {
	world, _, _, immune, err := strikeAt(call)
	if err != nil || immune {
		return err
	}
	defer world.lock()()
	one.service, one.since, one.till = call.Record.Target.Name, world.now(), call.Record.Until
	world.struck[call.Record.ID] = one
	world.note("fault "+what, one.service, call.Record.ID)
	return nil
}

// struck is the strike of a record, and whether it still lasts.
func struck(call chaos.Call) (one strike, lasts bool, err error) {
	world, err := find(call.Record.Target)
	if err != nil {
		return strike{}, false, err
	}
	defer world.lock()()
	one, there := world.struck[call.Record.ID]
	return one, there && world.now().Before(one.till), nil
}

// Renew makes it last until the new end of the lease. What has ended is not begun again.
func (lasting) Renew(_ context.Context, call chaos.Call) error {
	one, lasts, err := struck(call)
	if err != nil || !lasts {
		return err
	}
	world, err := find(call.Record.Target)
	if err != nil {
		return err
	}
	defer world.lock()()
	one.till = call.Record.Until
	world.struck[call.Record.ID] = one
	return nil
}

// Armed tells whether it still lasts.
func (lasting) Armed(_ context.Context, call chaos.Call) (bool, error) {
	_, lasts, err := struck(call)
	return lasts, err
}

// end takes away what this fault added. The strike stays, for its witness.
func end(call chaos.Call, what string) error {
	one, lasts, err := struck(call)
	if err != nil || !lasts {
		return err
	}
	world, err := find(call.Record.Target)
	if err != nil {
		return err
	}
	defer world.lock()()
	one.till = world.now()
	world.struck[call.Record.ID] = one
	world.note("undo fault "+what, one.service, call.Record.ID)
	return nil
}
