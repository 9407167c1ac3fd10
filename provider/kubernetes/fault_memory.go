package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("memory", "Fill memory inside of pods", func() chaos.Fault { return &FaultMemory{} }, podKinds...)
}

// FaultMemory fills memory in a guest of each pod, and so takes it from the pod's other containers where all of them have
// limits, which then are the pod's, and from the node otherwise. The guest is the first that the kernel ends where memory
// runs out: then the fault is over, and the drill is told. It ends with the process that holds it. Beside those of the guest
// it needs the rights to create pods/attach and to get nodes.
type FaultMemory struct {
	pressed
	Victims
	Guest
	// Size is how much is filled in each pod, as Kubernetes writes it: 200Mi. At most half of what the node has.
	Size string `json:"size"`
}

func (f *FaultMemory) burden() burden {
	size, _ := resource.ParseQuantity(f.Size) // Validate has seen it
	return burden{f.Victims, f.Guest, "host.memory", jenner.Params{"size": jenner.Raw(fmt.Sprintf("%dB", size.Value()))}}
}

// Validate checks the parameters.
func (f *FaultMemory) Validate() error {
	if f.Size == "" {
		return errors.New("size is missing; write how much is filled in each pod, such as 200Mi")
	}
	if size, err := resource.ParseQuantity(f.Size); err != nil || size.Sign() <= 0 {
		return fmt.Errorf("size %q is none; write it like 200Mi", f.Size)
	}
	if err := f.Victims.Validate(); err != nil {
		return err
	}
	return f.Guest.Validate()
}

// BitesWithin is how long the filling may take.
func (*FaultMemory) BitesWithin() time.Duration { return 30 * time.Second }

// Checkpoint chooses the pods. It refuses what FaultKill refuses, more than half of what the node has, as much as the pod may
// have, and pods that no guest is let into.
func (f *FaultMemory) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return f.burden().checkpoint(ctx, call, func(pod *corev1.Pod, node *corev1.Node) error {
		size := resource.MustParse(f.Size)
		if has := node.Status.Capacity.Memory(); size.Value() > has.Value()/2 {
			return fmt.Errorf("%s are more than half of the %s that node %s has", f.Size, has, node.Name)
		}
		if limit := limitOf(pod); limit != nil && size.Cmp(*limit) >= 0 {
			return fmt.Errorf("%s are no less than the %s that the pod may have, so that the guest would be ended at once", f.Size, limit)
		}
		return nil
	})
}

// limitOf is how much memory all of a pod may have; nil where one of its containers has no limit.
func limitOf(pod *corev1.Pod) *resource.Quantity {
	total := resource.Quantity{}
	for _, container := range pod.Spec.Containers {
		limit, has := container.Resources.Limits[corev1.ResourceMemory]
		if !has {
			return nil
		}
		total.Add(limit)
	}
	return &total
}

// Hold keeps the guests.
func (f *FaultMemory) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return f.burden().hold(ctx, call, tell)
}

// Bite asks the guests how much they hold.
func (f *FaultMemory) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return pressedBite(call, func(said struct {
		Wanted string `json:"wanted"`
		Filled string `json:"filled"`
	}) (bool, string) {
		return said.Filled != "" && said.Filled == said.Wanted, strings.TrimSpace(fmt.Sprintf("%s of %s are filled", said.Filled, said.Wanted))
	})
}

// Rights are to read pods and their nodes, to put a container into the pods, and to talk with it.
func (*FaultMemory) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return pressedRights(target)
}
