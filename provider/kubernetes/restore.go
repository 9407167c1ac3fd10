package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner"
)

// restored is what came of taking a fault off an object.
type restored struct {
	Mark mark
	// Kept are the fields that somebody else has changed since, and that stay so.
	Kept []string
	// Nothing: the object is gone, or does not bear the mark.
	Nothing bool
}

// restore takes a fault back by the mark on its object, and proves by the hash that what was before is there again.
// Undoing twice is as undoing once.
func (c *cluster) restore(ctx context.Context, at spot, id string) (restored, error) {
	done := restored{Nothing: true}
	err := c.change(ctx, at, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		m, has, err := markBy(object, id)
		if err != nil || !has {
			return nil, err
		}
		done = restored{Mark: m}
		before := object.DeepCopy()
		if m.UID == object.GetUID() { // else the annotation is only a copy of one
			if err := permitted(at, m.Changes); err != nil {
				return nil, jenner.Permanent(fmt.Errorf("%s: annotation %s: %w", at, markKey(id), err), "see who wrote it; Jenner did not")
			}
			if done.Kept, err = putBack(before.Object, m.Changes); err != nil {
				return nil, err
			}
		}
		unmark(before, id)
		return before, nil
	})
	if apierrors.IsNotFound(err) {
		return restored{Nothing: true}, nil
	}
	if err != nil || done.Nothing {
		return done, err
	}
	return done, errors.Join(c.proveRestored(ctx, at, done), c.disown(ctx, at), c.forgetCopies(ctx, at, id))
}

// putBack restores the fields that are as the fault left them, the last change first, and names the others.
func putBack(object map[string]any, changes []delta) (kept []string, err error) {
	for _, c := range slices.Backward(changes) {
		now, err := valueAt(object, c.Path)
		if err != nil {
			kept = append(kept, strings.Join(c.Path, ".")) // there is not even the place for it
			continue
		}
		switch string(now) {
		case string(c.Was):
		case string(c.Is):
			if err := putAt(object, c.Path, c.Was); err != nil {
				return kept, err
			}
		default:
			kept = append(kept, strings.Join(c.Path, "."))
		}
	}
	return kept, nil
}

// proveRestored compares the hash of what is there now with the mark's, where nobody else has changed anything.
func (c *cluster) proveRestored(ctx context.Context, at spot, done restored) error {
	if len(done.Kept) > 0 || len(done.Mark.Changes) == 0 {
		return nil
	}
	object, err := c.get(ctx, at)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return told(err, "reading "+at.String())
	}
	if object.GetUID() != done.Mark.UID {
		return nil
	}
	now := make([]delta, 0, len(done.Mark.Changes))
	for _, c := range done.Mark.Changes {
		value, err := valueAt(object.Object, c.Path)
		if err != nil {
			return err
		}
		now = append(now, delta{Path: c.Path, Was: value})
	}
	if got := hashBefore(now); got != done.Mark.Hash {
		return jenner.Retryable(fmt.Errorf("%s has hash %s after the undo, and had %s before the fault", at, brief(got), brief(done.Mark.Hash)),
			"somebody may have changed it in this very moment")
	}
	return nil
}

// permitted are the fields that an undo may write. An annotation is no more than somebody's word.
func permitted(at spot, changes []delta) error {
	for _, c := range changes {
		if !slices.ContainsFunc(undoable[at.Resource], func(pattern []string) bool { return fits(pattern, c.Path) }) {
			return fmt.Errorf("no fault of Jenner changes %s", strings.Join(c.Path, "."))
		}
	}
	return nil
}

// undoable are the fields that faults change, by resource. A star at the end of a name stands for anything, as a whole
// name for anything below.
var undoable = map[string][][]string{
	"deployments":              append([][]string{{"spec", "replicas"}, {"spec", "strategy"}}, ofContainers...),
	"statefulsets":             append([][]string{{"spec", "replicas"}}, ofContainers...),
	"daemonsets":               ofContainers,
	"configmaps":               {{"data", "*"}},
	"nodes":                    {{"spec", "unschedulable"}},
	"pods":                     {{"metadata", "labels", cutLabel + "*"}},
	"horizontalpodautoscalers": {{"spec", "minReplicas"}, {"spec", "maxReplicas"}},
}

var ofContainers = [][]string{
	{"spec", "template", "spec", "containers", "name=*", "image"}, {"spec", "template", "spec", "containers", "name=*", "command"},
	{"spec", "template", "spec", "containers", "name=*", "args"}, {"spec", "template", "spec", "containers", "name=*", "env", "name=*"},
}

func fits(pattern, path []string) bool {
	if len(path) < len(pattern) || len(path) > len(pattern) && pattern[len(pattern)-1] != "*" {
		return false
	}
	for i, name := range pattern {
		prefix, open := strings.CutSuffix(name, "*")
		if path[i] != name && !(open && strings.HasPrefix(path[i], prefix)) {
			return false
		}
	}
	return true
}

// disown takes away what the server noted of who owns the fields that the fault wrote.
func (c *cluster) disown(ctx context.Context, at spot) error {
	err := c.change(ctx, at, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		owners := object.GetManagedFields()
		ours := func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == faultManager }
		if marked(object.GetAnnotations()) || !slices.ContainsFunc(owners, ours) {
			return nil, nil
		}
		without := object.DeepCopy()
		without.SetManagedFields(slices.DeleteFunc(slices.Clone(owners), ours))
		return without, nil
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// forgetCopies takes the annotation off the replica sets of a deployment, to which Kubernetes copies it: a rollout back to
// one of them would bring it back.
func (c *cluster) forgetCopies(ctx context.Context, at spot, id string) error {
	if at.Resource != spotResources[kindDeployment].Resource {
		return nil
	}
	sets, err := c.AppsV1().ReplicaSets(at.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return told(err, "listing the replica sets of "+at.String())
	}
	for _, set := range sets.Items {
		owner := metav1.GetControllerOf(&set)
		if _, has := set.Annotations[markKey(id)]; !has || owner == nil || owner.Kind != "Deployment" || owner.Name != at.Name {
			continue
		}
		copied := spot{Group: at.Group, Version: at.Version, Resource: "replicasets", Namespace: at.Namespace, Name: set.Name}
		one := c.change(ctx, copied, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			without := object.DeepCopy()
			unmark(without, id)
			return without, nil
		})
		if !apierrors.IsNotFound(one) {
			err = errors.Join(err, one)
		}
	}
	return err
}
