package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// onTarget connects to the cluster of a target and does something there, for queryPatience at most unless ctx says less.
func onTarget(ctx context.Context, target jenner.Target, do func(ctx context.Context, t *Target, c *cluster) error) error {
	t, c, err := reach(target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, queryPatience)
	defer cancel()
	return do(ctx, t, c)
}

// checkpointed reads what a fault kept of the state before.
func checkpointed[T any](call chaos.Call) (kept T, err error) {
	if len(call.Record.Checkpoint) == 0 {
		return kept, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(call.Record.Checkpoint, &kept); err != nil {
		return kept, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return kept, nil
}

// edited are the methods that faults share which change fields of one object. What was before is kept twice: in the
// undo journal, and on the object itself in the annotation of the fault, in the same request as the change. The object does
// not change back by itself: whoever owns the record, or finds the annotation after its time, undoes it.
//
// The undo restores the fields that are still as the fault left them. What somebody else has changed since is kept; then
// the fingerprint tells that the state of before did not come back. Who owns a field by server-side apply does not come
// back with its value: Jenner's own ownership is taken away, and the next apply takes the field again.
type edited struct{}

// altered is their checkpoint.
type altered struct {
	Spot    spot    `json:"spot"`
	Changes []delta `json:"changes"`
}

// String is what is changed, in words.
func (a altered) String() string {
	var words []string
	for _, c := range a.Changes {
		words = append(words, c.String())
	}
	return a.Spot.String() + ": " + strings.Join(words, ", ")
}

// alter finds what the settings would change, by letting the API server try it. It refuses an object that is not there,
// that another fault has changed in the same place, and settings that change nothing or that the server refuses.
func (c *cluster) alter(ctx context.Context, call chaos.Call, at spot, settings ...delta) (altered, error) {
	var object, tried *unstructured.Unstructured
	err := retry.RetryOnConflict(meanwhile, func() (err error) { // a controller writes the status of a workload all the time
		object, tried, err = c.tryOut(ctx, call, at, settings)
		return err
	})
	if err != nil {
		return altered{}, err
	}
	at.UID = object.GetUID()
	kept := altered{Spot: at}
	for _, s := range settings {
		was, err := valueAt(object.Object, s.Path)
		if err != nil {
			return kept, err
		}
		is, err := valueAt(tried.Object, s.Path) // as the server writes it, with its own defaults
		if err != nil {
			return kept, err
		}
		if string(was) != string(is) {
			kept.Changes = append(kept.Changes, delta{Path: s.Path, Was: was, Is: is})
		}
	}
	if len(kept.Changes) == 0 {
		return kept, jenner.Permanent(fmt.Errorf("%s is so already, and nothing would change", at), "")
	}
	_, err = marking(call.Record, at.UID, kept.Changes).encode() // is it short enough?
	return kept, err
}

// tryOut reads an object and lets the API server try the settings on it.
func (c *cluster) tryOut(ctx context.Context, call chaos.Call, at spot, settings []delta) (object, tried *unstructured.Unstructured, err error) {
	if object, err = c.get(ctx, at); err != nil {
		return nil, nil, told(err, "reading "+at.String())
	}
	if err := unclaimed(object, settings); err != nil {
		return nil, nil, jenner.Permanent(fmt.Errorf("%s: %w", at, err), "undo that one first")
	}
	planned, err := withChanges(object, settings)
	if err != nil {
		return nil, nil, jenner.Permanent(fmt.Errorf("%s: %w", at, err), "")
	}
	if err := marking(call.Record, object.GetUID(), settings).put(planned); err != nil {
		return nil, nil, err
	}
	tried, err = c.write(ctx, at, object, planned, metav1.DryRunAll)
	return object, tried, told(err, "trying to change "+at.String())
}

// unclaimed refuses an object in which another fault holds one of the fields.
func unclaimed(object metav1.Object, settings []delta) error {
	held, err := marksOf(object)
	if err != nil {
		return err
	}
	for _, m := range held {
		for _, theirs := range m.Changes {
			for _, ours := range settings {
				if overlap(theirs.Path, ours.Path) {
					return fmt.Errorf("fault %s (%s, by %s) holds %s", m.ID, m.Fault, m.By, strings.Join(theirs.Path, "."))
				}
			}
		}
	}
	return nil
}

func overlap(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// withChanges is a copy of the object as the changes leave it.
func withChanges(object *unstructured.Unstructured, changes []delta) (*unstructured.Unstructured, error) {
	changed := object.DeepCopy()
	for _, c := range changes {
		if err := putAt(changed.Object, c.Path, c.Is); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// Inject changes the fields, which must be as they were at the checkpoint.
func (edited) Inject(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		return c.edit(ctx, call.Record, kept)
	})
}

func (c *cluster) edit(ctx context.Context, record jenner.FaultRecord, kept altered) error {
	return c.change(ctx, kept.Spot, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		if object.GetUID() != kept.Spot.UID {
			return nil, jenner.Permanent(fmt.Errorf("%s is another one than at the checkpoint", kept.Spot), "inject it anew")
		}
		if _, has, err := markBy(object, record.ID); has || err != nil {
			return nil, err
		}
		for _, want := range kept.Changes {
			now, err := valueAt(object.Object, want.Path)
			if err != nil {
				return nil, err
			}
			if string(now) != string(want.Was) {
				return nil, jenner.Permanent(fmt.Errorf("%s: somebody changed %s meanwhile, from %s to %s", kept.Spot,
					strings.Join(want.Path, "."), shown(want.Was), shown(now)), "inject it anew")
			}
		}
		changed, err := withChanges(object, kept.Changes)
		if err == nil {
			err = marking(record, kept.Spot.UID, kept.Changes).put(changed)
		}
		return changed, err
	})
}

// Renew writes the new end onto the object.
func (edited) Renew(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		return c.renew(ctx, kept.Spot, call.Record)
	})
}

