package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/jenner-heal/jenner"
)

// Guest is an ephemeral container that a fault puts into a running pod, to do something there with Jenner's own program.
// Kubernetes never takes such a container out of a pod again: what has ended stays written down in the pod, as a name and an
// exit code, until the pod is deleted. It needs the rights to get pods and to update pods/ephemeralcontainers.
type Guest struct {
	// Image is an image that holds Jenner's program. It is pulled where the node does not have it, and that counts against
	// the fault's lease.
	Image string `json:"image"`
	// Program is where in the image the program is; /jenner where not said.
	Program string `json:"program,omitempty"`
}

// Validate checks that there is an image.
func (g *Guest) Validate() error {
	if g.Image == "" {
		return errors.New("image is missing; name one that holds Jenner's program, such as Jenner's own")
	}
	return nil
}

// container is the guest of a fault, which runs the program's command inside with these arguments.
func (g *Guest) container(id string, args ...string) corev1.EphemeralContainer {
	program := g.Program
	if program == "" {
		program = "/jenner"
	}
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: guestName(id), Image: g.Image,
		ImagePullPolicy: corev1.PullIfNotPresent, Command: append([]string{program, "inside"}, args...),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError}}
}

// guestName is the name of a fault's container.
func guestName(id string) string { return "jenner-" + jenner.Fingerprint(id) }

// lodge puts a guest into a pod. One that is there already stays as it is.
func (c *cluster) lodge(ctx context.Context, v victim, guest corev1.EphemeralContainer, dryRun ...string) error {
	return retry.RetryOnConflict(meanwhile, func() error {
		pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if pod.UID != v.UID {
			return apierrors.NewNotFound(corev1.Resource("pods"), v.Name)
		}
		if slices.ContainsFunc(pod.Spec.EphemeralContainers, func(e corev1.EphemeralContainer) bool { return e.Name == guest.Name }) {
			return nil
		}
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, guest)
		_, err = c.CoreV1().Pods(v.Namespace).UpdateEphemeralContainers(ctx, v.Name, pod, metav1.UpdateOptions{FieldManager: faultManager, DryRun: dryRun})
		return err
	})
}

// stay is how a guest fares.
type stay struct {
	Running bool
	Ended   *corev1.ContainerStateTerminated
	Waits   string // for what
}

// guest is how the guest of a fault fares in a pod. Where the pod, or the guest, is not there, nothing is set.
func (c *cluster) guest(ctx context.Context, v victim, name string) (stay, error) {
	pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && pod.UID != v.UID {
		return stay{}, nil
	}
	if err != nil {
		return stay{}, told(err, "reading pod "+v.String())
	}
	if !slices.ContainsFunc(pod.Spec.EphemeralContainers, func(e corev1.EphemeralContainer) bool { return e.Name == name }) {
		return stay{}, nil
	}
	for _, status := range pod.Status.EphemeralContainerStatuses {
		if status.Name != name {
			continue
		}
		s := stay{Running: status.State.Running != nil, Ended: status.State.Terminated}
		if waits := status.State.Waiting; waits != nil {
			s.Waits = waits.Reason
			if waits.Message != "" {
				s.Waits += ": " + waits.Message
			}
		}
		return s, nil
	}
	return stay{Waits: "nobody has seen it yet"}, nil
}

// hopeless are the reasons for which a container will not start.
var hopeless = append([]string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}, pullErrors...)

// failed says why a guest cannot do its work; nothing where it may.
func (s stay) failed() string {
	if s.Ended != nil && s.Ended.ExitCode != 0 {
		return fmt.Sprintf("its container ended with exit code %d (%s): %s", s.Ended.ExitCode, s.Ended.Reason, strings.TrimSpace(s.Ended.Message))
	}
	if reason, _, _ := strings.Cut(s.Waits, ":"); slices.Contains(hopeless, reason) {
		return "its container cannot start: " + s.Waits
	}
	return ""
}

// welcome waits until the guest runs, or has run, in a pod.
func (c *cluster) welcome(ctx context.Context, v victim, name string) error {
	return c.until(ctx, func() (string, error) {
		s, err := c.guest(ctx, v, name)
		switch {
		case err != nil:
			return "", err
		case s == stay{}:
			return "", jenner.Permanent(fmt.Errorf("pod %s is gone", v), "")
		case s.failed() != "":
			return "", jenner.Permanent(fmt.Errorf("pod %s: %s", v, s.failed()), "see the fault's image and program, and what the namespace allows")
		case s.Running || s.Ended != nil:
			return "", nil
		}
		return fmt.Sprintf("the container in pod %s waits: %s", v, s.Waits), nil
	})
}
