package sim

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("hide", "Let no probe get through to the service", func() chaos.Fault { return &FaultHide{} })
}

// FaultHide lets the service go on as it is, and nobody see it: its probes give no answers, neither good nor bad. It ends
// with its lease.
type FaultHide struct{ lasting }

// Inject hides it until the end of the lease.
func (*FaultHide) Inject(_ context.Context, call chaos.Call) error {
	return begin(call, "hide", strike{hides: true})
}

// Bite sees that somebody wanted to ask.
func (*FaultHide) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	one, _, err := struck(call)
	if err != nil || one.count == 0 {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("nobody gets through to %s", one.service)}, nil
}

// Undo lets it be seen.
func (*FaultHide) Undo(_ context.Context, call chaos.Call) error { return end(call, "hide") }
