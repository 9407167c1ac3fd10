package kubernetes

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jenner-heal/jenner"
)

// workload is a Deployment, a StatefulSet or a DaemonSet, as far as they are alike.
type workload struct {
	Kind     string
	Meta     metav1.ObjectMeta
	Selector labels.Selector
	Template corev1.PodTemplateSpec
	Replicas int32 // wanted; for a DaemonSet, on how many nodes
	Ready    int32 // serving
	Updated  int32 // of the newest template
	Settled  bool  // the controller has seen the newest spec, and nothing old is left
}

// workload reads the workload that a target names.
func (c *cluster) workload(ctx context.Context, t *Target) (workload, error) {
	doing := fmt.Sprintf("reading %s %s/%s", t.ref.Kind, t.Namespace, t.Object)
	switch t.ref.Kind {
	case kindDeployment:
		d, err := c.AppsV1().Deployments(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return workload{}, told(err, doing)
		}
		return ofDeployment(d)
	case kindStatefulSet:
		s, err := c.AppsV1().StatefulSets(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return workload{}, told(err, doing)
		}
		return ofStatefulSet(s)
	case kindDaemonSet:
		d, err := c.AppsV1().DaemonSets(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return workload{}, told(err, doing)
		}
		return ofDaemonSet(d)
	}
	return workload{}, jenner.Permanent(fmt.Errorf("%s is no workload", t.ref), "")
}

func ofDeployment(d *appsv1.Deployment) (workload, error) {
	w := workload{Kind: kindDeployment, Meta: d.ObjectMeta, Template: d.Spec.Template, Replicas: wanted(d.Spec.Replicas),
		Ready: d.Status.ReadyReplicas, Updated: d.Status.UpdatedReplicas}
	w.Settled = d.Status.ObservedGeneration >= d.Generation && w.Updated == w.Replicas && d.Status.Replicas == w.Replicas &&
		d.Status.AvailableReplicas == w.Replicas
	return w.selecting(d.Spec.Selector)
}

func ofStatefulSet(s *appsv1.StatefulSet) (workload, error) {
	w := workload{Kind: kindStatefulSet, Meta: s.ObjectMeta, Template: s.Spec.Template, Replicas: wanted(s.Spec.Replicas),
		Ready: s.Status.ReadyReplicas, Updated: s.Status.UpdatedReplicas}
	w.Settled = s.Status.ObservedGeneration >= s.Generation && s.Status.CurrentRevision == s.Status.UpdateRevision &&
		w.Ready == w.Replicas && s.Status.Replicas == w.Replicas
	return w.selecting(s.Spec.Selector)
}

func ofDaemonSet(d *appsv1.DaemonSet) (workload, error) {
	w := workload{Kind: kindDaemonSet, Meta: d.ObjectMeta, Template: d.Spec.Template, Replicas: d.Status.DesiredNumberScheduled,
		Ready: d.Status.NumberReady, Updated: d.Status.UpdatedNumberScheduled}
	w.Settled = d.Status.ObservedGeneration >= d.Generation && w.Updated == w.Replicas && d.Status.NumberAvailable == w.Replicas
	return w.selecting(d.Spec.Selector)
}

func (w workload) selecting(selector *metav1.LabelSelector) (workload, error) {
	var err error
	if w.Selector, err = metav1.LabelSelectorAsSelector(selector); err != nil || w.Selector.Empty() {
		return w, jenner.Permanent(fmt.Errorf("%s %s/%s has no selector that picks its pods: %v", w.Kind, w.Meta.Namespace, w.Meta.Name, err), "")
	}
	return w, nil
}

// wanted is 1 where the spec does not say, as Kubernetes has it.
func wanted(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// pods are those of a target: of a workload, by the selector, or the one of its name. An empty selector picks none.
func (c *cluster) pods(ctx context.Context, t *Target) ([]corev1.Pod, error) {
	var selector labels.Selector
	switch {
	case t.ref.Kind == kindPod && t.Selector == "":
		pod, err := c.CoreV1().Pods(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return nil, told(err, fmt.Sprintf("reading pod %s/%s", t.Namespace, t.Object))
		}
		return []corev1.Pod{*pod}, nil
	case t.ref.Kind == kindPod:
		parsed, err := labels.Parse(t.Selector)
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
		}
		selector = parsed
	default:
		w, err := c.workload(ctx, t)
		if err != nil {
			return nil, err
		}
		selector = w.Selector
	}
	if selector.Empty() {
		return nil, jenner.Permanent(fmt.Errorf("%s picks every pod", t.ref), "write a selector that picks some")
	}
	list, err := c.CoreV1().Pods(t.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, told(err, fmt.Sprintf("listing the pods of %s in %s", t.ref, t.Namespace))
	}
	return list.Items, nil
}

// podsSeen are the pods of a workload as they were watched last, where they are; other pods are asked for. It is for looking,
// not for choosing what to change.
func (c *cluster) podsSeen(ctx context.Context, t *Target) ([]corev1.Pod, error) {
	tower, err := c.tower()
	if err != nil {
		return nil, err
	}
	kind := workloadsOf[t.ref.Kind]
	if kind == nil {
		return c.pods(ctx, t)
	}
	pods, workloads := tower.peek(thePods, t.Namespace), tower.peek(kind, t.Namespace)
	if pods == nil || workloads == nil {
		return c.pods(ctx, t)
	}
	if _, there := cached[any](workloads, t.Namespace, t.Object); !there {
		return c.pods(ctx, t) // which says so
	}
	var list []corev1.Pod
	for _, pod := range newSubject("", t).theirs(pods) {
		list = append(list, *pod)
	}
	return list, nil
}

// podReady tells whether a pod serves.
func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}
