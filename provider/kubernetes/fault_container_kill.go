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

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("container_kill", "Kill the main process of a container with SIGKILL, and leave its pod", func() chaos.Fault {
		return &FaultContainerKill{}
	}, podKinds...)
}

// FaultContainerKill kills the main process of one container in each of the pods; the kubelet starts the container again in
// the same pod. A guest in the container's own process namespace does it, as root with CAP_SYS_PTRACE: the kernel lets nobody
// in a namespace send SIGKILL to its first process, but kills it where who traces it ends. Namespaces that enforce the
// baseline or the restricted pod security standard do not let such a container in; the API server says so before anything is
// done. The container needs no shell. The undo waits until as many pods serve as before; a pod that cannot, since its
// container does not start again on what it left, is deleted, and its controller makes another.
type FaultContainerKill struct {
	struck
	Victims
	Guest
	// Container is the container; the only one of the pod where not said.
	Container string `json:"container,omitempty"`
}

// shot is the checkpoint.
type shot struct {
	hit
	Container string            `json:"container"`
	Ran       map[string]string `json:"ran"` // the ID of the running container, by pod
}

// Validate checks the parameters.
func (f *FaultContainerKill) Validate() error {
	if err := f.Victims.Validate(); err != nil {
		return err
	}
	return f.Guest.Validate()
}

// Checkpoint chooses the pods. It refuses what FaultKill refuses, a container that is not there or does not run, and pods
// whose containers share their process namespace with one another or with the node: there the first process is another one.
func (f *FaultContainerKill) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		pods, err := c.choose(ctx, t, f.Victims, call.Record.ID)
		if err != nil {
			return err
		}
		kept := shot{Ran: map[string]string{}}
		if kept.Crews, err = c.crews(ctx, pods); err != nil {
			return err
		}
		for i := range pods {
			v := victimOf(&pods[i])
			status, err := f.status(&pods[i])
			if err != nil {
				return jenner.Permanent(fmt.Errorf("pod %s: %w", v, err), "")
			}
			kept.Victims, kept.Container, kept.Ran[v.Name] = append(kept.Victims, v), status.Name, status.ContainerID
			if err := c.lodge(ctx, v, f.guestFor(call, status.Name), metav1.DryRunAll); err != nil {
				return told(err, "trying to put a container into pod "+v.String())
			}
			if err := c.CoreV1().Pods(v.Namespace).Delete(ctx, v.Name, *deletion(v.UID, 0, metav1.DryRunAll)); err != nil {
				return told(err, "trying to delete pod "+v.String()+", as the undo may have to")
			}
		}
		raw = jenner.Raw(kept)
		return nil
	})
	return raw, err
}

// status is that of the container that is meant.
func (f *FaultContainerKill) status(pod *corev1.Pod) (corev1.ContainerStatus, error) {
	if pod.Spec.HostPID || pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace {
		return corev1.ContainerStatus{}, errors.New("its containers do not have a process namespace of their own")
	}
	names := make([]string, len(pod.Spec.Containers))
	for i, container := range pod.Spec.Containers {
		names[i] = container.Name
	}
	name := f.Container
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == name && status.State.Running != nil {
			return status, nil
		}
	}
	if slices.Contains(names, name) {
		return corev1.ContainerStatus{}, fmt.Errorf("container %s does not run", name)
	}
	return corev1.ContainerStatus{}, fmt.Errorf("container %q is none of its containers; they are %s", f.Container, strings.Join(names, ", "))
}

func (f *FaultContainerKill) guestFor(call chaos.Call, container string) corev1.EphemeralContainer {
	guest := f.container(call.Record.ID, "kill")
	root, notRoot := int64(0), false
	guest.TargetContainerName = container
	guest.SecurityContext = &corev1.SecurityContext{RunAsUser: &root, RunAsNonRoot: &notRoot,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"SYS_PTRACE"}}}
	return guest
}

// Inject puts a guest into each pod and returns when the containers are down, or up again.
func (f *FaultContainerKill) Inject(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[shot](call)
	if err != nil {
		return err
	}
	err = strike(ctx, call, func(ctx context.Context, c *cluster, v victim) error {
		return c.lodge(ctx, v, f.guestFor(call, kept.Container))
	})
	if err != nil {
		return err
	}
	return strike(ctx, call, func(ctx context.Context, c *cluster, v victim) error {
		return c.until(ctx, func() (string, error) {
			saw, err := c.down(ctx, kept, v)
			if err != nil || saw != "" {
				return "", err
			}
			s, err := c.guest(ctx, v, guestName(call.Record.ID))
			if err == nil && s.failed() != "" {
				err = jenner.Permanent(fmt.Errorf("pod %s: %s", v, s.failed()), "see the fault's image and program")
			}
			return fmt.Sprintf("container %s of pod %s still runs", kept.Container, v), err
		})
	})
}

// down says how the container that ran in a pod at the checkpoint ended; nothing while it runs.
func (c *cluster) down(ctx context.Context, kept shot, v victim) (string, error) {
	pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
	if gone(err) || err == nil && pod.UID != v.UID {
		return fmt.Sprintf("pod %s is gone", v), nil
	}
	if err != nil {
		return "", told(err, "reading pod "+v.String())
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != kept.Container {
			continue
		}
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if ended := state.Terminated; ended != nil && ended.ContainerID == kept.Ran[v.Name] {
				return fmt.Sprintf("container %s of pod %s ended with exit code %d", status.Name, v, ended.ExitCode), nil
			}
		}
		if status.State.Running != nil && status.ContainerID != kept.Ran[v.Name] {
			return fmt.Sprintf("container %s of pod %s is another one", status.Name, v), nil
		}
	}
	return "", nil
}

// Bite sees how the containers ended.
func (f *FaultContainerKill) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	kept, err := checkpointed[shot](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	var saws []string
	witness := chaos.Witness{Bit: len(kept.Victims) > 0}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, v := range kept.Victims {
			saw, err := c.down(ctx, kept, v)
			if err != nil {
				return err
			}
			if saw == "" {
				witness.Bit, saw = false, fmt.Sprintf("container %s of pod %s runs on", kept.Container, v)
			}
			saws = append(saws, saw)
		}
		return nil
	})
	witness.Saw = strings.Join(saws, "; ")
	return witness, err
}

// startsAgain is how long the undo lets a killed container start by itself.
const startsAgain = 5 * time.Second

// Undo waits until as many pods serve as before, and has those replaced that do not start again.
func (f *FaultContainerKill) Undo(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[shot](call)
	if err != nil {
		return err
	}
	byItself, cancel := context.WithTimeout(ctx, startsAgain)
	err = f.struck.Undo(byItself, call)
	cancel()
	if err == nil || byItself.Err() == nil || ctx.Err() != nil {
		return err
	}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, v := range kept.Victims {
			if err := c.replaced(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.struck.Undo(ctx, call)
}

// replaced deletes a pod that does not serve.
func (c *cluster) replaced(ctx context.Context, v victim) error {
	pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
	if err == nil && (pod.UID != v.UID || podReady(pod)) || apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = c.CoreV1().Pods(v.Namespace).Delete(ctx, v.Name, *deletion(v.UID, 0))
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return told(err, "deleting pod "+v.String()+", which does not start again")
}

// Rights are to read pods, put a container into them and delete them, and to read who keeps them alive.
func (*FaultContainerKill) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	list, err := struckRights(target, "update", "pods/ephemeralcontainers")
	if err != nil {
		return nil, err
	}
	t, err := decode(target)
	return append(list, t.podRight("delete", "pods")), err
}
