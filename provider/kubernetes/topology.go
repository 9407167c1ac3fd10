package kubernetes

import (
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jenner-heal/jenner"
)

// kindOf is how Kubernetes writes the kinds of targets that own something.
var kindOf = map[string]string{kindDeployment: "Deployment", kindStatefulSet: "StatefulSet", kindDaemonSet: "DaemonSet", kindJob: "Job"}

// keeperOf is the workload that keeps a pod alive. A pod of a Deployment belongs to one of its ReplicaSets, whose name is the
// Deployment's and the hash of the template, which is a label of the pod as well.
func keeperOf(pod *corev1.Pod) keeper {
	controller := metav1.GetControllerOf(pod)
	if controller == nil {
		return keeper{}
	}
	if hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; controller.Kind == "ReplicaSet" && hash != "" {
		if name, is := strings.CutSuffix(controller.Name, "-"+hash); is {
			return keeper{"Deployment", name}
		}
	}
	return keeper{controller.Kind, controller.Name}
}

// subject is a target of a service, with its parameters.
type subject struct {
	jenner.Subject
	target   *Target
	selector labels.Selector // of a target of kind pod; nil where it names one
}

// cronPart is what a CronJob puts behind its name to name a Job.
var cronPart = regexp.MustCompile(`-[0-9]+$`)

// has tells whether a pod belongs to the subject.
func (s subject) has(pod *corev1.Pod) bool {
	of := keeperOf(pod)
	switch kind := s.Target.Kind; kind {
	case kindPod:
		if s.selector != nil {
			return s.selector.Matches(labels.Set(pod.Labels))
		}
		return s.target.Object == pod.Name
	case kindJob:
		return of.kind == "Job" && s.isJob(of.name)
	default:
		return kindOf[kind] != "" && of == keeper{kindOf[kind], s.target.Object}
	}
}

// isJob tells whether the subject is the Job of that name, or the CronJob that made it.
func (s subject) isJob(name string) bool {
	return name == s.target.Object || cronPart.ReplaceAllString(name, "") == s.target.Object
}

// theirs are the pods of the subject, in its namespace. The watch is of pods.
func (s subject) theirs(pods *watched) []*corev1.Pod {
	switch {
	case s.Target.Kind == kindPod && s.selector == nil:
		if pod, found := cached[*corev1.Pod](pods, s.target.Namespace, s.target.Object); found {
			return []*corev1.Pod{pod}
		}
		return nil
	case s.Target.Kind == kindPod || s.Target.Kind == kindJob:
		return slices.DeleteFunc(cachedAll[*corev1.Pod](pods), func(pod *corev1.Pod) bool { return pod.Namespace != s.target.Namespace || !s.has(pod) })
	}
	return cachedBy[*corev1.Pod](pods, byKeeper, keeperKey(s.target.Namespace, keeper{kindOf[s.Target.Kind], s.target.Object}))
}

// whereabouts says where a pod runs, as labels of what is told of it: pod, node, and the node's zone where nodes may be looked at.
func whereabouts(pod *corev1.Pod, nodes *watched) map[string]string {
	at := map[string]string{"pod": pod.Name, "namespace": pod.Namespace}
	if of := keeperOf(pod); of != (keeper{}) {
		at["workload"] = strings.ToLower(of.kind) + "/" + of.name
	}
	if pod.Spec.NodeName == "" {
		return at
	}
	at["node"] = pod.Spec.NodeName
	if nodes == nil {
		return at
	}
	if node, found := cached[*corev1.Node](nodes, "", pod.Spec.NodeName); found {
		if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
			at["zone"] = zone
		}
	}
	return at
}
