package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// rollout is how a workload replaces its pods.
type rollout struct {
	workload
	AtOnce int    // how many pods may be away at one time
	Stuck  string // why it will not go on by itself; empty: it goes on
}

// rolloutOf reads a workload from its object.
func rolloutOf(kind string, live *unstructured.Unstructured) (rollout, error) {
	var r rollout
	var err error
	switch kind {
	case kindDeployment:
		d := &appsv1.Deployment{}
		if err = runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, d); err == nil {
			r, err = rolloutOfDeployment(d)
		}
	case kindStatefulSet:
		s := &appsv1.StatefulSet{}
		if err = runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, s); err == nil {
			r, err = rolloutOfStatefulSet(s)
		}
	case kindDaemonSet:
		d := &appsv1.DaemonSet{}
		if err = runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, d); err == nil {
			r, err = rolloutOfDaemonSet(d)
		}
	default:
		err = jenner.Permanent(fmt.Errorf("a %s is no workload", kind), "")
	}
	return r, err
}

func rolloutOfDeployment(d *appsv1.Deployment) (r rollout, err error) {
	if r.workload, err = ofDeployment(d); err != nil {
		return r, err
	}
	r.AtOnce = int(r.Replicas)
	if d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType && d.Spec.Strategy.RollingUpdate != nil {
		r.AtOnce = r.share(d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	}
	if d.Spec.Paused {
		r.Stuck = "it is paused"
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing && condition.Reason == "ProgressDeadlineExceeded" && d.Status.ObservedGeneration >= d.Generation {
			r.Stuck = deadlineExceeded
		}
	}
	return r, nil
}

func rolloutOfStatefulSet(s *appsv1.StatefulSet) (r rollout, err error) {
	if r.workload, err = ofStatefulSet(s); err != nil {
		return r, err
	}
	r.AtOnce = min(1, int(r.Replicas))
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		r.Stuck = "its pods are replaced only when somebody deletes them (OnDelete)"
		return r, nil
	}
	if rolling := s.Spec.UpdateStrategy.RollingUpdate; rolling != nil && rolling.MaxUnavailable != nil {
		r.AtOnce = r.share(rolling.MaxUnavailable)
	}
	return r, nil
}

func rolloutOfDaemonSet(d *appsv1.DaemonSet) (r rollout, err error) {
	if r.workload, err = ofDaemonSet(d); err != nil {
		return r, err
	}
	r.AtOnce = min(1, int(r.Replicas))
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		r.Stuck = "its pods are replaced only when somebody deletes them (OnDelete)"
		return r, nil
	}
	if rolling := d.Spec.UpdateStrategy.RollingUpdate; rolling != nil {
		r.AtOnce = r.share(rolling.MaxUnavailable)
	}
	return r, nil
}

// share is at least one pod where there is any: a rollout that only adds pods still ends the old ones.
func (r rollout) share(most *intstr.IntOrString) int {
	count, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(most, intstr.FromInt32(1)), int(r.Replicas), false)
	if err != nil {
		count = int(r.Replicas)
	}
	return min(max(count, 1), int(r.Replicas))
}

// String is `2 of 3 pods are of the newest template, 2 of 3 ready`.
func (r rollout) String() string {
	return fmt.Sprintf("%d of %d pods are of the newest template, %d ready", r.Updated, r.Replicas, r.Ready)
}

// rollout reads the workload that a target names.
func (c *cluster) rollout(ctx context.Context, t *Target) (rollout, error) {
	live, err := c.object(ctx, t)
	if err != nil {
		return rollout{}, err
	}
	return rolloutOf(t.ref.Kind, live)
}

// rolls refuses a new template where nothing would come of it.
func (on *site) rolls() (rollout, error) {
	r, err := rolloutOf(on.target.ref.Kind, on.live)
	if err == nil && r.Stuck != "" && r.Stuck != deadlineExceeded {
		err = jenner.Permanent(errors.New(r.Stuck), "")
	}
	return r, err
}

const deadlineExceeded = "it made no progress for its progress deadline"

// rolling is the size of a change of the template: how many pods are away at one time.
func rolling(ctx context.Context, call act.Call) (act.Size, error) {
	on, err := look(ctx, call)
	if err != nil {
		return act.Size{}, err
	}
	r, err := rolloutOf(on.target.ref.Kind, on.live)
	return act.Size{Unit: unitPods, Want: r.AtOnce, Total: int(r.Replicas)}, err
}

