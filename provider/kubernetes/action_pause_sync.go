package kubernetes

import (
	"context"
	"fmt"
	"reflect"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("pause_sync", "Have Flux or Argo CD leave alone what they keep as it is in Git", func() act.Action { return newPauseSync() },
		kindDeployment, kindStatefulSet, kindDaemonSet, kindHPA, kindConfigMap)
}

// PauseSync pauses whatever keeps the target as it is in Git, so that the next steps may change it: a Kustomization or a
// HelmRelease of Flux is suspended, an Application of Argo CD syncs no longer by itself. That concerns all objects that
// come from the same source. Write `through: flux` or `through: argocd` in the steps that follow, and resume_sync as the
// last one, when Git has been changed accordingly. The undo resumes. What somebody else has paused stays as it is.
type PauseSync struct {
	undoableEdit
	// ArgoNamespace is where Argo CD keeps its Applications; argocd where not said.
	ArgoNamespace string `json:"argo_namespace,omitempty"`
}

func newPauseSync() *PauseSync {
	p := &PauseSync{ArgoNamespace: "argocd"}
	var by syncer
	p.find = func(ctx context.Context, call act.Call) (on *site, err error) {
		on, by, err = syncSite(ctx, call, p.ArgoNamespace)
		return on, err
	}
	p.draft = func(_ context.Context, on *site) (string, error) {
		was := by.pause.read(on.live.Object)
		if reflect.DeepEqual(was, by.paused) {
			return fmt.Sprintf("%s is paused", by), nil
		}
		if err := (slot{"metadata", "annotations", pausedSync}).write(on.want.Object, string(jenner.Raw(was))); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s is paused", by), by.pause.write(on.want.Object, by.paused)
	}
	return p
}

// Owner is nobody: to pause a controller is to act through it.
func (*PauseSync) Owner(context.Context, act.Call) (string, error) { return "", nil }

// Rights are to read the target, and to read and change what keeps it as it is in Git.
func (p *PauseSync) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return syncRights(target, p.ArgoNamespace)
}