// renew makes the mark of a fault last until the record's end. Where the mark is gone, so is the fault.
func (c *cluster) renew(ctx context.Context, at spot, record jenner.FaultRecord) error {
	err := c.change(ctx, at, func(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		m, has, err := markBy(object, record.ID)
		if err != nil || !has {
			return nil, err
		}
		renewed := object.DeepCopy()
		m.Until = record.Until.UTC()
		return renewed, m.put(renewed)
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Armed tells whether a field is still as the fault left it.
func (edited) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return false, err
	}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		armed, err = c.holds(ctx, call.Record.ID, kept)
		return err
	})
	return armed, err
}

func (c *cluster) holds(ctx context.Context, id string, kept altered) (bool, error) {
	object, err := c.get(ctx, kept.Spot)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, told(err, "reading "+kept.Spot.String())
	}
	_, has, err := markBy(object, id)
	if err != nil || !has || object.GetUID() != kept.Spot.UID {
		return false, err
	}
	for _, c := range kept.Changes {
		now, err := valueAt(object.Object, c.Path)
		if err == nil && string(now) == string(c.Is) {
			return true, nil
		}
	}
	return false, nil
}

// Undo restores the fields that are still as the fault left them, and takes the mark off.
func (edited) Undo(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		_, err := c.restore(ctx, kept.Spot, call.Record.ID)
		return err
	})
}

// Fingerprint is the hash of the fields that the fault changes, and tells whether the object bears its mark.
func (edited) Fingerprint(ctx context.Context, call chaos.Call) (print string, err error) {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return "", err
	}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		print, err = c.fingerprint(ctx, call.Record.ID, kept)
		return err
	})
	return print, err
}

func (c *cluster) fingerprint(ctx context.Context, id string, kept altered) (string, error) {
	object, err := c.get(ctx, kept.Spot)
	if apierrors.IsNotFound(err) {
		return "absent", nil
	}
	if err != nil {
		return "", told(err, "reading "+kept.Spot.String())
	}
	now := make([]delta, 0, len(kept.Changes))
	for _, c := range kept.Changes {
		value, err := valueAt(object.Object, c.Path)
		if err != nil {
			return "", err
		}
		now = append(now, delta{Path: c.Path, Was: value})
	}
	print := hashBefore(now)
	if _, has := object.GetAnnotations()[markKey(id)]; has {
		print += " marked"
	}
	return print, nil
}
