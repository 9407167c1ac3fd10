package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() { Provider.Sweeper = sweeper{} }

// sweeper finds the marks of faults in clusters.
type sweeper struct{}

// Sweep looks at all objects that bear the label of faults, in each of the clusters that targets are in: in all namespaces
// where Jenner may list there, and in those of the targets otherwise.
func (sweeper) Sweep(ctx context.Context, targets []jenner.Target, now time.Time) (swept []chaos.Swept, err error) {
	namespaces := map[*cluster][]string{}
	var order []*cluster
	for _, target := range targets {
		t, c, wrong := reach(target)
		if wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		if _, known := namespaces[c]; !known {
			order = append(order, c)
		}
		if !slices.Contains(namespaces[c], t.Namespace) {
			namespaces[c] = append(namespaces[c], t.Namespace)
		}
	}
	for _, c := range order {
		found, failed := c.sweep(ctx, namespaces[c], now)
		swept, err = append(swept, found...), errors.Join(err, failed)
	}
	return swept, err
}

// sweep takes back what is over in one cluster.
func (c *cluster) sweep(ctx context.Context, namespaces []string, now time.Time) (swept []chaos.Swept, err error) {
	resources, err := c.marked()
	var unseen []string
	for _, resource := range resources {
		objects, hidden, failed := c.touched(ctx, resource, namespaces)
		unseen, err = append(unseen, hidden...), errors.Join(err, failed)
		for i := range objects {
			found, failed := c.sweepOne(ctx, resource, &objects[i], now)
			swept, err = append(swept, found...), errors.Join(err, failed)
		}
	}
	if len(unseen) > 0 {
		err = errors.Join(err, jenner.Permanent(fmt.Errorf("faults that others may have left are not looked for among %s: Jenner may not list them",
			strings.Join(unseen, ", ")), "`jenner rbac` gives these rights for the faults of the loaded experiments"))
	}
	return swept, err
}

// markedKinds are the kinds of objects that may bear marks, beside those of Chaos Mesh.
var markedKinds = []string{kindPolicy, kindConfigMap, kindDeployment, kindStatefulSet, kindDaemonSet, kindHPA, kindPod, kindNode}

// marked are the resources whose objects may bear marks.
func (c *cluster) marked() ([]schema.GroupVersionResource, error) {
	var all []schema.GroupVersionResource
	for _, kind := range markedKinds {
		all = append(all, spotResources[kind])
	}
	list, err := c.Discovery().ServerResourcesForGroupVersion(meshGroup + "/" + meshVersion)
	if apierrors.IsNotFound(err) {
		return all, nil
	}
	if err != nil {
		return all, told(err, "asking for the kinds of Chaos Mesh")
	}
	for _, kind := range list.APIResources {
		if slices.Contains(meshKinds, kind.Kind) && !strings.Contains(kind.Name, "/") {
			all = append(all, schema.GroupVersionResource{Group: meshGroup, Version: meshVersion, Resource: kind.Name})
		}
	}
	return all, nil
}

// touched are the objects of a resource that bear the label of faults. hidden says where Jenner may not list them.
func (c *cluster) touched(ctx context.Context, resource schema.GroupVersionResource, namespaces []string) (found []unstructured.Unstructured,
	hidden []string, err error) {
	ours := metav1.ListOptions{LabelSelector: touchedByUs}
	list, err := c.dynamic.Resource(resource).List(ctx, ours)
	switch {
	case err == nil:
		return list.Items, nil, nil
	case !apierrors.IsForbidden(err):
		return nil, nil, told(err, "listing the "+resource.Resource+" that faults have touched")
	case resource == spotResources[kindNode]:
		return nil, []string{resource.Resource}, nil
	}
	err = nil
	for _, namespace := range namespaces {
		list, failed := c.dynamic.Resource(resource).Namespace(namespace).List(ctx, ours)
		switch {
		case failed == nil:
			found = append(found, list.Items...)
		case apierrors.IsForbidden(failed):
			hidden = append(hidden, resource.Resource+" of "+namespace)
		default:
			err = errors.Join(err, told(failed, fmt.Sprintf("listing the %s of %s that faults have touched", resource.Resource, namespace)))
		}
	}
	return found, hidden, err
}

// sweepOne takes the faults of one object back that are over, the newest first, for each found the object as the one before
// had left it.
func (c *cluster) sweepOne(ctx context.Context, resource schema.GroupVersionResource, object *unstructured.Unstructured, now time.Time) ([]chaos.Swept, error) {
	at := spot{Group: resource.Group, Version: resource.Version, Resource: resource.Resource, Namespace: object.GetNamespace(), Name: object.GetName()}
	found, wrong := marksOf(object)
	if wrong != nil {
		wrong = jenner.ForHuman(fmt.Errorf("%s: %w", at, wrong), "see who wrote it, and remove the annotation")
	}
	if !marked(object.GetAnnotations()) {
		return nil, c.unlabel(ctx, at)
	}
	var swept []chaos.Swept
	err := wrong
	for _, m := range found {
		if !now.After(m.Until.Add(chaos.SweepGrace)) {
			continue
		}
		kept, failed := c.takeBack(ctx, at, m)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s of %s on %s was not taken back: %w", m.Fault, m.By, at, failed))
			continue
		}
		swept = append(swept, chaos.Swept{ID: m.ID, Fault: m.Fault, On: at.String(), By: m.By, Until: m.Until, Kept: strings.Join(kept, ", ")})
	}
	return swept, err
}

// takeBack undoes a fault by its mark.
func (c *cluster) takeBack(ctx context.Context, at spot, m mark) (kept []string, err error) {
	switch {
	case !m.Created:
		done, err := c.restore(ctx, at, m.ID)
		return done.Kept, err
	case !strings.HasPrefix(at.Name, madeName):
		return nil, jenner.ForHuman(errors.New("the annotation says that a fault made it, and its name is none of a fault's"), "see who wrote it")
	case at.Group == meshGroup:
		return nil, c.endMesh(ctx, at, m.ID)
	case at.resource() == spotResources[kindPolicy]:
		return nil, c.unmake(ctx, at, m.ID)
	}
	return nil, jenner.ForHuman(errors.New("the annotation says that a fault made it, and no fault makes such objects"), "see who wrote it")
}

// unlabel takes the label off an object that bears no mark any more: somebody has removed that, as a rollback by hand does.
func (c *cluster) unlabel(ctx context.Context, at spot) error {
	err := c.change(ctx, at, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		if _, has := object.GetLabels()[touchedLabel]; !has || marked(object.GetAnnotations()) {
			return nil, nil
		}
		without := object.DeepCopy()
		unmark(without, "")
		return without, nil
	})
	if gone(err) {
		return nil
	}
	return err
}
