package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("delete_pod", "End pods, which their workload replaces", func() act.Action { return &DeletePod{Count: 1} },
		append([]string{kindPod}, workloadKinds...)...)
}

// DeletePod ends pods of the target that do not serve, those first that have not served for longest, or the one pod that
// it names. It asks for an eviction, so that a PodDisruptionBudget may forbid it for now. A pod that nobody would replace
// is refused. Where all pods serve, the step fails for a passing reason: with retry it waits for one that does not, as of a node
// that was just lost, whose pods count as ready for some moments more. There is no undo: the pod is gone, and another one takes
// its place.
//
// The unit of its blast radius is pods.
type DeletePod struct {
	// Pod is the name of the one pod that is meant, ready or not, where the target has several.
	Pod string `json:"pod,omitempty"`
	// Count is how many pods that do not serve are ended at most; 1 where not said.
	Count int `json:"count,omitempty"`
	// AndReady ends pods that serve too, the oldest first, after those that do not.
	AndReady bool `json:"and_ready,omitempty"`
	// UnreadyFor is how long a pod must not have served to be chosen.
	UnreadyFor jenner.Duration `json:"unready_for,omitempty"`
	// Grace is how long a pod may take to end; its own where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
	// IgnoreBudgets deletes the pod without asking the PodDisruptionBudgets.
	IgnoreBudgets bool `json:"ignore_budgets,omitempty"`
	// Alone ends also a pod that no controller would replace.
	Alone bool `json:"alone,omitempty"`
	// Wait is how long it may take until the pods are gone and their workload has settled; where not said, nobody waits.
	Wait jenner.Duration `json:"wait,omitempty"`
}

// endedPods is the checkpoint, and the output.
type endedPods struct {
	Pods []podID `json:"pods"`
}

// Validate checks the parameters.
func (d *DeletePod) Validate() error {
	switch {
	case d.Count < 1:
		return fmt.Errorf("count is %d; write 1 or more", d.Count)
	case d.Pod != "" && (d.Count != 1 || d.AndReady || d.UnreadyFor != 0):
		return errors.New("pod names the one pod; count, and_ready and unready_for belong to where it does not")
	}
	return nil
}

// choose gives the pods that are meant, and of how many, as they are at this moment.
func (d *DeletePod) choose(ctx context.Context, call act.Call) (chosen []corev1.Pod, total int, err error) {
	return d.chooseOf(ctx, call, (*cluster).pods)
}

func (d *DeletePod) chooseOf(ctx context.Context, call act.Call, read func(*cluster, context.Context, *Target) ([]corev1.Pod, error)) (chosen []corev1.Pod, total int, err error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, 0, err
	}
	all, err := read(c, ctx, t)
	if err != nil {
		return nil, 0, err
	}
	one := d.Pod
	if one == "" && t.ref.Kind == kindPod && t.Selector == "" {
		one = t.Object
	}
	chosen = slices.DeleteFunc(slices.Clone(all), func(pod corev1.Pod) bool { return !d.meant(&pod, one) })
	slices.SortStableFunc(chosen, longestUnready)
	chosen = chosen[:min(d.Count, len(chosen))]
	return chosen, len(all), nil
}

// judge refuses where no pod is meant, or one that nobody would replace.
func (d *DeletePod) judge(chosen []corev1.Pod, total int, target jenner.TargetRef) error {
	if len(chosen) == 0 && d.Pod != "" {
		return jenner.Permanent(fmt.Errorf("%s has no pod %s, or it is ending already", target, d.Pod), "")
	}
	if len(chosen) == 0 {
		// A condition of the node or of a container is often there some moments before the pods stop counting as ready.
		return jenner.Retryable(fmt.Errorf("none of %d pods of %s is meant: they serve, or they are ending already", total, target), "")
	}
	for _, pod := range chosen {
		if metav1.GetControllerOf(&pod) == nil && !d.Alone {
			return jenner.Permanent(fmt.Errorf("pod %s/%s belongs to no workload, and nobody would replace it", pod.Namespace, pod.Name),
				"say alone: true if it is to go all the same")
		}
	}
	return nil
}

func (d *DeletePod) meant(pod *corev1.Pod, one string) bool {
	finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case pod.DeletionTimestamp != nil:
		return false
	case one != "":
		return pod.Name == one
	case podReady(pod):
		return d.AndReady
	}
	return !finished && time.Since(unreadySince(pod)) >= d.UnreadyFor.Std()
}

