package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("drain", "Let no new pods onto a node, and move away those that it has", func() act.Action { return &Drain{} }, kindNode)
}

// Drain marks a node as unschedulable and evicts its pods, except those of DaemonSets and those that the node runs by
// itself. PodDisruptionBudgets are obeyed: what they forbid for now is tried again until the step's time is over, so give
// the step a timeout that is long enough. A drain that fails lets pods onto the node again. So does the undo, where it
// did before; it does not bring pods back.
//
// The unit of its blast radius is pods, of all pods of the cluster, and it limits how many are on their way at one time.
type Drain struct {
	// Grace is how long a pod may take to end; its own where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
	// LoseLocalData evicts also pods that keep data on the node (emptyDir), which is lost.
	LoseLocalData bool `json:"lose_local_data,omitempty"`
	// Selector picks the pods that are evicted, by labels; all where not said. The others stay.
	Selector string `json:"selector,omitempty"`
	// Alone evicts also pods that no controller would replace.
	Alone bool `json:"alone,omitempty"`
}

// drained is the checkpoint.
type drained struct {
	UID      types.UID `json:"uid"`
	Cordoned bool      `json:"cordoned"` // before
	Pods     []podID   `json:"pods"`
}

// Validate checks the parameters.
func (d *Drain) Validate() error {
	if _, err := labels.Parse(d.Selector); err != nil {
		return fmt.Errorf("selector %q cannot be read: %w; write it like app=checkout", d.Selector, err)
	}
	return nil
}

// choose gives the pods that would have to go, and what forbids it.
func (d *Drain) choose(ctx context.Context, c *cluster, node string) ([]corev1.Pod, error) {
	by := &drain.Helper{Ctx: ctx, Client: c.Interface, Force: d.Alone, IgnoreAllDaemonSets: true, DeleteEmptyDirData: d.LoseLocalData,
		GracePeriodSeconds: -1, PodSelector: d.Selector}
	list, mistakes := by.GetPodsForDeletion(node)
	if list == nil {
		return nil, told(errors.Join(mistakes...), "listing the pods of node "+node)
	}
	if len(mistakes) > 0 {
		return list.Pods(), jenner.Permanent(fmt.Errorf("node %s: %s", node, inOurWords.Replace(errors.Join(mistakes...).Error())), "")
	}
	return list.Pods(), nil
}

// inOurWords are the parameters here, where the library names kubectl's flags.
var inOurWords = strings.NewReplacer("use --delete-emptydir-data to override", "say lose_local_data: true to override",
	"use --force to override", "say alone: true to override")

// Check refuses where a pod is on the node that may not be evicted.
func (d *Drain) Check(ctx context.Context, call act.Call) error {
	on, err := look(ctx, call)
	if err != nil {
		return err
	}
	_, err = d.choose(ctx, on.cluster, on.target.Object)
	return err
}

// Size is how many pods would move, of all that the cluster has.
func (d *Drain) Size(ctx context.Context, call act.Call) (act.Size, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return act.Size{}, err
	}
	chosen, err := d.choose(ctx, c, t.Object)
	if chosen == nil && err != nil {
		return act.Size{}, err
	}
	all, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return act.Size{}, told(err, "counting the pods of the cluster")
	}
	total := len(all.Items)
	if all.RemainingItemCount != nil {
		total += int(*all.RemainingItemCount)
	}
	return act.Size{Unit: unitPods, Want: len(chosen), Total: total, Bounded: true}, nil
}

// Checkpoint keeps whether the node took pods, and which it has.
func (d *Drain) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	on, err := look(ctx, call)
	if err != nil {
		return nil, err
	}
	chosen, err := d.choose(ctx, on.cluster, on.target.Object)
	if err != nil {
		return nil, err
	}
	kept := drained{UID: on.live.GetUID(), Cordoned: unschedulable.read(on.live.Object) == true}
	for _, pod := range chosen {
		kept.Pods = append(kept.Pods, idOf(&pod))
	}
	return jenner.Raw(kept), nil
}

// Fingerprint is whether the node is unschedulable.
func (d *Drain) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	return fingerprintOf(ctx, call, unschedulable)
}

// Happened is done where the node takes no pods and has none that would have to go. Half of it is 'not done': doing it
// again does the rest.
func (d *Drain) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	on, err := look(ctx, call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	kept, err := keptIn[drained](call.Checkpoint)
	if err != nil || on.live.GetUID() != kept.UID {
		return act.HappenedUnknown, err
	}
	if unschedulable.read(on.live.Object) != true {
		return act.HappenedNot, nil
	}
	left, err := on.left(ctx, kept.Pods)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case len(left) > 0:
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}

// left are those of the pods that are still on the node; all of them where that cannot be told.
func (on *site) left(ctx context.Context, pods []podID) ([]podID, error) {
	list, err := on.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + on.target.Object})
	if err != nil {
		return pods, told(err, "listing the pods of "+on.target.String())
	}
	there := map[types.UID]bool{}
	for _, pod := range list.Items {
		there[pod.UID] = true
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod podID) bool { return !there[pod.UID] }), nil
}

