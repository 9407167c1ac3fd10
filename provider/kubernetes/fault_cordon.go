package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("cordon", "Let no new pod onto a node", func() chaos.Fault { return &FaultCordon{Spare: Spare{Nodes: 1}} }, kindNode)
}

// FaultCordon marks a node as unschedulable. What runs there goes on. It needs the right to patch nodes.
type FaultCordon struct {
	edited
	Spare
}

// Spare says what must be left of the cluster.
type Spare struct {
	// Nodes is how many other nodes must be ready and schedulable; 1 where not said. The fault is refused where fewer are.
	Nodes int `json:"spare_nodes,omitempty"`
}

// Validate checks the number.
func (s *Spare) Validate() error {
	if s.Nodes < 0 {
		return fmt.Errorf("spare_nodes is %d; write 0 or more", s.Nodes)
	}
	return nil
}

// BitesWithin is how long the control plane may take to set the taint.
func (*FaultCordon) BitesWithin() time.Duration { return 15 * time.Second }

// Checkpoint keeps how the node was. It refuses one that takes no pods already, and where too few others would be left.
func (f *FaultCordon) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		kept, err := c.cordoning(ctx, t, call, f.Spare)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

func (c *cluster) cordoning(ctx context.Context, t *Target, call chaos.Call, spare Spare) (altered, error) {
	if err := c.spares(ctx, t.Object, spare); err != nil {
		return altered{}, err
	}
	closed, err := setting(true, "spec", "unschedulable")
	if err != nil {
		return altered{}, err
	}
	return c.alter(ctx, call, t.spot(), closed)
}

// spares refuses where fewer other nodes could take pods than must be left.
func (c *cluster) spares(ctx context.Context, node string, spare Spare) error {
	list, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return told(err, "listing the nodes")
	}
	left := 0
	for _, other := range list.Items {
		if other.Name != node && !other.Spec.Unschedulable && nodeReady(&other) {
			left++
		}
	}
	if left < spare.Nodes {
		return jenner.Permanent(fmt.Errorf("without node %s %d nodes could take pods, and %d must be left", node, left, spare.Nodes),
			"write spare_nodes where fewer are enough")
	}
	return nil
}

func nodeReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Bite sees the taint that keeps pods away.
func (f *FaultCordon) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, _ altered) (string, error) {
		return c.tainted(ctx, t.Object)
	})
}

// tainted says that a node keeps pods away. The taint is the scheduler's own word for it; the control plane sets it.
func (c *cluster) tainted(ctx context.Context, name string) (string, error) {
	node, err := c.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", told(err, "reading node "+name)
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeUnschedulable && node.Spec.Unschedulable {
			return fmt.Sprintf("node %s is unschedulable since its taint of %s", name, taint.Key), nil
		}
	}
	return "", nil
}

// Rights are to read and change the node, and to see the others.
func (*FaultCordon) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editedRights(target)
}
