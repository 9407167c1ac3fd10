package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("kill", "Delete pods at once, without grace", func() chaos.Fault { return &FaultKill{} }, podKinds...)
}

// FaultKill deletes pods by their names and identities, so that a pod that took the name of one meanwhile is left alone.
// Without grace the API forgets the pod at once, its containers are killed, and disruption budgets are not asked. It needs
// the right to delete pods.
type FaultKill struct {
	struck
	Victims
	// Grace is how long the containers have to end by themselves; none where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// BitesWithin is how long the pods may take to end.
func (f *FaultKill) BitesWithin() time.Duration { return f.Grace.Std() + 10*time.Second }

// Checkpoint chooses the pods. It refuses a target without running pods, pods that nobody would bring back, and more than
// may be hit.
func (f *FaultKill) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return aimed(ctx, call, f.Victims, func(ctx context.Context, c *cluster, v victim) error {
		return f.delete(ctx, c, v, metav1.DryRunAll)
	})
}

// Inject deletes the pods.
func (f *FaultKill) Inject(ctx context.Context, call chaos.Call) error {
	return strike(ctx, call, func(ctx context.Context, c *cluster, v victim) error { return f.delete(ctx, c, v) })
}

func (f *FaultKill) delete(ctx context.Context, c *cluster, v victim, dryRun ...string) error {
	return c.CoreV1().Pods(v.Namespace).Delete(ctx, v.Name, *deletion(v.UID, f.Grace, dryRun...))
}

// deletion is how a pod of that identity, and no other of its name, is to be deleted.
func deletion(uid types.UID, grace jenner.Duration, dryRun ...string) *metav1.DeleteOptions {
	seconds := int64(grace.Std().Seconds())
	return &metav1.DeleteOptions{GracePeriodSeconds: &seconds, Preconditions: &metav1.Preconditions{UID: &uid}, DryRun: dryRun}
}

// Rights are to read and delete pods, and to read who brings them back.
func (*FaultKill) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return struckRights(target, "delete", "pods")
}
