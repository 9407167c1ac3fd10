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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("drain", "Let no new pod onto a node, and evict those that are there", func() chaos.Fault {
		return &FaultDrain{Spare: Spare{Nodes: 1}}
	}, kindNode)
}

// FaultDrain cordons a node and evicts its pods, within their disruption budgets, as `kubectl drain` does. Pods of daemon
// sets and those that the node runs by itself stay. The undo lets pods onto the node again; those that went elsewhere stay
// there. It needs the rights to patch nodes, to list pods and to create pods/eviction.
type FaultDrain struct {
	edited
	Spare
	// Selector picks some of the node's pods by labels, in all namespaces. All of them where not said.
	Selector string `json:"selector,omitempty"`
	// MaxPods is how many pods may be evicted at most; 10 where not said. More than that are refused, not cut down.
	MaxPods int `json:"max_pods,omitempty"`
	// Grace is how long the containers have to end by themselves; what the pods say where not said.
	Grace jenner.Duration `json:"grace,omitempty"`
}

// emptied is the checkpoint.
type emptied struct {
	altered
	hit
}

// Validate checks the parameters.
func (f *FaultDrain) Validate() error {
	return errors.Join(f.Spare.Validate(), (&Victims{Selector: f.Selector, MaxPods: f.MaxPods}).Validate())
}

// BitesWithin is how long the pods may take to end.
func (f *FaultDrain) BitesWithin() time.Duration { return f.Grace.Or(time.Minute) + 15*time.Second }

// Checkpoint keeps how the node was, and its pods. It refuses what FaultCordon refuses, pods that nobody would bring back,
// the pod that Jenner itself runs in, and more pods than the cap.
func (f *FaultDrain) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		var kept emptied
		if kept.altered, err = c.cordoning(ctx, t, call, f.Spare); err != nil {
			return err
		}
		pods, err := f.pods(ctx, c, t)
		if err != nil {
			return err
		}
		if len(pods) > most(f.MaxPods) {
			return jenner.Permanent(fmt.Errorf("%s: %d pods would be evicted, and max_pods is %d", t.ref, len(pods), most(f.MaxPods)), "")
		}
		for i := range pods {
			if err := mayHit(&pods[i]); err != nil {
				return jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
			}
			kept.Victims = append(kept.Victims, victimOf(&pods[i]))
		}
		kept.Crews, err = c.crews(ctx, pods)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

// pods are those of the node that are to go.
func (f *FaultDrain) pods(ctx context.Context, c *cluster, t *Target) ([]corev1.Pod, error) {
	selector, err := labels.Parse(f.Selector)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	list, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: selector.String(),
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", t.Object).String()})
	if err != nil {
		return nil, told(err, "listing the pods of node "+t.Object)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		owner := metav1.GetControllerOf(&pod)
		over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil
		return over || pod.Annotations[corev1.MirrorPodAnnotationKey] != "" || owner != nil && owner.Kind == "DaemonSet"
	}), nil
}

// Inject cordons the node and evicts the pods. What a disruption budget holds back is tried again for a while.
func (f *FaultDrain) Inject(ctx context.Context, call chaos.Call) error {
	if err := f.edited.Inject(ctx, call); err != nil {
		return err
	}
	kept, err := checkpointed[emptied](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, v := range kept.Victims {
			err := c.until(ctx, func() (string, error) {
				err := c.evict(ctx, v, f.Grace)
				switch {
				case err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err):
					return "", nil
				case apierrors.IsTooManyRequests(err):
					return "a disruption budget keeps pod " + v.String() + " on its node", nil
				}
				return "", told(err, "evicting pod "+v.String())
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Bite sees the taint of the node, and that the pods have left it.
func (f *FaultDrain) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	kept, err := checkpointed[emptied](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, _ altered) (string, error) {
		saw, err := c.tainted(ctx, t.Object)
		if err != nil || saw == "" {
			return "", err
		}
		for _, v := range kept.Victims {
			pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
			if err == nil && pod.UID == v.UID {
				return "", nil
			}
			if err != nil && !gone(err) {
				return "", told(err, "reading pod "+v.String())
			}
		}
		return strings.TrimSuffix(saw+"; gone: "+named(kept.Victims), "; gone: "), nil
	})
}

// Undo lets pods onto the node again, and waits until as many serve as before.
func (f *FaultDrain) Undo(ctx context.Context, call chaos.Call) error {
	return errors.Join(f.edited.Undo(ctx, call), struck{}.Undo(ctx, call))
}

// Rights are to read and change the node, to read and evict its pods, and to read who brings them back.
func (*FaultDrain) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	list, err := editedRights(target)
	if err != nil {
		return nil, err
	}
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list = append(list, t.right("get", "", "pods"), t.right("list", "", "pods"), t.right("create", "", "pods/eviction"))
	for _, resource := range []string{"deployments", "replicasets", "statefulsets"} { // those of daemon sets stay
		list = append(list, t.right("get", "apps", resource))
	}
	return list, nil
}
