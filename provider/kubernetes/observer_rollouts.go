package kubernetes

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Observer("rollouts", "ProgressDeadlineExceeded of rollouts, and FailedCreate where pods cannot even be made",
		func() telemetry.Observer { return &ObserverRollouts{} }, workloadKinds...)
}

// ObserverRollouts tells of rollouts that do not get on. Kubernetes itself says so of Deployments, in the time that their
// progressDeadlineSeconds give; of StatefulSets and DaemonSets the same word is told when nothing of them became better for
// ten minutes, which is what a Deployment is given where it does not say.
type ObserverRollouts struct{}

// Observe watches until ctx ends.
func (*ObserverRollouts) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, workloadKinds, sink), sink, observeRollouts)
}

// Reasons are the words for what rollouts suffer from.
func (*ObserverRollouts) Reasons() []string { return []string{reasonDeadline, reasonFailedCreate} }

// Rights are to list and watch the workloads of the target's kind.
func (*ObserverRollouts) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return rightsOf(target, workloadsOf[target.Kind])
}

func observeRollouts(_ context.Context, v *view) {
	found := watchWorkloads(v)
	best := map[string]progress{}
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		kind, name := cutKind(key)
		one, is := found(kind, name)
		if !is {
			delete(best, key)
			return nil, time.Time{}
		}
		var states []fact
		var again time.Time
		if d, deployment := one.(*appsv1.Deployment); deployment {
			states = deploymentFacts(d)
		} else {
			best[key] = best[key].next(progressOf(one), now)
			states, again = stuckFacts(kind, name, best[key], now)
		}
		return v.conditions(states, func(s subject) bool { return s.Target.Kind == kind && s.target.Object == name }), again
	}
}

// watchWorkloads watches the kinds of workloads that the view's subjects have, under keys such as deployment/checkout, and
// gives what finds one.
func watchWorkloads(v *view) (found func(kind, name string) (any, bool)) {
	watches := map[string]*watched{}
	for _, one := range v.subjects {
		kind := one.Target.Kind
		if watches[kind] != nil {
			continue
		}
		switch kind {
		case kindDeployment:
			watches[kind] = needs(v, theDeployments, "", func(d *appsv1.Deployment) []string { return []string{kind + "/" + d.Name} })
		case kindStatefulSet:
			watches[kind] = needs(v, theStatefulSets, "", func(s *appsv1.StatefulSet) []string { return []string{kind + "/" + s.Name} })
		case kindDaemonSet:
			watches[kind] = needs(v, theDaemonSets, "", func(d *appsv1.DaemonSet) []string { return []string{kind + "/" + d.Name} })
		}
	}
	return func(kind, name string) (any, bool) { return cached[any](watches[kind], v.namespace, name) }
}

// The reasons of rollouts, as Deployments have them.
const (
	reasonDeadline     = "ProgressDeadlineExceeded"
	reasonFailedCreate = "FailedCreate"
)

func deploymentFacts(d *appsv1.Deployment) []fact {
	var states []fact
	for _, one := range d.Status.Conditions {
		s := fact{object: kindDeployment + "/" + d.Name, since: one.LastTransitionTime.Time}
		switch {
		case one.Type == appsv1.DeploymentProgressing && one.Status == corev1.ConditionFalse && one.Reason == reasonDeadline:
			s.reason = reasonDeadline
			s.summary = fmt.Sprintf("the rollout of deployment %s does not get on: %d of %d pods are of the newest template, %d serve%s",
				d.Name, d.Status.UpdatedReplicas, wanted(d.Spec.Replicas), d.Status.AvailableReplicas, saying(one.Message))
		case one.Type == appsv1.DeploymentReplicaFailure && one.Status == corev1.ConditionTrue:
			s.reason = one.Reason // FailedCreate, FailedDelete
			s.summary = fmt.Sprintf("pods of deployment %s cannot be made or removed%s", d.Name, saying(one.Message))
		default:
			continue
		}
		states = append(states, s)
	}
	return states
}

// progress is how far a rollout has come, and when it came that far.
type progress struct {
	generation               int64
	updated, ready, replicas int32
	settled                  bool
	at                       time.Time
}

// progressOf is how far the pods are of the newest template. Pods of it that fail later are no trouble of the rollout.
func progressOf(one any) progress {
	switch of := one.(type) {
	case *appsv1.StatefulSet:
		return progress{generation: of.Generation, updated: of.Status.UpdatedReplicas, ready: of.Status.ReadyReplicas, replicas: wanted(of.Spec.Replicas),
			settled: of.Status.ObservedGeneration >= of.Generation && of.Status.CurrentRevision == of.Status.UpdateRevision}
	case *appsv1.DaemonSet:
		return progress{generation: of.Generation, updated: of.Status.UpdatedNumberScheduled, ready: of.Status.NumberReady,
			replicas: of.Status.DesiredNumberScheduled,
			settled:  of.Status.ObservedGeneration >= of.Generation && of.Status.UpdatedNumberScheduled == of.Status.DesiredNumberScheduled}
	}
	return progress{}
}

// next is how far it is now. What became better, and another rollout, begin a new time.
func (p progress) next(now progress, at time.Time) progress {
	now.at = p.at
	if p.at.IsZero() || now.generation != p.generation || now.updated > p.updated || now.ready > p.ready || now.settled && !p.settled {
		now.at = at
	}
	return now
}

// stuckFor is what a Deployment's rollout is given where it does not say.
const stuckFor = 10 * time.Minute

func stuckFacts(kind, name string, p progress, now time.Time) ([]fact, time.Time) {
	if p.settled {
		return nil, time.Time{}
	}
	if due := p.at.Add(stuckFor); now.Before(due) {
		return nil, due
	}
	return []fact{{reason: reasonDeadline, object: kind + "/" + name, since: p.at,
		summary: fmt.Sprintf("the rollout of %s %s does not get on: %d of %d pods are of the newest template, %d serve",
			kind, name, p.updated, p.replicas, p.ready)}}, time.Time{}
}
