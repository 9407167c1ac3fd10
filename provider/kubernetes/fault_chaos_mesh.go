package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("chaos_mesh", "A fault that Chaos Mesh makes, where it is installed", func() chaos.Fault {
		return &FaultChaosMesh{AtMost: jenner.Duration(10 * time.Minute)}
	}, podKinds...)
}

// FaultChaosMesh lets Chaos Mesh make a fault: it creates the custom resource, sees Chaos Mesh inject it (its condition
// AllInjected), and takes it back by deleting it, which is done when Chaos Mesh has recovered everything (AllRecovered) and
// the resource is gone. Which pods are hit is Jenner's to say: they are chosen as for any other fault, within the same cap,
// and are named one by one.
//
// Chaos Mesh allows no change of a fault that was made, so that its own duration is AtMost, the last of the nets; the lease
// is written onto the resource. This was tested against a real API server with custom resource definitions of the same names,
// whose controller the tests play, and not against a full Chaos Mesh.
// It needs the rights to get, list, watch, create, patch and delete resources of that kind.
type FaultChaosMesh struct {
	Victims
	// Kind is PodChaos, NetworkChaos, StressChaos, IOChaos, TimeChaos, DNSChaos, HTTPChaos, KernelChaos, JVMChaos or BlockChaos.
	Kind string `json:"kind"`
	// Spec is the spec as Chaos Mesh has it, without selector, mode, value and duration, which Jenner sets.
	Spec jenner.Params `json:"spec"`
	// AtMost is after how long Chaos Mesh ends the fault by itself; 10m where not said.
	AtMost jenner.Duration `json:"at_most,omitempty"`
}

// The kinds of Chaos Mesh that break pods, and the words of its API.
var (
	meshKinds = []string{"PodChaos", "NetworkChaos", "StressChaos", "IOChaos", "TimeChaos", "DNSChaos", "HTTPChaos", "KernelChaos", "JVMChaos", "BlockChaos"}
	meshOurs  = []string{"selector", "mode", "value", "duration"}
)

const (
	meshGroup     = "chaos-mesh.org"
	meshVersion   = "v1alpha1"
	meshSelected  = "Selected"
	meshInjected  = "AllInjected"
	meshRecovered = "AllRecovered"
	meshInstall   = "install it: helm install chaos-mesh chaos-mesh --repo https://charts.chaos-mesh.org --namespace chaos-mesh --create-namespace"
)

// Validate checks the parameters.
func (f *FaultChaosMesh) Validate() error {
	if !slices.Contains(meshKinds, f.Kind) {
		return fmt.Errorf("kind %q is none that breaks pods; there are %s", f.Kind, strings.Join(meshKinds, ", "))
	}
	if len(f.Spec) == 0 {
		return errors.New("spec is missing; write what Chaos Mesh is to do, such as action: pod-kill")
	}
	for _, key := range meshOurs {
		if _, has := f.Spec[key]; has {
			return fmt.Errorf("spec: %s is Jenner's to set; write selector, pods and max_pods beside the spec", key)
		}
	}
	if f.AtMost <= 0 {
		return errors.New("at_most is missing; a fault that nobody takes back must end by itself")
	}
	return f.Victims.Validate()
}

// BitesWithin is how long Chaos Mesh may take.
func (f *FaultChaosMesh) BitesWithin() time.Duration { return 30 * time.Second }

// meshed is the checkpoint.
type meshed struct {
	Spot    spot     `json:"spot"`
	Victims []victim `json:"victims"`
}

// Checkpoint chooses the pods and lets the API server try to make the resource. It refuses a cluster without Chaos Mesh, and
// what FaultKill refuses.
func (f *FaultChaosMesh) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		if err := c.hasMesh(f.Kind); err != nil {
			return err
		}
		pods, err := c.choose(ctx, t, f.Victims, call.Record.ID)
		if err != nil {
			return err
		}
		kept := meshed{Spot: spot{Group: meshGroup, Version: meshVersion, Resource: strings.ToLower(f.Kind), Namespace: t.Namespace,
			Name: "jenner-fault-" + jenner.Fingerprint(call.Record.ID)}}
		for i := range pods {
			kept.Victims = append(kept.Victims, victimOf(&pods[i]))
		}
		object, err := f.object(kept)
		if err == nil {
			err = c.create(ctx, kept.Spot, call.Record, object, metav1.DryRunAll)
		}
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

// hasMesh refuses a cluster that does not know the kind.
func (c *cluster) hasMesh(kind string) error {
	list, err := c.Discovery().ServerResourcesForGroupVersion(meshGroup + "/" + meshVersion)
	if err != nil && !apierrors.IsNotFound(err) {
		return told(err, "asking for the kinds of Chaos Mesh")
	}
	if err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind && r.Name == strings.ToLower(kind) }) {
		return nil
	}
	return jenner.Permanent(fmt.Errorf("the cluster has no %s of %s/%s: Chaos Mesh is not installed", kind, meshGroup, meshVersion), meshInstall)
}

// object is the custom resource.
func (f *FaultChaosMesh) object(kept meshed) (*unstructured.Unstructured, error) {
	spec := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(f.Spec)) {
		var value any
		if err := utiljson.Unmarshal(f.Spec[key], &value); err != nil {
			return nil, jenner.Permanent(fmt.Errorf("spec: %s: %w", key, err), "")
		}
		spec[key] = value
	}
	pods := map[string]any{}
	for _, v := range kept.Victims {
		names, _ := pods[v.Namespace].([]any)
		pods[v.Namespace] = append(names, v.Name)
	}
	spec["selector"], spec["mode"], spec["duration"] = map[string]any{"pods": pods}, "all", f.AtMost.Std().String()
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": meshGroup + "/" + meshVersion, "kind": f.Kind, "spec": spec}}, nil
}

