package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("node_stop", "Stop a node by a command, as a power failure does (labs)", func() chaos.Fault {
		return &FaultNodeStop{Spare: Spare{Nodes: 1}}
	}, kindNode)
}

// FaultNodeStop stops a node by a command of whoever runs the machines: a lab, or the console of a cloud. The commands run on
// the machine that Jenner runs on, in the folder of the file that declares the target, without a shell. Its undo is kept in
// the undo journal only: no annotation could name a command without anybody who writes one being able to run commands here.
//
// It needs the rights to get and list nodes, and to get the node's lease in kube-node-lease.
type FaultNodeStop struct {
	Spare
	// Stop is the program and the arguments that stop the node: [kubelab, node, stop, node2].
	Stop []string `json:"stop"`
	// Start is likewise what starts it. It may fail where the node runs already.
	Start []string `json:"start"`
}

// Validate checks that there are commands.
func (f *FaultNodeStop) Validate() error {
	if len(f.Stop) == 0 || len(f.Start) == 0 {
		return errors.New("stop and start are both needed: the commands that stop and start the node, as lists of words")
	}
	return f.Spare.Validate()
}

// BitesWithin is how long a control plane may take to notice.
func (f *FaultNodeStop) BitesWithin() time.Duration { return 2 * time.Minute }

// Checkpoint refuses a node that is not ready, commands that are not there, and where too few other nodes would be left.
func (f *FaultNodeStop) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	for _, command := range [][]string{f.Stop, f.Start} {
		if _, err := exec.LookPath(command[0]); err != nil {
			return nil, jenner.Permanent(err, "install it, or write its path")
		}
	}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		why, err := c.unready(ctx, t.Object)
		if err == nil && why != "" {
			err = jenner.Permanent(errors.New(why), "")
		}
		if err == nil {
			err = c.spares(ctx, t.Object, f.Spare)
		}
		if err == nil {
			_, err = c.heartbeat(ctx, t.Object)
		}
		raw = jenner.Raw(map[string]string{"node": t.Object})
		return err
	})
	return raw, err
}

// unready says why a node is not ready, as the control plane sees it; nothing where it is.
func (c *cluster) unready(ctx context.Context, name string) (string, error) {
	node, err := c.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", told(err, "reading node "+name)
	}
	if nodeReady(node) {
		return "", nil
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return fmt.Sprintf("node %s is not ready (%s: %s)", name, condition.Reason, condition.Message), nil
		}
	}
	return fmt.Sprintf("node %s is not ready", name), nil
}

// heartbeat names the last sign of life of a node's kubelet.
func (c *cluster) heartbeat(ctx context.Context, name string) (string, error) {
	lease, err := c.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", told(err, "reading the lease of node "+name)
	}
	return lease.ResourceVersion, nil
}

// Inject stops the node. It returns with the command; what the cluster makes of it comes later.
func (f *FaultNodeStop) Inject(ctx context.Context, call chaos.Call) error {
	if _, err := checkpointed[map[string]string](call); err != nil {
		return err
	}
	return command(ctx, call.Record.Target, f.Stop)
}

// command runs a command in the folder of a target.
func command(ctx context.Context, target jenner.Target, words []string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = target.Dir, &said, &said
	cmd.WaitDelay = time.Second // a child of its own may keep the pipes open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}

// Bite sees whether the control plane has noticed.
func (f *FaultNodeStop) Bite(ctx context.Context, call chaos.Call) (witness chaos.Witness, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		why, err := c.unready(ctx, t.Object)
		witness = chaos.Witness{Bit: why != "", Saw: why}
		if why == "" {
			witness.Saw = "node " + t.Object + " is ready"
		}
		return err
	})
	return witness, err
}

// Armed tells whether the node is not ready.
func (f *FaultNodeStop) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	witness, err := f.Bite(ctx, call)
	return witness.Bit, err
}

// nodePatience is how long a node may take to be ready again.
const nodePatience = 2 * time.Minute

// startAgain is after how long a start that failed is tried again: machines refuse to start while they still stop.
const startAgain = 2 * time.Second

// Undo starts the node, again and again until its kubelet gives a sign of life, and waits until it is ready. A start that
// fails, of a node that lives, is one of a node that ran already.
func (f *FaultNodeStop) Undo(ctx context.Context, call chaos.Call) error {
	t, c, err := reach(call.Record.Target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	started, tried := command(ctx, call.Record.Target, f.Start), time.Now()
	last, err := c.heartbeat(ctx, t.Object)
	if err != nil {
		return errors.Join(started, err)
	}
	err = c.until(ctx, func() (string, error) {
		now, err := c.heartbeat(ctx, t.Object)
		if err == nil && now == last {
			if started != nil && time.Since(tried) > startAgain {
				started, tried = command(ctx, call.Record.Target, f.Start), time.Now()
			}
			return "node " + t.Object + " gives no sign of life", nil
		}
		if err != nil {
			return "", err
		}
		return c.unready(ctx, t.Object)
	})
	if err != nil {
		return errors.Join(started, err)
	}
	return nil
}

// Fingerprint tells whether the node is ready.
func (f *FaultNodeStop) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	armed, err := f.Armed(ctx, call)
	if armed {
		return "not ready", err
	}
	return "ready", err
}

// Rights are to read the node and its lease, and to see the others.
func (*FaultNodeStop) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	lease := t.right("get", "coordination.k8s.io", "leases")
	lease.Namespace, lease.Clusterwide, lease.Name = corev1.NamespaceNodeLease, false, t.Object
	return append(t.rights("get", "list"), lease), nil
}
