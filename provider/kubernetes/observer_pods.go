package kubernetes

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// havingPods are the kinds of targets that have pods.
var havingPods = append(slices.Clone(workloadKinds), kindPod, kindJob)

func init() {
	Provider.Observer("pods", "CrashLoopBackOff, OOMKilled, ImagePullBackOff, Unhealthy, Unschedulable, Pending, Evicted and what else Kubernetes says of pods",
		func() telemetry.Observer { return &ObserverPods{} }, havingPods...)
}

// ObserverPods tells what Kubernetes says of the pods of workloads, jobs, and of pods that are targets themselves. Each
// condition is about one pod, pod/NAME, and has the labels pod, namespace, workload, and, as far as they are known,
// container, node and zone; its value is how often the container was restarted.
type ObserverPods struct{}

// Observe watches until ctx ends.
func (*ObserverPods) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, havingPods, sink), sink, observePods)
}

// Reasons are the most common words; of the others Kubernetes alone knows.
func (*ObserverPods) Reasons() []string {
	return []string{reasonCrashLoop, reasonOOMKilled, reasonImagePull, reasonUnhealthy, reasonUnschedulable, reasonPending, "Evicted", "Preempting",
		"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "DeadlineExceeded",
		"NodeAffinity", "NodeShutdown", "Terminated", "UnexpectedAdmissionError"}
}

// Rights are to list and watch pods, their warnings, and nodes.
func (*ObserverPods) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return rightsOf(target, thePods, thePodWarnings, theNodes)
}

func observePods(_ context.Context, v *view) {
	pods := needs(v, thePods, "", func(pod *corev1.Pod) []string { return []string{pod.Name} })
	warnings := adds(v, thePodWarnings, "", func(event *corev1.Event) []string { return []string{event.InvolvedObject.Name} })
	nodes := adds(v, theNodes, "", func(*corev1.Node) []string { return nil })
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		pod, found := cached[*corev1.Pod](pods, v.namespace, key)
		if !found {
			return nil, time.Time{}
		}
		of := func(one subject) bool { return one.has(pod) }
		if !slices.ContainsFunc(v.subjects, of) {
			return nil, time.Time{}
		}
		about := cachedBy[*corev1.Event](warnings, byKeeper, keeperKey(v.namespace, keeper{"Pod", key}))
		about = slices.DeleteFunc(about, func(e *corev1.Event) bool { return e.InvolvedObject.UID != pod.UID })
		states, again := podFacts(podLook{pod: pod, warnings: about, now: now,
			since: func(reason string) time.Time { return v.since(key, reason) }})
		for i, one := range states {
			at := whereabouts(pod, nodes)
			maps.Copy(at, one.labels)
			states[i].labels = at
		}
		return v.conditions(states, of), again
	}
}

// rightsOf are those that watching these resources for a target takes.
func rightsOf(written jenner.Target, resources ...*watchable) ([]jenner.Right, error) {
	t, err := decode(written)
	if err != nil {
		return nil, err
	}
	var rights []jenner.Right
	for _, r := range resources {
		rights = append(rights, r.rights(t, "")...)
	}
	return rights, nil
}
