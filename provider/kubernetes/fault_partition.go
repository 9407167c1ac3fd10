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
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("partition", "Cut pods off from the network by a NetworkPolicy", func() chaos.Fault {
		return &FaultPartition{Direction: directionBoth}
	}, podKinds...)
}

// The directions of a partition. There is none that goes out alone: nobody outside could see whether it bites.
const (
	directionIn   = "in"
	directionBoth = "both"
)

// FaultPartition makes a NetworkPolicy that lets nothing into the pods, and nothing out. Whether that does anything is up to
// the cluster's network plugin: many enforce no policies. The witness is a connection to a port of the pods, which must be
// accepted before the fault, and not any more under it; where it still is, the fault has no effect. It is made by this
// process itself where it reaches the pods, and by the API server otherwise.
//
// Without Pods the whole target is cut off, and pods that come later are too. With Pods some of the pods are, which get a
// label for it, and those that take their place are not.
//
// It needs the rights to get, list, create, patch and delete networkpolicies, and with Pods to patch pods; unless Through is
// pod, to get pods/proxy.
type FaultPartition struct {
	Victims
	// Direction is in, so that nothing comes in, or both, so that nothing goes out either; both where not said.
	Direction string `json:"direction,omitempty"`
	// Port is the TCP port of the pods that the witness asks; the only one that their containers declare where not said.
	Port int32 `json:"port,omitempty"`
	// Through is the way of the witness to the pods: pod, over the pod network, or proxy, through the API server. Where not
	// said, the first of the two by which they accept connections.
	Through string `json:"through,omitempty"`
}

// cutLabel is in front of the fault's hash in the label of pods that are cut off.
const cutLabel = "jenner.dev/cut-"

// cut is the checkpoint.
type cut struct {
	Policy   spot                 `json:"policy"`
	Selector metav1.LabelSelector `json:"selector"` // of the policy
	Labels   []altered            `json:"labels,omitempty"`
	Port     int32                `json:"port"`
	Way      string               `json:"way"` // by which the witness asks
}

// Validate checks the parameters.
func (f *FaultPartition) Validate() error {
	switch {
	case f.Direction != directionIn && f.Direction != directionBoth:
		return fmt.Errorf("direction %q is none; write %s or %s", f.Direction, directionIn, directionBoth)
	case f.Port < 0 || f.Port > 65535:
		return fmt.Errorf("port %d is none; write 1 to 65535", f.Port)
	case f.Through != "" && f.Through != throughPod && f.Through != throughProxy:
		return fmt.Errorf("through is %q; write pod or proxy", f.Through)
	}
	return f.Victims.Validate()
}

// BitesWithin is how long a network plugin may take to learn of the policy.
func (*FaultPartition) BitesWithin() time.Duration { return 15 * time.Second }

// Checkpoint chooses the pods. It refuses a target without running pods or with more than the cap, and pods that nobody
// here reaches, for then the fault would have no witness.
func (f *FaultPartition) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		kept, err := f.plan(ctx, t, c, call)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

func (f *FaultPartition) plan(ctx context.Context, t *Target, c *cluster, call chaos.Call) (cut, error) {
	hash := jenner.Fingerprint(call.Record.ID)
	kept := cut{Policy: spotOf(kindPolicy, t.Namespace, madeName+hash)}
	whole := f.whole(t)
	victims := f.Victims
	if whole {
		victims.Pods.Share = 1
	}
	pods, err := c.choose(ctx, t, victims, call.Record.ID)
	if err != nil {
		return kept, err
	}
	if whole {
		kept.Selector, err = f.selector(ctx, t, c)
	} else {
		kept.Selector.MatchLabels = map[string]string{cutLabel + hash: touchedValue}
		kept.Labels, err = c.labelling(ctx, call, pods, cutLabel+hash)
	}
	if err != nil {
		return kept, err
	}
	if kept.Port, err = f.port(pods); err != nil {
		return kept, jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
	}
	if kept.Way, err = c.wayTo(ctx, f.Through, pods, kept.Port); err != nil {
		return kept, err
	}
	policy, err := f.policy(kept)
	if err == nil {
		err = c.create(ctx, kept.Policy, call.Record, policy, metav1.DryRunAll)
	}
	return kept, err
}

// whole tells whether all of the target is cut off, and not some of its pods.
func (f *FaultPartition) whole(t *Target) bool {
	return f.Pods.IsZero() && (t.ref.Kind != kindPod || t.Selector != "")
}

// selector is what picks the whole target, and the pods that come later.
func (f *FaultPartition) selector(ctx context.Context, t *Target, c *cluster) (metav1.LabelSelector, error) {
	text := t.Selector
	if t.ref.Kind != kindPod {
		w, err := c.workload(ctx, t)
		if err != nil {
			return metav1.LabelSelector{}, err
		}
		text = w.Selector.String()
	}
	if f.Selector != "" {
		text += "," + f.Selector
	}
	selector, err := metav1.ParseToLabelSelector(text)
	if err != nil {
		return metav1.LabelSelector{}, jenner.Permanent(fmt.Errorf("%s: selector %q cannot be that of a policy: %w", t.ref, text, err), "")
	}
	return *selector, nil
}

