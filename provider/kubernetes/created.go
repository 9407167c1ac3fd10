package kubernetes

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// madeName is in front of the names of objects that faults make.
const madeName = "jenner-fault-"

// create makes an object that is a fault, with the fault's mark. One that is there already with that mark stays.
func (c *cluster) create(ctx context.Context, at spot, record jenner.FaultRecord, object *unstructured.Unstructured, dryRun ...string) error {
	object = object.DeepCopy()
	object.SetName(at.Name)
	object.SetNamespace(at.Namespace)
	m := marking(record, "", nil)
	m.Created = true
	if err := m.put(object); err != nil {
		return err
	}
	_, err := c.in(at).Create(ctx, object, metav1.CreateOptions{FieldManager: faultManager, DryRun: dryRun})
	if apierrors.IsAlreadyExists(err) {
		there, getErr := c.get(ctx, at)
		if getErr != nil {
			return told(getErr, "reading "+at.String())
		}
		if _, ours, markErr := markBy(there, record.ID); ours && markErr == nil && len(dryRun) == 0 {
			return nil
		}
		return jenner.Permanent(fmt.Errorf("there is one called %s already: %w", at, err), "see whose it is")
	}
	return told(err, "making "+at.String())
}

// made tells whether the object that is a fault is there, with the fault's mark.
func (c *cluster) made(ctx context.Context, at spot, id string) (*unstructured.Unstructured, error) {
	object, err := c.get(ctx, at)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, told(err, "reading "+at.String())
	}
	m, ours, err := markBy(object, id)
	if err != nil || !ours || !m.Created {
		return nil, err
	}
	return object, nil
}

// unmake deletes an object that is a fault, where it bears the fault's mark, and waits until it is gone.
func (c *cluster) unmake(ctx context.Context, at spot, id string) error {
	object, err := c.made(ctx, at, id)
	if err != nil || object == nil {
		return err
	}
	if err := c.delete(ctx, at, object.GetUID()); err != nil {
		return err
	}
	return c.until(ctx, func() (string, error) {
		left, err := c.made(ctx, at, id)
		if err != nil || left == nil || left.GetUID() != object.GetUID() {
			return "", err
		}
		return at.String() + " is not gone", nil
	})
}

// delete deletes one very object, and what was made for it.
func (c *cluster) delete(ctx context.Context, at spot, uid types.UID) error {
	below := metav1.DeletePropagationForeground
	err := c.in(at).Delete(ctx, at.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &below})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: another one has the name by now
		return nil
	}
	return told(err, "deleting "+at.String())
}
