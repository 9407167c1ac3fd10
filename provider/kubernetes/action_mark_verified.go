package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("mark_verified", "Note that the present revision is healthy, so that it can be rolled back to", func() act.Action {
		return &MarkVerified{For: jenner.Duration(healthyFor)}
	}, append([]string{kindHelm}, workloadKinds...)...)
}

// MarkVerified writes jenner.dev/verified on the present revision of a workload (an annotation of its ReplicaSet or
// ControllerRevision) or of a release of Helm (a label of its Secret), when it has settled and all its pods have served
// for a while. Run it as the last step of what follows a release. The undo takes the mark back, or sets it as it was.
type MarkVerified struct {
	// For is for how long all pods must have served; 10m where not said.
	For jenner.Duration `json:"for,omitempty"`
}

// present is the mark of the present revision, where that is healthy.
func (m *MarkVerified) present(ctx context.Context, call act.Call) (verifiedMark, error) {
	mark, why, err := healthyRevision(ctx, call, m.For.Or(healthyFor))
	if err == nil {
		err = why
	}
	return mark, err
}

// Check refuses what has not been healthy for long enough.
func (m *MarkVerified) Check(ctx context.Context, call act.Call) error {
	_, err := m.present(ctx, call)
	return err
}

// Checkpoint keeps which revision is meant, and the mark that it has.
func (m *MarkVerified) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	mark, err := m.present(ctx, call)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(mark), nil
}

// read reads the mark of the revision of the checkpoint.
func (m *MarkVerified) read(ctx context.Context, call act.Call) (t *Target, c *cluster, kept verifiedMark, is string, err error) {
	if kept, err = keptIn[verifiedMark](call.Checkpoint); err != nil {
		return nil, nil, kept, "", err
	}
	if t, c, err = reach(call.Target); err != nil {
		return nil, nil, kept, "", err
	}
	is, err = c.markOf(ctx, t, kept)
	return t, c, kept, is, err
}

// Fingerprint is the mark of the revision of the checkpoint, or of the present one.
func (m *MarkVerified) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	if len(call.Checkpoint) == 0 {
		mark, _, err := healthyRevision(ctx, call, 0)
		return jenner.Fingerprint(mark.Name, mark.Was), err
	}
	_, _, kept, is, err := m.read(ctx, call)
	return jenner.Fingerprint(kept.Name, is), err
}

// Happened compares the mark with the checkpoint.
func (m *MarkVerified) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	_, _, kept, is, err := m.read(ctx, call)
	switch {
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
	t, c, kept, is, err := m.read(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	summary := fmt.Sprintf("revision %d of %s is marked as healthy", kept.Revision, t)
	if is == kept.Want {
		return act.Result{Summary: "already so: " + summary, Output: kept}, nil
	}
	present, err := m.present(ctx, call)
	switch {
	case err != nil:
		return act.Result{}, err
	case present.UID != kept.UID:
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s has revision %d by now", t, present.Revision), "")
	}
	if err := c.setMark(ctx, t, kept, kept.Want); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: summary, Changed: true, Output: kept}, nil
}

// Undo sets the mark as it was.
func (m *MarkVerified) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	t, c, kept, is, err := m.read(ctx, call)
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
	err = c.setMark(ctx, t, kept, value)
	return act.Result{Summary: fmt.Sprintf("the mark of revision %d is as before", kept.Revision), Changed: err == nil}, err
}

// Rights are to read the workload and its pods, and to read and change its revisions. A release has several workloads.
func (*MarkVerified) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := []jenner.Right{t.right("list", "", "pods")}
	if t.ref.Kind != kindHelm {
		list = append(list, t.rights("get")...)
	} else {
		for _, kind := range workloadKinds {
			list = append(list, t.right("get", "apps", servedAs[kind].Resource))
		}
		list = append(list, t.right("list", "apps", replicaSets.Resource), t.right("list", "apps", controllerRevisions.Resource))
	}
	in, _ := markPlace(t)
	for _, verb := range []string{"get", "list", "patch"} {
		list = append(list, t.right(verb, in.Group, in.Resource))
	}
	return list, nil
}
