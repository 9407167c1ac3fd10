package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/jenner-heal/jenner"
)

// spot says which object of a cluster is meant.
type spot struct {
	Group     string    `json:"group,omitempty"`
	Version   string    `json:"version"`
	Resource  string    `json:"resource"` // in the plural: deployments
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid,omitempty"` // of the very object that was found; another one of that name is none of a fault's business
}

// spotResources are the resources that faults change or make objects of.
var spotResources = map[string]schema.GroupVersionResource{
	kindDeployment:  {Group: "apps", Version: "v1", Resource: "deployments"},
	kindStatefulSet: {Group: "apps", Version: "v1", Resource: "statefulsets"},
	kindDaemonSet:   {Group: "apps", Version: "v1", Resource: "daemonsets"},
	kindConfigMap:   {Version: "v1", Resource: "configmaps"},
	kindNode:        {Version: "v1", Resource: "nodes"},
	kindPod:         {Version: "v1", Resource: "pods"},
	kindHPA:         {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	kindPolicy:      {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
}

// kindPolicy is no kind of target; faults make them.
const kindPolicy = "networkpolicy"

// placeOf is the place of an object of a kind.
func spotOf(kind, namespace, name string) spot {
	resource := spotResources[kind]
	if kind == kindNode {
		namespace = ""
	}
	return spot{Group: resource.Group, Version: resource.Version, Resource: resource.Resource, Namespace: namespace, Name: name}
}

// spot is where a target's object is.
func (t *Target) spot() spot { return spotOf(t.ref.Kind, t.Namespace, t.Object) }

// String is deployments shop/checkout, and nodes node2.
func (p spot) String() string {
	if p.Namespace == "" {
		return p.Resource + " " + p.Name
	}
	return p.Resource + " " + p.Namespace + "/" + p.Name
}

func (p spot) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: p.Group, Version: p.Version, Resource: p.Resource}
}

func (c *cluster) in(p spot) dynamic.ResourceInterface {
	if p.Namespace == "" {
		return c.dynamic.Resource(p.resource())
	}
	return c.dynamic.Resource(p.resource()).Namespace(p.Namespace)
}

func (c *cluster) get(ctx context.Context, at spot) (*unstructured.Unstructured, error) {
	return c.in(at).Get(ctx, at.Name, metav1.GetOptions{})
}

// faultManager is under which name faults change objects, so that their ownership of fields can be taken away again.
const faultManager = "jenner-fault"

// write sends what differs between two states of an object, which is refused where the object changed meanwhile.
func (c *cluster) write(ctx context.Context, at spot, before, after *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	patch, err := difference(before, after)
	if err != nil {
		return nil, err
	}
	return c.in(at).Patch(ctx, at.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: faultManager, DryRun: dryRun})
}

// difference is the JSON merge patch from one state of an object to another. It holds the resourceVersion of the first, so
// that it can be applied to that very state only.
func difference(before, after *unstructured.Unstructured) ([]byte, error) {
	old, err := before.MarshalJSON()
	if err != nil {
		return nil, err
	}
	new, err := after.MarshalJSON()
	if err != nil {
		return nil, err
	}
	raw, err := jsonmergepatch.CreateThreeWayJSONMergePatch(old, new, old)
	if err != nil {
		return nil, err
	}
	var patch map[string]any
	if err := json.Unmarshal(raw, &patch); err != nil {
		return nil, err
	}
	meta, _ := patch["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		patch["metadata"] = meta
	}
	meta["resourceVersion"] = before.GetResourceVersion()
	return json.Marshal(patch)
}

// meanwhile is how a change is tried again that others came before: status changes, too, make an object another one.
var meanwhile = wait.Backoff{Steps: 8, Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.2}

// change reads an object and changes it as to says, which gives nil where nothing is to be done. Where the object changed in
// between, both are done again. An object that is not there is NotFound.
func (c *cluster) change(ctx context.Context, at spot, to func(*unstructured.Unstructured) (*unstructured.Unstructured, error)) error {
	err := retry.RetryOnConflict(meanwhile, func() error {
		object, err := c.get(ctx, at)
		if err != nil {
			return err
		}
		changed, err := to(object)
		if err != nil || changed == nil {
			return err
		}
		_, err = c.write(ctx, at, object, changed)
		return err
	})
	if apierrors.IsNotFound(err) {
		return jenner.Permanent(fmt.Errorf("%s is not there: %w", at, err), "")
	}
	return told(err, "changing "+at.String())
}
