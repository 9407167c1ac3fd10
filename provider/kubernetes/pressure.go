package kubernetes

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// pressed are the methods that faults share which let a guest load a pod as long as a process holds the fault. The guest
// hears its holder through the API server, and ends when it is told to and when it hears nothing any more, whoever died.
type pressed struct{ chaos.HeldElsewhere }

// load is their checkpoint.
type load struct {
	Victims []victim `json:"victims"`
}

// heard is what the holder reports: what the guest in each pod said last, by pod.
type heard map[string]json.RawMessage

// burden is what a guest is to do.
type burden struct {
	Victims
	Guest
	fault  string        // of Jenner, for the machine: host.cpu
	params jenner.Params // its parameters
}

func (b burden) container(id string) corev1.EphemeralContainer {
	guest := b.Guest.container(id, "hold", b.fault, string(jenner.Raw(b.params)))
	guest.Stdin, guest.StdinOnce = true, true
	return guest
}

// checkpoint chooses the pods, and lets the API server try to put a guest into each.
func (b burden) checkpoint(ctx context.Context, call chaos.Call, check func(*corev1.Pod, *corev1.Node) error) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		pods, err := c.choose(ctx, t, b.Victims, call.Record.ID)
		if err != nil {
			return err
		}
		var kept load
		for i := range pods {
			v := victimOf(&pods[i])
			node, err := c.CoreV1().Nodes().Get(ctx, v.Node, metav1.GetOptions{})
			if err != nil {
				return told(err, "reading node "+v.Node)
			}
			if err := check(&pods[i], node); err != nil {
				return jenner.Permanent(fmt.Errorf("pod %s: %w", v, err), "")
			}
			if err := c.lodge(ctx, v, b.container(call.Record.ID), metav1.DryRunAll); err != nil {
				return told(err, "trying to put a container into pod "+v.String())
			}
			kept.Victims = append(kept.Victims, v)
		}
		raw = jenner.Raw(kept)
		return nil
	})
	return raw, err
}

// hold puts the guests into the pods and keeps them until ctx ends.
func (b burden) hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	kept, err := checkpointed[load](call)
	if err != nil {
		return err
	}
	_, c, err := reach(call.Record.Target)
	if err != nil {
		return err
	}
	for _, v := range kept.Victims {
		if err := c.lodge(ctx, v, b.container(call.Record.ID)); err != nil {
			return told(err, "putting a container into pod "+v.String())
		}
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	told := teller{said: heard{}, of: len(kept.Victims), tell: tell}
	var holding sync.WaitGroup
	for _, v := range kept.Victims {
		holding.Go(func() {
			if err := c.keep(ctx, v, guestName(call.Record.ID), func(line []byte) { told.hear(v.Name, line) }); err != nil && ctx.Err() == nil {
				end(err)
			}
		})
	}
	holding.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, chaos.ErrHoldEnded) {
		return cause
	}
	return nil
}

// teller gathers what the guests say, and tells it once all of them have said something.
type teller struct {
	mu   sync.Mutex
	said heard
	of   int
	tell func(any)
}

func (t *teller) hear(pod string, line []byte) {
	if !json.Valid(line) {
		return // of the program's own log
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said[pod] = slices.Clone(line)
	if len(t.said) == t.of {
		t.tell(maps.Clone(t.said))
	}
}

// keep waits for a guest and talks with it until ctx ends; then it lets the guest end and waits for that.
func (c *cluster) keep(ctx context.Context, v victim, name string, hear func([]byte)) error {
	if err := c.welcome(ctx, v, name); err != nil {
		return err
	}
	talk, hang := context.WithCancel(context.WithoutCancel(ctx))
	defer hang()
	ours, theirs := io.Pipe()
	said, says := io.Pipe()
	go beat(ctx, theirs)
	ended := make(chan error, 1)
	go func() {
		err := c.attach(talk, v, name, ours, says)
		says.Close()
		ended <- err
	}()
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			hear(lines.Bytes())
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("pod %s: %s", v, c.parting(ctx, v, name)), err)
	case <-ctx.Done():
	}
	select {
	case <-ended:
	case <-time.After(hangUp):
	}
	return nil
}

// parting is why a guest has ended, as far as the cluster says so within a moment.
func (c *cluster) parting(ctx context.Context, v victim, name string) string {
	ctx, cancel := context.WithTimeout(ctx, hangUp)
	defer cancel()
	why := ""
	_ = c.until(ctx, func() (string, error) {
		s, err := c.guest(ctx, v, name)
		why = s.failed()
		if s.Running {
			return "its container runs", err
		}
		return "", err
	})
	return cmp.Or(why, "its container ended")
}

// hangUp is how long a guest that was told to end may take before its holder goes without it. It hears of the end in other
// ways too.
const hangUp = 3 * time.Second

// beat says again and again that the holder lives, until ctx ends.
func beat(ctx context.Context, guest *io.PipeWriter) {
	defer guest.Close()
	ticker := time.NewTicker(guestBeat)
	defer ticker.Stop()
	for {
		if _, err := guest.Write([]byte{'\n'}); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// attach connects to the standard input and output of a container until one of them ends.
func (c *cluster) attach(ctx context.Context, v victim, container string, in io.Reader, out io.Writer) error {
	request := c.CoreV1().RESTClient().Post().Resource("pods").Namespace(v.Namespace).Name(v.Name).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: container, Stdin: true, Stdout: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, request.URL())
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out})
}

// Armed tells whether a guest runs in one of the pods.
func (pressed) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	kept, err := checkpointed[load](call)
	if err != nil {
		return false, err
	}
	still := ""
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		still, err = c.guests(ctx, kept, call.Record.ID)
		return err
	})
	return still != "", err
}

// guests says which guest runs, or may still begin to.
func (c *cluster) guests(ctx context.Context, kept load, id string) (string, error) {
	for _, v := range kept.Victims {
		s, err := c.guest(ctx, v, guestName(id))
		if err != nil {
			return "", err
		}
		if s.Running {
			return fmt.Sprintf("the container %s in pod %s runs", guestName(id), v), nil
		}
	}
	return "", nil
}

// Undo waits until the guests have ended, which they do by themselves when nobody holds the fault any more.
func (pressed) Undo(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[load](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		return c.until(ctx, func() (string, error) { return c.guests(ctx, kept, call.Record.ID) })
	})
}

// Fingerprint tells whether a guest runs in one of the pods.
func (pressed) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	kept, err := checkpointed[load](call)
	if err != nil {
		return "", err
	}
	still := ""
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		still, err = c.guests(ctx, kept, call.Record.ID)
		return err
	})
	if still == "" {
		still = "no guest"
	}
	return still, err
}

// pressedBite is a witness by what the guests said: see reads one of them.
func pressedBite[T any](call chaos.Call, see func(T) (bool, string)) (chaos.Witness, error) {
	said := heard{}
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &said); err != nil {
			return chaos.Witness{}, fmt.Errorf("the report of the process that holds the fault cannot be read: %w", err)
		}
	}
	witness := chaos.Witness{Bit: len(said) > 0}
	var saws []string
	for _, pod := range slices.Sorted(maps.Keys(said)) {
		var one T
		if err := json.Unmarshal(said[pod], &one); err != nil {
			return chaos.Witness{}, fmt.Errorf("what the guest in pod %s said cannot be read: %w", pod, err)
		}
		bit, saw := see(one)
		witness.Bit = witness.Bit && bit
		saws = append(saws, "pod "+pod+": "+saw)
	}
	witness.Saw = strings.Join(saws, "; ")
	return witness, nil
}
