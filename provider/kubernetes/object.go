package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/jenner-heal/jenner"
)

// servedAs is where the API server keeps the objects of each kind. A release of Helm is no object of its own.
var servedAs = map[string]schema.GroupVersionResource{
	kindDeployment:  {Group: "apps", Version: "v1", Resource: "deployments"},
	kindStatefulSet: {Group: "apps", Version: "v1", Resource: "statefulsets"},
	kindDaemonSet:   {Group: "apps", Version: "v1", Resource: "daemonsets"},
	kindPod:         {Version: "v1", Resource: "pods"},
	kindNode:        {Version: "v1", Resource: "nodes"},
	kindJob:         {Group: "batch", Version: "v1", Resource: "jobs"},
	kindHPA:         {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	kindPVC:         {Version: "v1", Resource: "persistentvolumeclaims"},
	kindConfigMap:   {Version: "v1", Resource: "configmaps"},
}

// resource is the part of the API that a target's object is read and changed through.
func (c *cluster) resource(t *Target) (dynamic.ResourceInterface, error) {
	known, is := servedAs[t.ref.Kind]
	switch {
	case !is:
		return nil, jenner.Permanent(fmt.Errorf("%s is no single object", t.ref), "")
	case t.ref.Kind == kindNode:
		return c.dynamic.Resource(known), nil
	case t.Selector != "":
		return nil, jenner.Permanent(fmt.Errorf("%s is picked by a selector, and one object is meant", t.ref), "name the object")
	}
	return c.dynamic.Resource(known).Namespace(t.Namespace), nil
}

// object reads the object that a target names, whole.
func (c *cluster) object(ctx context.Context, t *Target) (*unstructured.Unstructured, error) {
	from, err := c.resource(t)
	if err != nil {
		return nil, err
	}
	live, err := from.Get(ctx, t.Object, metav1.GetOptions{})
	return live, told(err, "reading "+t.String())
}

// String is `deployment shop/checkout`.
func (t *Target) String() string {
	if t.ref.Kind == kindNode || t.Namespace == "" {
		return t.ref.Kind + " " + t.Object
	}
	return t.ref.Kind + " " + t.Namespace + "/" + t.Object
}

// rights are verbs on the target's own object.
func (t *Target) rights(verbs ...string) []jenner.Right {
	known := servedAs[t.ref.Kind]
	var list []jenner.Right
	for _, verb := range verbs {
		right := t.right(verb, known.Group, known.Resource)
		if verb != "list" && verb != "watch" && verb != "create" && t.Selector == "" {
			right.Name = t.Object
		}
		list = append(list, right)
	}
	return list
}

// right is a verb on all objects of one resource, where the target is.
func (t *Target) right(verb, group, resource string) jenner.Right {
	right := jenner.Right{Verb: verb, Group: group, Resource: resource, Namespace: t.Namespace, Kubeconfig: t.Kubeconfig, Context: t.Context}
	if t.ref.Kind == kindNode {
		right.Namespace, right.Clusterwide = "", true
	}
	return right
}