// labelling is how pods get the label.
func (c *cluster) labelling(ctx context.Context, call chaos.Call, pods []corev1.Pod, label string) ([]altered, error) {
	var all []altered
	for i := range pods {
		wanted, err := setting(touchedValue, "metadata", "labels", label)
		if err != nil {
			return nil, err
		}
		one, err := c.alter(ctx, call, spotOf(kindPod, pods[i].Namespace, pods[i].Name), wanted)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// port finds the port of the witness.
func (f *FaultPartition) port(pods []corev1.Pod) (int32, error) {
	if f.Port > 0 {
		return f.Port, nil
	}
	var declared []int32
	for _, container := range pods[0].Spec.Containers {
		for _, port := range container.Ports {
			if port.Protocol != corev1.ProtocolUDP && port.Protocol != corev1.ProtocolSCTP {
				declared = append(declared, port.ContainerPort)
			}
		}
	}
	if len(declared) != 1 {
		return 0, fmt.Errorf("its containers declare the TCP ports %v, and one is needed as a witness; write port", declared)
	}
	return declared[0], nil
}

// policy is the NetworkPolicy.
func (f *FaultPartition) policy(kept cut) (*unstructured.Unstructured, error) {
	policy := &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		Spec:     networkingv1.NetworkPolicySpec{PodSelector: kept.Selector, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}
	if f.Direction == directionBoth {
		policy.Spec.PolicyTypes = append(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(policy)
	return &unstructured.Unstructured{Object: object}, err
}

// Inject labels the pods, where some are meant, and makes the policy.
func (f *FaultPartition) Inject(ctx context.Context, call chaos.Call) error {
	return onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		for _, one := range kept.Labels {
			if err := c.edit(ctx, call.Record, one); err != nil {
				return err
			}
		}
		policy, err := f.policy(kept)
		if err != nil {
			return err
		}
		return c.create(ctx, kept.Policy, call.Record, policy)
	})
}

func onCut(ctx context.Context, call chaos.Call, do func(context.Context, *cluster, cut) error) error {
	kept, err := checkpointed[cut](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error { return do(ctx, c, kept) })
}

// Renew writes the new end onto the policy and the pods.
func (f *FaultPartition) Renew(ctx context.Context, call chaos.Call) error {
	return onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		err := c.renew(ctx, kept.Policy, call.Record)
		for _, one := range kept.Labels {
			err = errors.Join(err, c.renew(ctx, one.Spot, call.Record))
		}
		return err
	})
}

// Bite tries to connect to each of the pods.
func (f *FaultPartition) Bite(ctx context.Context, call chaos.Call) (witness chaos.Witness, err error) {
	err = onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		policy, err := c.made(ctx, kept.Policy, call.Record.ID)
		if err != nil || policy == nil {
			witness.Saw = "there is no policy"
			return err
		}
		pods, err := c.CoreV1().Pods(kept.Policy.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&kept.Selector)})
		if err != nil {
			return told(err, "listing the pods that are cut off")
		}
		witness, err = c.cutOff(ctx, pods.Items, kept)
		return err
	})
	return witness, err
}

// cutOff sees whether no pod accepts connections.
func (c *cluster) cutOff(ctx context.Context, pods []corev1.Pod, kept cut) (chaos.Witness, error) {
	var silent []string
	for i := range pods {
		if pods[i].Status.PodIP == "" || pods[i].Status.Phase != corev1.PodRunning {
			continue
		}
		why, err := c.connects(ctx, kept.Way, &pods[i], kept.Port)
		if err != nil {
			return chaos.Witness{}, err
		}
		if why == "" {
			return chaos.Witness{Saw: fmt.Sprintf("pod %s still accepts connections on port %d; does the network plugin enforce policies?",
				pods[i].Name, kept.Port)}, nil
		}
		silent = append(silent, pods[i].Name+": "+why)
	}
	return chaos.Witness{Bit: len(silent) > 0, Saw: fmt.Sprintf("no connection to port %d: %s", kept.Port, strings.Join(silent, "; "))}, nil
}

// Armed tells whether the policy is there.
func (f *FaultPartition) Armed(ctx context.Context, call chaos.Call) (armed bool, err error) {
	err = onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		policy, err := c.made(ctx, kept.Policy, call.Record.ID)
		armed = policy != nil
		return err
	})
	return armed, err
}

// Undo deletes the policy and takes the labels off.
func (f *FaultPartition) Undo(ctx context.Context, call chaos.Call) error {
	return onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		err := c.unmake(ctx, kept.Policy, call.Record.ID)
		for _, one := range kept.Labels {
			_, undone := c.restore(ctx, one.Spot, call.Record.ID)
			err = errors.Join(err, undone)
		}
		return err
	})
}

// Fingerprint names the policy and the labels of the fault.
func (f *FaultPartition) Fingerprint(ctx context.Context, call chaos.Call) (print string, err error) {
	err = onCut(ctx, call, func(ctx context.Context, c *cluster, kept cut) error {
		found := []string{"no policy"}
		policy, err := c.made(ctx, kept.Policy, call.Record.ID)
		if err != nil {
			return err
		}
		if policy != nil {
			found[0] = kept.Policy.String()
		}
		for label := range kept.Selector.MatchLabels {
			if len(kept.Labels) == 0 {
				break
			}
			pods, err := c.CoreV1().Pods(kept.Policy.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{label: touchedValue}.String()})
			if err != nil {
				return told(err, "listing the pods that are cut off")
			}
			for _, pod := range pods.Items {
				found = append(found, "pod "+pod.Name)
			}
		}
		slices.Sort(found)
		print = strings.Join(found, ", ")
		return nil
	})
	return print, err
}

// Rights are to read the pods, to make the policy, find it and take it away, with Pods to label pods, and to connect to them
// through the API server where that may be the way.
func (f *FaultPartition) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := append(t.chosenRights(), t.right("list", "", "pods"))
	if !f.whole(t) {
		list = append(list, t.podRight("get", "pods"), t.podRight("patch", "pods"))
	}
	if f.Through != throughPod {
		list = append(list, t.right("get", "", "pods/proxy"))
	}
	policies := spotResources[kindPolicy]
	for _, verb := range madeVerbs {
		list = append(list, t.right(verb, policies.Group, policies.Resource))
	}
	return list, nil
}