// unitPods is what the blast radius of most actions here counts.
const unitPods = "pods"

// settleEvery is how often a workload is looked at that is waited for.
const settleEvery = 500 * time.Millisecond

// settled waits, where wait says so, until a change that was made is carried out everywhere.
func settled(ctx context.Context, call act.Call, result act.Result, wait jenner.Duration) (act.Result, error) {
	if wait == 0 {
		return result, nil
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return result, err
	}
	r, err := c.awaitRollout(ctx, t, wait.Std(), 0, call.Host.Progress)
	if err != nil {
		return result, fmt.Errorf("%s; but %w", result.Summary, err)
	}
	result.Summary += fmt.Sprintf("; %d of %d pods ready", r.Ready, r.Replicas)
	return result, nil
}

// awaitRollout waits until a workload has settled, and stayed so for a while. It ends at once where the rollout is stuck.
func (c *cluster) awaitRollout(ctx context.Context, t *Target, patience, stable time.Duration, progress func(string)) (r rollout, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s", jenner.Duration(patience)))
	defer cancel()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	var since time.Time
	var said string
	var read rollout
	for {
		seen, err := read, error(nil)
		if !c.unchanged(t, read.Meta.ResourceVersion) {
			if seen, err = c.rollout(ctx, t); err == nil {
				read = seen
			}
		}
		switch {
		case err != nil && ctx.Err() == nil && jenner.NextAfter(err) != jenner.TryAgain:
			return r, err
		case err != nil: // it may pass; the last sight stays
		case seen.Stuck != "":
			return seen, jenner.Permanent(fmt.Errorf("%s is stuck: %s; %s%s", t, seen.Stuck, seen, c.because(ctx, t, seen)), "")
		case !seen.Settled:
			r, since = seen, time.Time{}
		case since.IsZero():
			r, since = seen, time.Now()
		default:
			r = seen
		}
		if !since.IsZero() && time.Since(since) >= stable {
			return r, nil
		}
		if text := r.String(); text != said && progress != nil {
			progress(text)
			said = text
		}
		select {
		case <-ctx.Done():
			return r, jenner.Permanent(fmt.Errorf("%s has not settled: %w; %s%s", t, context.Cause(ctx), r, c.because(ctx, t, r)), "")
		case <-tick.C:
		}
	}
}

// unchanged tells that a workload is as it was when this version of it was read. Only the watch knows, where one is on; what it
// shows may lag behind, so that a change is read from the API server itself.
func (c *cluster) unchanged(t *Target, version string) bool {
	tower, err := c.tower()
	if err != nil || version == "" {
		return false
	}
	w := tower.peek(workloadsOf[t.ref.Kind], t.Namespace)
	if w == nil {
		return false
	}
	found, is := cached[metav1.Object](w, t.Namespace, t.Object)
	return is && found.GetResourceVersion() == version
}

// becausePatience is how long the reason for a failure may take to find.
const becausePatience = 5 * time.Second

// because says in a few words what is wrong with the pods of a workload, or nothing.
func (c *cluster) because(ctx context.Context, t *Target, r rollout) string {
	if r.Selector == nil {
		return "" // it was never seen
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), becausePatience)
	defer cancel()
	list, err := c.CoreV1().Pods(t.Namespace).List(ctx, metav1.ListOptions{LabelSelector: r.Selector.String()})
	if err != nil {
		return ""
	}
	var reasons []string
	for _, pod := range list.Items {
		if why := podTrouble(&pod); why != "" && !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	slices.Sort(reasons)
	return " (" + strings.Join(reasons, "; ") + ")"
}

// podTrouble is why a pod does not serve: `app: CrashLoopBackOff`, or nothing where it does or nobody can tell.
func podTrouble(pod *corev1.Pod) string {
	if podReady(pod) || pod.DeletionTimestamp != nil {
		return ""
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting, ended := status.State.Waiting, status.LastTerminationState.Terminated
		switch {
		case waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing":
			return status.Name + ": " + waiting.Reason
		case status.State.Running != nil && !status.Ready && ended != nil:
			return fmt.Sprintf("%s: ended %d times, last with %s", status.Name, status.RestartCount, ended.Reason)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Reason + ": " + condition.Message
		}
	}
	return ""
}
