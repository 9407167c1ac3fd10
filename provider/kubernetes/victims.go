package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// podKinds are the kinds of targets that have pods.
var podKinds = append(slices.Clone(workloadKinds), kindPod)

// Victims says which pods of a target a fault hits, and how many at most.
type Victims struct {
	// Selector picks some of the target's pods by labels: `track=canary`. All of them where not said.
	Selector string `json:"selector,omitempty"`
	// Pods is how many of those are hit, by chance: one, a count, or a share such as 25%; one where not said. A share rounds
	// down, but not below one. The record's ID is the seed.
	Pods jenner.Pick `json:"pods,omitzero"`
	// MaxPods is how many may be hit at most; 10 where not said. More than that are refused, not cut down.
	MaxPods int `json:"max_pods,omitempty"`
}

// Validate checks the selector and the cap.
func (v *Victims) Validate() error {
	if _, err := labels.Parse(v.Selector); err != nil {
		return fmt.Errorf("selector %q cannot be read: %w; write it like track=canary", v.Selector, err)
	}
	if v.MaxPods < 0 {
		return fmt.Errorf("max_pods is %d; write 1 or more", v.MaxPods)
	}
	return nil
}

// most is the cap.
func most(maxPods int) int {
	if maxPods > 0 {
		return maxPods
	}
	return jenner.DefaultMaxTargets
}

// victim is one pod that is hit.
type victim struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	Node      string    `json:"node,omitempty"`
}

func victimOf(pod *corev1.Pod) victim {
	return victim{pod.Namespace, pod.Name, pod.UID, pod.Spec.NodeName}
}

func (v victim) String() string { return v.Namespace + "/" + v.Name }

// named are victims in words.
func named(victims []victim) string {
	names := make([]string, len(victims))
	for i, v := range victims {
		names[i] = v.String()
	}
	return strings.Join(names, ", ")
}

// choose picks the pods of a target that a fault hits. It refuses where there are none, or fewer than wanted, or more than
// the cap, and pods that nobody would bring back.
func (c *cluster) choose(ctx context.Context, t *Target, v Victims, id string) ([]corev1.Pod, error) {
	all, err := c.pods(ctx, t)
	if err != nil {
		return nil, err
	}
	selector, err := labels.Parse(v.Selector)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	living := slices.DeleteFunc(all, func(pod corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || !selector.Matches(labels.Set(pod.Labels))
	})
	if len(living) == 0 {
		return nil, jenner.Permanent(fmt.Errorf("%s has no running pod that could be hit", t.ref), "see its selector")
	}
	slices.SortFunc(living, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	chosen, err := v.draw(living, id)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
	}
	for i := range chosen {
		if err := mayHit(&chosen[i]); err != nil {
			return nil, jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
		}
	}
	return chosen, nil
}

// draw picks by chance.
func (v Victims) draw(pods []corev1.Pod, id string) ([]corev1.Pod, error) {
	pick := v.Pods
	if pick.IsZero() {
		pick.Count = 1
	}
	if pick.Count > len(pods) {
		return nil, fmt.Errorf("%d pods are to be hit, and %d run", pick.Count, len(pods))
	}
	count := pick.Of(len(pods), len(pods))
	if count > most(v.MaxPods) {
		return nil, fmt.Errorf("%d of %d pods would be hit, and max_pods is %d", count, len(pods), most(v.MaxPods))
	}
	seed := fnv.New64a()
	seed.Write([]byte(id))
	var drawn []corev1.Pod
	for _, at := range jenner.Draw(len(pods), count, seed.Sum64(), 0) {
		drawn = append(drawn, pods[at])
	}
	return drawn, nil
}

// mayHit refuses pods that nobody would bring back, and the one that Jenner itself runs in.
func mayHit(pod *corev1.Pod) error {
	switch {
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return fmt.Errorf("pod %s is one of its node's own, which the cluster only shows", pod.Name)
	case metav1.GetControllerOf(pod) == nil:
		return fmt.Errorf("pod %s is owned by nobody, so that nobody would bring it back", pod.Name)
	case isOurself(pod):
		return fmt.Errorf("pod %s is the one that Jenner itself runs in", pod.Name)
	}
	return nil
}

