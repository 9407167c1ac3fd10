package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/telemetry"
)

// asked is what a probe asks about: a target of the service, and where it is.
type asked struct {
	subject
	*realm
}

// about finds the target of a service that a probe asks about: the one of that name, or the only one of these kinds.
func about(service jenner.Service, name string, kinds []string) (asked, error) {
	var fit []jenner.Target
	var names []string
	for _, target := range service.Targets {
		if slices.Contains(kinds, target.Kind) {
			names = append(names, target.Name)
			if name == "" || target.Name == name {
				fit = append(fit, target)
			}
		}
	}
	switch {
	case len(fit) == 1:
		one, in, err := subjectOf(service.Name, fit[0])
		return asked{one, in}, err
	case name != "":
		return asked{}, fmt.Errorf("service %s has no target %q of the kinds %s%s", service.Name, name, strings.Join(kinds, ", "), strict.Hint(name, names))
	}
	return asked{}, fmt.Errorf("service %s has %d targets of the kinds %s; say which one is meant with target: NAME",
		service.Name, len(fit), strings.Join(kinds, ", "))
}

// podKey is the key of the changes of the subject's pods.
func (a asked) podKey() string {
	switch a.Target.Kind {
	case kindPod:
		if a.selector != nil {
			return anything
		}
		return a.target.Namespace + "/" + a.target.Object
	case kindJob:
		return anything
	}
	return keeperKey(a.target.Namespace, keeper{kindOf[a.Target.Kind], a.target.Object})
}

// itsPods are the pods of the subject that are not on their way out: from the watch where one is on, otherwise asked for.
func (a asked) itsPods(ctx context.Context) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	if w := a.tower.peek(thePods, a.realm.namespace); w != nil {
		pods = a.theirs(w)
	} else {
		list, err := a.cluster.pods(ctx, a.target)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if a.has(&list[i]) {
				pods = append(pods, &list[i])
			}
		}
	}
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// itself is the subject's workload: from the watch where one is on, otherwise asked for.
func (a asked) itself(ctx context.Context) (workload, error) {
	w := a.tower.peek(workloadsOf[a.Target.Kind], a.realm.namespace)
	if w == nil {
		return a.cluster.workload(ctx, a.target)
	}
	found, is := cached[any](w, a.target.Namespace, a.target.Object)
	if !is {
		return workload{}, errNotThere(a.target)
	}
	return asWorkload(found)
}

func errNotThere(t *Target) error {
	return fmt.Errorf("%s %s/%s is not there", t.ref.Kind, t.Namespace, t.Object)
}

// answer turns what was found into a result. That the API server could not be asked, or would not answer Jenner, says
// nothing about what was asked; that the object is not there does.
func answer(ctx context.Context, err error) telemetry.Result {
	var of *jenner.Error
	if errors.As(err, &of) && !apierrors.IsNotFound(err) {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	return telemetry.ResultOf(ctx, err)
}

// unasked is the result where it is not even known what to ask about.
func unasked(err error) telemetry.Result {
	return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
}

// waiter lets a probe wait for changes of what it asked about last.
type waiter struct{ seen atomic.Uint64 }

// note remembers what was known when the probe was asked. It comes before the look.
func (w *waiter) note(a asked, r *watchable, key string) {
	if on := a.tower.peek(r, a.realm.namespace); on != nil {
		w.seen.Store(on.changes(key))
	}
}

// wait holds the watch and blocks until something changes.
func (w *waiter) wait(ctx context.Context, a asked, r *watchable, key string) error {
	on := a.tower.hold(r, a.realm.namespace, "")
	defer on.release()
	return on.wait(ctx, key, w.seen.Load())
}

// podRuns tells whether a pod lives: all of its containers run, whether they are ready or not.
func podRuns(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || len(pod.Status.ContainerStatuses) == 0 {
		return false
	}
	return !slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.State.Running == nil })
}

// troubleOf says in a few words why a pod does not serve.
func troubleOf(pod *corev1.Pod) string {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		end := status.State.Terminated
		switch {
		case status.State.Waiting != nil && status.State.Waiting.Reason != "" && status.State.Waiting.Reason != "PodInitializing":
			return pod.Name + ": " + status.State.Waiting.Reason
		case end != nil && (end.ExitCode != 0 || end.Signal != 0):
			return fmt.Sprintf("%s: %s, exit code %d", pod.Name, end.Reason, end.ExitCode)
		}
	}
	if scheduled := podCondition(pod, corev1.PodScheduled); scheduled != nil && scheduled.Status == corev1.ConditionFalse {
		return pod.Name + ": " + scheduled.Reason
	}
	if pod.Status.Phase == corev1.PodRunning {
		return pod.Name + ": not ready"
	}
	return pod.Name + ": " + string(pod.Status.Phase)
}

// troublesTold is of how many pods it is said what is wrong with them.
const troublesTold = 3

// troublesOf are those of pods that do not serve.
func troublesOf(pods []*corev1.Pod) string {
	var texts []string
	for _, pod := range pods {
		if !podReady(pod) {
			texts = append(texts, troubleOf(pod))
		}
	}
	more := len(texts) - troublesTold
	if more > 0 {
		texts = append(texts[:troublesTold], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// probeRights are to read the pods of a target, once and as a watch.
func probeRights(service jenner.Service, name string, kinds []string, resources ...*watchable) ([]jenner.Right, error) {
	var rights []jenner.Right
	for _, target := range service.Targets {
		if !slices.Contains(kinds, target.Kind) || name != "" && target.Name != name {
			continue
		}
		t, err := decode(target)
		if err != nil {
			return nil, err
		}
		for _, r := range resources {
			rights = append(rights, r.rights(t, "")...)
		}
		if own := workloadsOf[target.Kind]; own != nil {
			rights = append(rights, right(t, "get", own, t.Object))
		}
		if target.Kind == kindPod && t.Selector == "" {
			rights = append(rights, right(t, "get", thePods, t.Object))
		}
	}
	return rights, nil
}

// right is one verb on one object.
func right(t *Target, verb string, r *watchable, name string) jenner.Right {
	return jenner.Right{Verb: verb, Group: r.group, Resource: r.name, Namespace: t.Namespace, Name: name, Kubeconfig: t.Kubeconfig, Context: t.Context}
}

// asWorkload is a workload as it was watched.
func asWorkload(found any) (workload, error) {
	switch of := found.(type) {
	case *appsv1.Deployment:
		return ofDeployment(of)
	case *appsv1.StatefulSet:
		return ofStatefulSet(of)
	case *appsv1.DaemonSet:
		return ofDaemonSet(of)
	}
	return workload{}, fmt.Errorf("%T is no workload", found) // a mistake of the program
}
