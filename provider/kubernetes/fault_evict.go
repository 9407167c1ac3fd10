package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("evict", "Evict pods, as a drained node does, within their disruption budgets", func() chaos.Fault {
		return &FaultEvict{}
	}, podKinds...)
}

// FaultEvict evicts pods through the eviction API. What their disruption budget does not allow is refused. It needs the right
// to create pods/eviction.
type FaultEvict struct {
	struck
	Victims
	// Grace is how long the containers have to end by themselves; what the pod says where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// BitesWithin is how long the pods may take to end.
func (f *FaultEvict) BitesWithin() time.Duration { return f.Grace.Or(time.Minute) + 10*time.Second }

// Checkpoint chooses the pods. It refuses what FaultKill refuses, and what a disruption budget does not allow.
func (f *FaultEvict) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return aimed(ctx, call, f.Victims, func(ctx context.Context, c *cluster, v victim) error {
		return c.evict(ctx, v, f.Grace, metav1.DryRunAll)
	})
}

// Inject evicts the pods.
func (f *FaultEvict) Inject(ctx context.Context, call chaos.Call) error {
	return strike(ctx, call, func(ctx context.Context, c *cluster, v victim) error { return c.evict(ctx, v, f.Grace) })
}

func (c *cluster) evict(ctx context.Context, v victim, grace jenner.Duration, dryRun ...string) error {
	options := deletion(v.UID, grace, dryRun...)
	if grace == 0 {
		options.GracePeriodSeconds = nil
	}
	err := c.PolicyV1().Evictions(v.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: v.Namespace, Name: v.Name}, DeleteOptions: options})
	if apierrors.IsTooManyRequests(err) {
		return jenner.Retryable(err, "a disruption budget of the pod allows no eviction at present")
	}
	return err
}

// Rights are to read and evict pods, and to read who brings them back.
func (*FaultEvict) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return struckRights(target, "create", "pods/eviction")
}
