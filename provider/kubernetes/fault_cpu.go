package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("cpu", "Burn processor time inside of pods", func() chaos.Fault { return &FaultCPU{Workers: 1} }, podKinds...)
}

// FaultCPU burns processor time in a guest of each pod, and so takes it from the pod's other containers where all of them
// have limits, which then are the pod's, and from the node otherwise. It ends with the process that holds it. Beside those
// of the guest it needs the rights to create pods/attach and to get nodes.
type FaultCPU struct {
	pressed
	Victims
	Guest
	// Workers is how many threads burn as much as they get; one where not said, at most as many as the node has processors.
	Workers int `json:"workers,omitempty"`
}

func (f *FaultCPU) burden() burden {
	return burden{f.Victims, f.Guest, "host.cpu", jenner.Params{"workers": jenner.Raw(f.Workers)}}
}

// Validate checks the parameters.
func (f *FaultCPU) Validate() error {
	if f.Workers < 1 {
		return fmt.Errorf("workers is %d; write 1 or more", f.Workers)
	}
	if err := f.Victims.Validate(); err != nil {
		return err
	}
	return f.Guest.Validate()
}

// BitesWithin is how long it may take until enough has been burnt.
func (*FaultCPU) BitesWithin() time.Duration { return 15 * time.Second }

// Checkpoint chooses the pods. It refuses what FaultKill refuses, more workers than the node has processors, and pods that no
// guest is let into.
func (f *FaultCPU) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return f.burden().checkpoint(ctx, call, func(_ *corev1.Pod, node *corev1.Node) error {
		if most := node.Status.Capacity.Cpu().Value(); int64(f.Workers) > most {
			return fmt.Errorf("%d workers are too many for node %s, which has %d processors", f.Workers, node.Name, most)
		}
		return nil
	})
}

// Hold keeps the guests.
func (f *FaultCPU) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.burden().hold(ctx, call, tell)
}

// leastBurnt is how much must have been burnt for the fault to count.
const leastBurnt = jenner.Duration(100e6)

// Bite asks the guests how much they have burnt.
func (f *FaultCPU) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return pressedBite(call, func(said struct {
		Workers int             `json:"workers"`
		Burnt   jenner.Duration `json:"burnt"`
	}) (bool, string) {
		return said.Burnt >= leastBurnt, fmt.Sprintf("%d workers have burnt %s of processor time", said.Workers, said.Burnt)
	})
}

// Rights are to read pods and their nodes, to put a container into the pods, and to talk with it.
func (*FaultCPU) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return pressedRights(target)
}