// DryRun asks the API server whether the pods would be let go.
func (d *Drain) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[drained](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	on, err := look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	later := 0
	for _, pod := range kept.Pods {
		_, err := on.end(ctx, pod, ending{Grace: graceOf(d.Grace), OnlySaid: true})
		switch {
		case errors.Is(err, errBudget):
			later++
		case err != nil:
			return act.Result{}, err
		}
	}
	return act.Result{Summary: fmt.Sprintf("%s: %d pods would go, %d of them when disruption budgets let them", on.target, len(kept.Pods), later),
		Changed: true}, nil
}

// Do drains the node.
func (d *Drain) Do(ctx context.Context, call act.Call) (act.Result, error) {
	on, err := look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	kept, err := keptIn[drained](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if on.live.GetUID() != kept.UID {
		return act.Result{}, jenner.Permanent(fmt.Errorf("%s is another one by now", on.target), "")
	}
	cordoned, err := on.mark(ctx, call, true)
	if err != nil {
		return act.Result{}, err
	}
	// What came between the checkpoint and the mark has to go too.
	pods, err := d.choose(ctx, on.cluster, on.target.Object)
	var gone int
	if err == nil {
		gone, err = d.empty(ctx, on, call, pods)
	}
	if err == nil {
		return act.Result{Summary: fmt.Sprintf("%s takes no pods, and %d were evicted", on.target, gone), Changed: cordoned || gone > 0,
			Output: endedPods{kept.Pods}}, nil
	}
	if !kept.Cordoned {
		during, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
		defer cancel()
		_, back := on.mark(during, call, false)
		err = errors.Join(err, back)
	}
	return act.Result{}, fmt.Errorf("%s was not drained, %d of %d pods went, and it takes pods again: %w", on.target, gone, len(pods), err)
}

// backPatience is how long it may take to set something back after a failure.
const backPatience = 10 * time.Second

// mark makes the node take no pods, or take them again, and tells whether it was otherwise before.
func (on *site) mark(ctx context.Context, call act.Call, cordoned bool) (changed bool, err error) {
	var value any
	if cordoned {
		value = true
	}
	err = again(func() error {
		now, err := look(ctx, call)
		if err != nil {
			return err
		}
		if changed = (unschedulable.read(now.live.Object) == true) != cordoned; !changed {
			return nil
		}
		if err := unschedulable.write(now.want.Object, value); err != nil {
			return err
		}
		_, err = now.merge(ctx, false)
		return err
	})
	return changed, err
}

// drainEvery is how often a node is looked at that is drained, and how often an eviction is tried that a disruption
// budget forbids.
const drainEvery = 500 * time.Millisecond

// empty evicts pods, no more at a time than is allowed, and tells how many are gone.
func (d *Drain) empty(ctx context.Context, on *site, call act.Call, chosen []corev1.Pod) (int, error) {
	most, limited := call.Allowed[unitPods]
	if !limited {
		most = len(chosen)
	}
	var waiting, asked []podID
	for _, pod := range chosen {
		waiting = append(waiting, idOf(&pod))
	}
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		var err error
		if asked, err = on.left(ctx, asked); err != nil && jenner.NextAfter(err) != jenner.TryAgain {
			return len(chosen) - len(waiting) - len(asked), err
		}
		forbidden, err := d.evictSome(ctx, on, &waiting, &asked, most)
		gone := len(chosen) - len(waiting) - len(asked)
		switch {
		case err != nil:
			return gone, err
		case len(waiting)+len(asked) == 0:
			return gone, nil
		case call.Host.Progress != nil:
			call.Host.Progress(fmt.Sprintf("%d of %d pods are gone, %d are ending", gone, len(chosen), len(asked)))
		}
		select {
		case <-ctx.Done():
			return gone, errors.Join(context.Cause(ctx), forbidden)
		case <-tick.C:
		}
	}
}

// evictSome asks as many pods to end as may be on their way. What a disruption budget forbids goes to the end of the
// waiting ones, and is told.
func (d *Drain) evictSome(ctx context.Context, on *site, waiting, asked *[]podID, most int) (forbidden, err error) {
	for range len(*waiting) {
		if len(*asked) >= most {
			return forbidden, nil
		}
		pod := (*waiting)[0]
		*waiting = (*waiting)[1:]
		_, err := on.end(ctx, pod, ending{Grace: graceOf(d.Grace)})
		switch {
		case errors.Is(err, errBudget):
			*waiting, forbidden = append(*waiting, pod), err
		case err != nil && jenner.NextAfter(err) == jenner.TryAgain && ctx.Err() == nil:
			*waiting = append(*waiting, pod)
		case err != nil:
			*waiting = append(*waiting, pod)
			return forbidden, err
		default:
			*asked = append(*asked, pod)
		}
	}
	return forbidden, nil
}

// Undo lets pods onto the node again, where it did before.
func (d *Drain) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[drained](call.Checkpoint)
	if err != nil {
		return act.Result{}, jenner.ForHuman(err, "look at the node and decide")
	}
	on, err := look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	if kept.Cordoned || on.live.GetUID() != kept.UID {
		return act.Result{Summary: fmt.Sprintf("%s took no pods before", on.target)}, nil
	}
	changed, err := on.mark(ctx, call, false)
	return act.Result{Summary: fmt.Sprintf("new pods come onto %s again", on.target), Changed: changed}, err
}

// Rights are to read and change the node, to read pods and evict them, and to read DaemonSets.
func (d *Drain) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return append(t.rights("get", "patch"), t.right("list", "", "pods"), t.right("create", "", "pods/eviction"), t.right("get", "apps", "daemonsets")), nil
}
