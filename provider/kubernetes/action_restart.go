package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("restart", "Replace the pods of a workload, one after the other", func() act.Action { return newRestart() }, workloadKinds...)
}

// Restart has the workload replace its pods in its own rolling way, as `kubectl rollout restart` does: by an annotation of
// the pod template. The unit of its blast radius is pods, those that are away at one time. It has no undo: the pods of
// before are gone.
//
// Argo CD, Flux and Helm do not put the annotation back, so that they do not hinder it; an operator may.
type Restart struct {
	edit
	// Wait is how long the rollout may take; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

// restartedAt is the annotation that kubectl sets.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

var restartedSlot = slot{"spec", "template", "metadata", "annotations", restartedAt}

func newRestart() *Restart {
	r := &Restart{}
	r.draft = func(_ context.Context, on *site) (string, error) {
		rollout, err := on.rolls()
		if err != nil {
			return "", err
		}
		if rollout.Replicas == 0 {
			return "", jenner.Permanent(errors.New("it has no pods"), "scale it")
		}
		return fmt.Sprintf("%s replaces its %d pods", on.target, rollout.Replicas), restartedSlot.write(on.want.Object, now())
	}
	return r
}

// Size is how many pods are away at one time.
func (*Restart) Size(ctx context.Context, call act.Call) (act.Size, error) { return rolling(ctx, call) }

// Owner is the operator that the workload belongs to.
func (*Restart) Owner(ctx context.Context, call act.Call) (string, error) { return operator(ctx, call) }

// Happened is done where the workload was restarted since, by whomever.
func (r *Restart) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	answer, err := r.edit.Happened(ctx, call)
	if answer != act.HappenedUnknown || err != nil {
		return answer, err
	}
	on, err := look(ctx, call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	kept, err := keptIn[planned](call.Checkpoint)
	if err != nil || on.live.GetUID() != kept.UID || restartedSlot.read(on.live.Object) == nil {
		return act.HappenedUnknown, err
	}
	return act.HappenedDone, nil
}

// Do restarts it.
func (r *Restart) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := r.edit.Do(ctx, call)
	if err != nil {
		return result, err
	}
	return settled(ctx, call, result, r.Wait)
}

// Rights are to read and change the workload, and for a wait to read its pods.
func (r *Restart) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return templateRights(target, r.Wait)
}
