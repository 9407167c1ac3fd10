package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("rollback", "Give a workload the pod template of its last healthy revision", func() act.Action { return newRollback() }, workloadKinds...)
}

// Rollback sets the pod template back to that of an earlier revision: the one that is named, or the newest one that is
// known to have been healthy. Known is what bears the mark jenner.dev/verified, by mark_verified or by the pipeline that
// releases, and what at this moment serves with all the pods that it has and has for 10m, as the old pods of a rollout that
// is stuck do. Where none is known it refuses and does not guess. The undo sets the template as it was. The unit of its blast
// radius is pods, those that are away at one time.
type Rollback struct {
	undoableEdit
	// ToRevision is the number of a revision, as `kubectl rollout history` shows it.
	ToRevision int64 `json:"to_revision,omitempty"`
	// HealthyFor is for how long the pods of a revision without a mark must have served; 10m where not said.
	HealthyFor jenner.Duration `json:"healthy_for,omitempty"`
	// Wait is how long the rollout may take; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

func newRollback() *Rollback {
	b := &Rollback{HealthyFor: jenner.Duration(healthyFor)}
	b.draft = func(ctx context.Context, on *site) (string, error) {
		r, err := on.rolls()
		if err != nil {
			return "", err
		}
		all, err := on.revisions(ctx, r)
		if err != nil {
			return "", err
		}
		to, err := b.choose(ctx, on, r, all)
		if err != nil {
			return "", err
		}
		from := "its present template"
		for _, one := range all {
			if one.Current {
				from = one.String()
			}
		}
		says := fmt.Sprintf("%s: %s → %s", on.target, from, to)
		if !to.Verified.IsZero() {
			says += ", seen healthy " + to.Verified.UTC().Format(time.DateTime)
		}
		return says, slot{"spec", "template"}.write(on.want.Object, to.Template)
	}
	return b
}

func (b *Rollback) choose(ctx context.Context, on *site, r rollout, all []revision) (revision, error) {
	if b.ToRevision != 0 {
		return numbered(all, b.ToRevision)
	}
	return on.lastVerified(ctx, r, all, b.HealthyFor.Or(healthyFor))
}

// Validate checks the parameters.
func (b *Rollback) Validate() error {
	if b.ToRevision < 0 {
		return fmt.Errorf("to_revision is %d; write the number of a revision, 1 or more", b.ToRevision)
	}
	return nil
}

// Size is how many pods are away at one time.
func (*Rollback) Size(ctx context.Context, call act.Call) (act.Size, error) {
	return rolling(ctx, call)
}

// Do rolls back.
func (b *Rollback) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := b.edit.Do(ctx, call)
	if err != nil {
		return result, err
	}
	return settled(ctx, call, result, b.Wait)
}

// Rights are to read and change the workload, and to read its revisions and its pods.
func (*Rollback) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	history := historyOf(t.ref.Kind)
	return append(t.rights("get", "patch"), t.right("list", history.Group, history.Resource), t.right("list", "", "pods")), nil
}
