package kubernetes

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("resume_sync", "Have Flux or Argo CD go on, where pause_sync has paused them", func() act.Action { return newResumeSync() },
		kindDeployment, kindStatefulSet, kindDaemonSet, kindHPA, kindConfigMap)
}

// ResumeSync lets whatever keeps the target as it is in Git go on as before pause_sync. They then put back what differs
// from Git. What somebody else has paused is refused. The undo pauses again.
type ResumeSync struct {
	undoableEdit
	// ArgoNamespace is where Argo CD keeps its Applications; argocd where not said.
	ArgoNamespace string `json:"argo_namespace,omitempty"`
}

func newResumeSync() *ResumeSync {
	r := &ResumeSync{ArgoNamespace: "argocd"}
	var by syncer
	r.find = func(ctx context.Context, call act.Call) (on *site, err error) {
		on, by, err = syncSite(ctx, call, r.ArgoNamespace)
		return on, err
	}
	r.draft = func(_ context.Context, on *site) (string, error) {
		before, paused, err := on.before()
		switch {
		case err != nil:
			return "", err
		case !paused:
			return "", jenner.Permanent(fmt.Errorf("%s was not paused by pause_sync", by), "whoever paused it lets it go on")
		}
		if err := (slot{"metadata", "annotations", pausedSync}).write(on.want.Object, nil); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s goes on", by), by.pause.write(on.want.Object, before)
	}
	return r
}

// Owner is nobody: to have a controller go on is to act through it.
func (*ResumeSync) Owner(context.Context, act.Call) (string, error) { return "", nil }

// Rights are to read the target, and to read and change what keeps it as it is in Git.
func (r *ResumeSync) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return syncRights(target, r.ArgoNamespace)
}