// isOurself tells whether this process runs in the pod, whose name is the host's name unless the pod's environment says.
func isOurself(pod *corev1.Pod) bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return false
	}
	name, namespace := os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE")
	if name == "" {
		name, _ = os.Hostname()
	}
	return pod.Name == name && (namespace == "" || pod.Namespace == namespace)
}

// crew is a controller that keeps pods alive, with what is needed to tell whether it has brought them back.
type crew struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	Ready     int32     `json:"ready"`    // pods that served at the checkpoint
	Template  string    `json:"template"` // hash of its template, without the annotations that a restart writes there
}

func (w crew) String() string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// kindReplicaSet is no kind of target; it stands between a Deployment and its pods, or alone.
const kindReplicaSet = "replicaset"

// crews are the controllers of pods, each once.
func (c *cluster) crews(ctx context.Context, pods []corev1.Pod) ([]crew, error) {
	var found []crew
	for i := range pods {
		owner := metav1.GetControllerOf(&pods[i])
		if owner == nil {
			return nil, mayHit(&pods[i])
		}
		kind, name := strings.ToLower(owner.Kind), owner.Name
		if kind == kindReplicaSet {
			set, err := c.AppsV1().ReplicaSets(pods[i].Namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return nil, told(err, "reading replica set "+name)
			}
			if above := metav1.GetControllerOf(set); above != nil && above.Kind == "Deployment" {
				kind, name = kindDeployment, above.Name
			}
		}
		if slices.ContainsFunc(found, func(w crew) bool { return w.Kind == kind && w.Name == name && w.Namespace == pods[i].Namespace }) {
			continue
		}
		w := crew{Kind: kind, Namespace: pods[i].Namespace, Name: name}
		at, err := c.crew(ctx, w)
		if err != nil {
			return nil, err
		}
		w.UID, w.Template = at.Meta.UID, templateHash(at.Template)
		if w.Ready, err = c.serving(ctx, at); err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	return found, nil
}

// crew is what a controller says at present.
func (c *cluster) crew(ctx context.Context, w crew) (workload, error) {
	switch {
	case slices.Contains(workloadKinds, w.Kind):
		return c.workload(ctx, &Target{Namespace: w.Namespace, Object: w.Name, ref: jenner.TargetRef{Kind: w.Kind, Name: w.Name}})
	case w.Kind != kindReplicaSet:
		return workload{}, jenner.Permanent(fmt.Errorf("%s keeps no number of pods alive, so that nobody could tell when it has brought them back", w),
			"break pods of a Deployment, StatefulSet, DaemonSet or ReplicaSet")
	}
	set, err := c.AppsV1().ReplicaSets(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
	if err != nil {
		return workload{}, told(err, "reading "+w.String())
	}
	return workload{Kind: kindReplicaSet, Meta: set.ObjectMeta, Template: set.Spec.Template, Replicas: wanted(set.Spec.Replicas),
		Ready: set.Status.ReadyReplicas}.selecting(set.Spec.Selector)
}

func templateHash(template corev1.PodTemplateSpec) string {
	return hashed(jenner.Raw([]any{template.Labels, template.Spec}))
}

// missing tells which of the crews have fewer pods that serve than at the checkpoint, or than are wanted where that is less
// by now. One that is gone misses nothing any more. The pods themselves are asked, for the controller learns of a lost pod
// a moment later.
func (c *cluster) missing(ctx context.Context, crews []crew) (string, error) {
	for _, w := range crews {
		now, err := c.crew(ctx, w)
		if gone(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		serving, err := c.serving(ctx, now)
		if err != nil {
			return "", err
		}
		if want := min(w.Ready, now.Replicas); serving < want {
			return fmt.Sprintf("%s has %d of %d pods that serve", w, serving, want), nil
		}
	}
	return "", nil
}

// serving counts the pods of a workload that are ready.
func (c *cluster) serving(ctx context.Context, w workload) (int32, error) {
	list, err := c.CoreV1().Pods(w.Meta.Namespace).List(ctx, metav1.ListOptions{LabelSelector: w.Selector.String()})
	if err != nil {
		return 0, told(err, "listing the pods of "+w.Kind+" "+w.Meta.Name)
	}
	var ready int32
	for i := range list.Items {
		if podReady(&list.Items[i]) {
			ready++
		}
	}
	return ready, nil
}

// errNoVictims says that a checkpoint names nobody.
var errNoVictims = errors.New("the checkpoint names no pod")