// unreadySince is since when a pod does not serve; one that never did, since it was made.
func unreadySince(pod *corev1.Pod) time.Time {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status != corev1.ConditionTrue {
			return condition.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

// longestUnready orders pods that do not serve by how long, and after them those that do by their age.
func longestUnready(a, b corev1.Pod) int {
	if ready := podReady(&a); ready != podReady(&b) {
		if ready {
			return 1
		}
		return -1
	}
	return cmp.Or(unreadySince(&a).Compare(unreadySince(&b)), cmp.Compare(a.Name, b.Name))
}

// Check refuses where no pod is meant, or one that nobody would replace.
func (d *DeletePod) Check(ctx context.Context, call act.Call) error {
	chosen, total, err := d.choose(ctx, call)
	if err != nil {
		return err
	}
	return d.judge(chosen, total, call.Target.Ref())
}

// Size is how many pods are ended, of those of the target. An incident that has to wait for its turn is sized again and again,
// so what is watched is not asked for; the checkpoint asks.
func (d *DeletePod) Size(ctx context.Context, call act.Call) (act.Size, error) {
	chosen, total, err := d.chooseOf(ctx, call, (*cluster).podsSeen)
	return act.Size{Unit: unitPods, Want: len(chosen), Total: total, Bounded: true}, err
}

// Checkpoint keeps which pods are meant.
func (d *DeletePod) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	chosen, total, err := d.choose(ctx, call)
	if err == nil {
		err = d.judge(chosen, total, call.Target.Ref())
	}
	if err != nil {
		return nil, err
	}
	if most, limited := call.Allowed[unitPods]; limited {
		chosen = chosen[:min(most, len(chosen))]
	}
	var kept endedPods
	for _, pod := range chosen {
		kept.Pods = append(kept.Pods, idOf(&pod))
	}
	return jenner.Raw(kept), nil
}

// Happened is done where none of the pods of the checkpoint is left that was not asked to end.
func (d *DeletePod) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	kept, err := keptIn[endedPods](call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	_, c, err := reach(call.Target)
	if err != nil {
		return act.HappenedUnknown, err
	}
	for _, pod := range kept.Pods {
		state, err := c.stateOf(ctx, pod)
		if err != nil {
			return act.HappenedUnknown, err
		}
		if state == podThere {
			return act.HappenedNot, nil // doing it again ends only those that are left
		}
	}
	return act.HappenedDone, nil
}

// Do ends the pods of the checkpoint.
func (d *DeletePod) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return d.do(ctx, call, false)
}

// DryRun asks the API server whether it would let the pods go.
func (d *DeletePod) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	return d.do(ctx, call, true)
}

func (d *DeletePod) do(ctx context.Context, call act.Call, dry bool) (act.Result, error) {
	kept, err := keptIn[endedPods](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	var names []string
	for _, pod := range kept.Pods {
		ended, err := c.end(ctx, pod, ending{Grace: graceOf(d.Grace), Unasked: d.IgnoreBudgets, OnlySaid: dry})
		if err != nil {
			return act.Result{Changed: len(names) > 0}, err
		}
		if ended {
			names = append(names, pod.String())
		}
	}
	result := act.Result{Summary: "ended " + strings.Join(names, ", "), Changed: len(names) > 0, Output: kept}
	if len(names) == 0 {
		result.Summary = "the pods are gone already"
	}
	if d.Wait == 0 || dry {
		return result, nil
	}
	return d.replaced(ctx, call, t, c, kept.Pods, result)
}

// String is `checkout-7f9 (app: CrashLoopBackOff)`.
func (p podID) String() string {
	if p.Why == "" {
		return p.Name
	}
	return p.Name + " (" + p.Why + ")"
}

// replaced waits until the pods are gone and, where the target is a workload, others serve in their place.
func (d *DeletePod) replaced(ctx context.Context, call act.Call, t *Target, c *cluster, pods []podID, result act.Result) (act.Result, error) {
	patience, cancel := context.WithTimeoutCause(ctx, d.Wait.Std(), fmt.Errorf("not within %s", d.Wait))
	defer cancel()
	err := c.awaitGone(patience, pods)
	if err == nil && t.ref.Kind != kindPod {
		return settled(patience, call, result, d.Wait)
	}
	return result, err
}

// Rights are to read the target and its pods, and to evict or delete pods.
func (d *DeletePod) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	var list []jenner.Right
	if t.ref.Kind != kindPod {
		list = t.rights("get")
	}
	list = append(list, t.right("get", "", "pods"), t.right("list", "", "pods"))
	if d.IgnoreBudgets {
		return append(list, t.right("delete", "", "pods")), nil
	}
	return append(list, t.right("create", "", "pods/eviction")), nil
}