func onMesh(ctx context.Context, call chaos.Call, do func(context.Context, *cluster, meshed) error) error {
	kept, err := checkpointed[meshed](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error { return do(ctx, c, kept) })
}

// Inject creates the custom resource.
func (f *FaultChaosMesh) Inject(ctx context.Context, call chaos.Call) error {
	return onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error {
		object, err := f.object(kept)
		if err != nil {
			return err
		}
		return c.create(ctx, kept.Spot, call.Record, object)
	})
}

// Renew writes the new end onto the resource.
func (f *FaultChaosMesh) Renew(ctx context.Context, call chaos.Call) error {
	return onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error { return c.renew(ctx, kept.Spot, call.Record) })
}

// Bite sees whether Chaos Mesh says that it has found the pods and injected the fault into all of them.
func (f *FaultChaosMesh) Bite(ctx context.Context, call chaos.Call) (witness chaos.Witness, err error) {
	err = onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error {
		object, err := c.made(ctx, kept.Spot, call.Record.ID)
		if err != nil || object == nil {
			witness.Saw = kept.Spot.String() + " is not there"
			return err
		}
		witness.Bit = condition(object, meshSelected) && condition(object, meshInjected)
		witness.Saw = fmt.Sprintf("%s into %s: %s", kept.Spot, named(kept.Victims), meshStatus(object))
		return nil
	})
	return witness, err
}

// condition tells whether a condition of a custom resource is True.
func condition(object *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		if fields, is := one.(map[string]any); is && fields["type"] == kind {
			return fields["status"] == string(metav1.ConditionTrue)
		}
	}
	return false
}

// meshStatus is what Chaos Mesh says of a fault.
func meshStatus(object *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	var said []string
	for _, one := range conditions {
		if fields, is := one.(map[string]any); is {
			said = append(said, fmt.Sprintf("%v=%v", fields["type"], fields["status"]))
		}
	}
	if len(said) == 0 {
		return "Chaos Mesh has said nothing yet"
	}
	return strings.Join(said, " ")
}

// Armed tells whether the resource is there and not recovered.
func (f *FaultChaosMesh) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	err = onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error {
		object, err := c.made(ctx, kept.Spot, call.Record.ID)
		armed = object != nil && !condition(object, meshRecovered)
		return err
	})
	return armed, err
}

// Undo deletes the resource and waits until Chaos Mesh has recovered everything and let it go.
func (f *FaultChaosMesh) Undo(ctx context.Context, call chaos.Call) error {
	return onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error {
		return c.endMesh(ctx, kept.Spot, call.Record.ID)
	})
}

// oneShot are the actions that Chaos Mesh does once, and has nothing to recover of.
var oneShot = []string{"pod-kill", "container-kill"}

// endMesh deletes a fault of Chaos Mesh and looks at the very last that Chaos Mesh said of it: before it lets a resource go
// it recovers everything.
func (c *cluster) endMesh(ctx context.Context, at spot, id string) error {
	object, err := c.made(ctx, at, id)
	if err != nil || object == nil {
		return err
	}
	changes, err := c.in(at).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", at.Name).String(),
		ResourceVersion: object.GetResourceVersion()})
	if err != nil {
		return told(err, "watching "+at.String())
	}
	defer changes.Stop()
	if err := c.delete(ctx, at, object.GetUID()); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return jenner.Retryable(fmt.Errorf("the cluster's Chaos Mesh does not let %s go (%s): %w", at, meshStatus(object), context.Cause(ctx)), "see its controller manager")
		case event, more := <-changes.ResultChan():
			if !more || event.Type == watch.Error {
				return jenner.Retryable(fmt.Errorf("the end of %s was not seen", at), "")
			}
			if last, is := event.Object.(*unstructured.Unstructured); is {
				object = last
			}
			if event.Type == watch.Deleted {
				return recovered(at, object)
			}
		}
	}
}

// recovered tells by the last that Chaos Mesh said whether it took everything back: by its condition, or, since it may let a
// resource go before it wrote that, by its records.
func recovered(at spot, last *unstructured.Unstructured) error {
	action, _, _ := unstructured.NestedString(last.Object, "spec", "action")
	records, _, _ := unstructured.NestedSlice(last.Object, "status", "experiment", "containerRecords")
	left := len(records) == 0 && condition(last, meshInjected)
	for _, one := range records {
		if fields, is := one.(map[string]any); is && fields["phase"] == "Injected" {
			left = true
		}
	}
	if !left || condition(last, meshRecovered) || slices.Contains(oneShot, action) {
		return nil
	}
	return jenner.ForHuman(fmt.Errorf("%s is gone, and the last that Chaos Mesh said is %s, not %s", at, meshStatus(last), meshRecovered),
		"see what is left of it in the pods")
}

// Fingerprint tells whether the resource is there.
func (f *FaultChaosMesh) Fingerprint(ctx context.Context, call chaos.Call) (print string, err error) {
	err = onMesh(ctx, call, func(ctx context.Context, c *cluster, kept meshed) error {
		object, err := c.made(ctx, kept.Spot, call.Record.ID)
		print = "no " + kept.Spot.String()
		if object != nil {
			print = kept.Spot.String()
		}
		return err
	})
	return print, err
}

// Rights are to read the pods, and to make the resource, find it, see what becomes of it and take it away.
func (f *FaultChaosMesh) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := t.chosenRights()
	for _, verb := range append([]string{"watch"}, madeVerbs...) {
		list = append(list, t.right(verb, meshGroup, strings.ToLower(f.Kind)))
	}
	return list, nil
}
