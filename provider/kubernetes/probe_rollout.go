package kubernetes

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("rollout", "Has the last rollout of a workload come to its end?", func() telemetry.Probe { return &ProbeRollout{} })
}

// ProbeRollout asks whether a workload is as its newest template says: the controller has seen it, all pods are of it and
// serve, and none of the old ones is left. While a rollout is under way it fails; with stuck_only it fails only where
// Kubernetes says that the rollout does not get on, which it says of Deployments alone.
type ProbeRollout struct {
	// Target is the name of the service's target; the only workload where not said.
	Target string `json:"target,omitempty"`
	// StuckOnly fails for rollouts alone that do not get on.
	StuckOnly bool `json:"stuck_only,omitempty"`

	waiter waiter
}

// Probe looks once.
func (p *ProbeRollout) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	of, err := about(call.Service, p.Target, workloadKinds)
	if err != nil {
		return unasked(err)
	}
	p.waiter.note(of, workloadsOf[of.Target.Kind], of.target.Namespace+"/"+of.target.Object)
	stuck := ""
	if of.Target.Kind == kindDeployment {
		if stuck, err = of.stuck(ctx); err != nil {
			return answer(ctx, err)
		}
	}
	w, err := of.itself(ctx)
	switch {
	case err != nil:
	case stuck != "":
		err = fmt.Errorf("the rollout of %s does not get on%s", of.Target, saying(stuck))
	case !w.Settled && !p.StuckOnly:
		err = fmt.Errorf("the rollout of %s is under way: %d of %d pods are of the newest template, %d are ready", of.Target, w.Updated, w.Replicas, w.Ready)
	}
	return answer(ctx, err)
}

// stuck is what Kubernetes says of a Deployment whose rollout does not get on; nothing where it does.
func (a asked) stuck(ctx context.Context) (string, error) {
	var d *appsv1.Deployment
	if w := a.tower.peek(theDeployments, a.realm.namespace); w != nil {
		found, is := cached[*appsv1.Deployment](w, a.target.Namespace, a.target.Object)
		if !is {
			return "", errNotThere(a.target)
		}
		d = found
	} else {
		found, err := a.cluster.AppsV1().Deployments(a.target.Namespace).Get(ctx, a.target.Object, metav1.GetOptions{})
		if err != nil {
			return "", told(err, fmt.Sprintf("reading deployment %s/%s", a.target.Namespace, a.target.Object))
		}
		d = found
	}
	at := slices.IndexFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == reasonDeadline
	})
	if at < 0 || d.Status.ObservedGeneration < d.Generation {
		return "", nil
	}
	return d.Status.Conditions[at].Message, nil
}

// Watch blocks until the workload changes.
func (p *ProbeRollout) Watch(ctx context.Context, call telemetry.ProbeCall) error {
	of, err := about(call.Service, p.Target, workloadKinds)
	if err != nil {
		return err
	}
	return p.waiter.wait(ctx, of, workloadsOf[of.Target.Kind], of.target.Namespace+"/"+of.target.Object)
}

// Rights are to look at the workload.
func (p *ProbeRollout) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	var rights []jenner.Right
	for kind, r := range workloadsOf {
		more, err := probeRights(service, p.Target, []string{kind}, r)
		if err != nil {
			return nil, err
		}
		rights = append(rights, more...)
	}
	slices.SortFunc(rights, jenner.Right.Compare)
	return rights, nil
}
