package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("mark_verified", "Note that the present revision of a workload is healthy, so that it can be rolled back to", func() act.Action {
		return &MarkVerified{For: jenner.Duration(healthyFor)}
	}, workloadKinds...)
}

// MarkVerified writes the annotation jenner.dev/verified on the present revision of a workload (its ReplicaSet or
// ControllerRevision), when the workload has settled and all its pods have served for a while. Run it as the last step of
// what follows a release. The undo takes the mark back, or sets it as it was.
type MarkVerified struct {
	// For is for how long all pods must have served; 10m where not said.
	For jenner.Duration `json:"for,omitempty"`
}

// verifiedMark is the checkpoint, and the output.
type verifiedMark struct {
	Revision int64     `json:"revision"`
	Name     string    `json:"name"` // of what holds the mark
	UID      types.UID `json:"uid"`
	Was      string    `json:"was,omitempty"`
	Want     string    `json:"want"`
}

// present gives the revision that serves now, or why it does not count as healthy.
func (m *MarkVerified) present(ctx context.Context, call act.Call) (*site, revision, error) {
	on, err := look(ctx, call)
	if err != nil {
		return nil, revision{}, err
	}
	r, err := rolloutOf(on.target.ref.Kind, on.live)
	if err != nil {
		return on, revision{}, err
	}
	one, err := on.current(ctx, r)
	if err != nil {
		return on, one, err
	}
	if !r.Settled || r.Replicas == 0 {
		return on, one, jenner.Retryable(fmt.Errorf("%s has not settled: %s", on.target, r), "")
	}
	since, err := on.healthySince(ctx, r, one)
	switch {
	case errors.Is(err, errNotSeen):
		return on, one, jenner.Retryable(fmt.Errorf("%s: %w", on.target, err), "")
	case err != nil:
		return on, one, err
	case time.Since(since) < m.For.Or(healthyFor):
		return on, one, jenner.Retryable(fmt.Errorf("%s serves with all its pods since %s only, and %s are asked for", on.target,
			since.UTC().Format(time.DateTime), m.For), "")
	}
	return on, one, nil
}

// current is the revision that the workload has now.
func (on *site) current(ctx context.Context, r rollout) (revision, error) {
	all, err := on.revisions(ctx, r)
	if err != nil {
		return revision{}, err
	}
	for _, one := range all {
		if one.Current {
			return one, nil
		}
	}
	return revision{}, jenner.Retryable(fmt.Errorf("%s: its controller has not noted its present revision yet", on.target), "")
}

// Check refuses what has not been healthy for long enough.
func (m *MarkVerified) Check(ctx context.Context, call act.Call) error {
	_, _, err := m.present(ctx, call)
	return err
}

// Checkpoint keeps which revision is meant, and the mark that it has.
func (m *MarkVerified) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	_, one, err := m.present(ctx, call)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(verifiedMark{Revision: one.Number, Name: one.object.GetName(), UID: one.object.GetUID(),
		Was: one.object.GetAnnotations()[verifiedAt], Want: now()}), nil
}

// Fingerprint is the mark of the revision of the checkpoint, or of the present one.
func (m *MarkVerified) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	on, err := look(ctx, call)
	if err != nil {
		return "", err
	}
	var kept verifiedMark
	if len(call.Checkpoint) > 0 {
		kept, err = keptIn[verifiedMark](call.Checkpoint)
	} else if r, rolloutErr := rolloutOf(on.target.ref.Kind, on.live); rolloutErr == nil {
		var one revision
		if one, err = on.current(ctx, r); err == nil {
			kept = verifiedMark{Name: one.object.GetName(), UID: one.object.GetUID()}
		}
	}
	if err != nil {
		return "", err
	}
	is, err := on.markOf(ctx, kept)
	return jenner.Fingerprint(kept.Name, is), err
}

// markOf reads the mark of a revision.
func (on *site) markOf(ctx context.Context, kept verifiedMark) (string, error) {
	object, err := on.dynamic.Resource(historyOf(on.target.ref.Kind)).Namespace(on.target.Namespace).Get(ctx, kept.Name, metav1.GetOptions{})
	if err != nil {
		return "", told(err, "reading the revision "+kept.Name)
	}
	if object.GetUID() != kept.UID {
		return "", jenner.Permanent(fmt.Errorf("the revision %s is another one by now", kept.Name), "")
	}
	return object.GetAnnotations()[verifiedAt], nil
}

// setMark writes the mark of a revision, or takes it away.
func (on *site) setMark(ctx context.Context, kept verifiedMark, value any) error {
	body := jenner.Raw(map[string]any{"metadata": map[string]any{"uid": kept.UID, "annotations": map[string]any{verifiedAt: value}}})
	_, err := on.dynamic.Resource(historyOf(on.target.ref.Kind)).Namespace(on.target.Namespace).Patch(ctx, kept.Name, types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: fieldManager})
	return told(err, "marking the revision "+kept.Name)
}

// Happened compares the mark with the checkpoint.
func (m *MarkVerified) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	kept, err := keptIn[verifiedMark](call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	on, err := look(ctx, call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	switch is, err := on.markOf(ctx, kept); {
	case err != nil:
		return act.HappenedUnknown, err
	case is == kept.Want:
		return act.HappenedDone, nil
	case is == kept.Was:
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// Do writes the mark, where the revision is still the present one.
func (m *MarkVerified) Do(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[verifiedMark](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	on, one, err := m.present(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	if one.object.GetUID() != kept.UID {
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s has another revision by now", on.target), "")
	}
	if is := one.object.GetAnnotations()[verifiedAt]; is == kept.Want {
		return act.Result{Summary: one.String() + " is marked already", Output: kept}, nil
	}
	if err := on.setMark(ctx, kept, kept.Want); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("%s of %s is marked as healthy", one, on.target), Changed: true, Output: kept}, nil
}

// Undo sets the mark as it was.
func (m *MarkVerified) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[verifiedMark](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	on, err := look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	is, err := on.markOf(ctx, kept)
	switch {
	case apierrors.IsNotFound(err), err == nil && is != kept.Want:
		return act.Result{Summary: fmt.Sprintf("the mark of revision %d is not ours any more", kept.Revision)}, nil
	case err != nil:
		return act.Result{}, err
	}
	var value any
	if kept.Was != "" {
		value = kept.Was
	}
	err = on.setMark(ctx, kept, value)
	return act.Result{Summary: fmt.Sprintf("the mark of revision %d is as before", kept.Revision), Changed: err == nil}, err
}

// Rights are to read the workload and its pods, and to read and change its revisions.
func (*MarkVerified) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	history := historyOf(t.ref.Kind)
	list := append(t.rights("get"), t.right("list", "", "pods"))
	for _, verb := range []string{"get", "list", "patch"} {
		list = append(list, t.right(verb, history.Group, history.Resource))
	}
	return list, nil
}
