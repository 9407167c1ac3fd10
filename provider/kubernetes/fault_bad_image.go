package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("bad_image", "Set an image that cannot be pulled, as a bad release does", func() chaos.Fault {
		return &FaultBadImage{Image: "jenner.invalid/no-such-image:fault"}
	}, workloadKinds...)
}

// FaultBadImage sets the image of a container to one that cannot be pulled. New pods never start; those that serve go as
// the workload's own strategy for updates has it, or at once where AtOnce is set. It needs the right to patch the workload.
type FaultBadImage struct {
	edited
	Release
	// Image is the image; one of a registry that does not exist where not said.
	Image string `json:"image,omitempty"`
}

// BitesWithin is how long it may take until a new pod has asked for the image.
func (*FaultBadImage) BitesWithin() time.Duration { return 2 * time.Minute }

// Checkpoint keeps the image. It refuses a container that is not there and a workload with more pods than the cap.
func (f *FaultBadImage) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return altering(ctx, call, f.MaxPods, func(t *Target, w workload) ([]delta, error) {
		container, err := f.container(w)
		if err != nil {
			return nil, err
		}
		image, err := setting(f.Image, append(pathOf(container), "image")...)
		if err != nil {
			return nil, err
		}
		return f.with(t, image)
	})
}

// pullErrors are the reasons for which a container waits whose image is not to be had.
var pullErrors = []string{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}

// Bite sees whether a pod waits for the image.
func (f *FaultBadImage) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, _ altered) (string, error) {
		return c.statusOf(ctx, t, func(status corev1.ContainerStatus) string {
			if waits := status.State.Waiting; waits != nil && status.Image == f.Image && slices.Contains(pullErrors, waits.Reason) {
				return fmt.Sprintf("container %s waits for image %s: %s", status.Name, f.Image, waits.Reason)
			}
			return ""
		})
	})
}

// statusOf looks at the containers of a target's pods until see says something of one.
func (c *cluster) statusOf(ctx context.Context, t *Target, see func(corev1.ContainerStatus) string) (string, error) {
	pods, err := c.pods(ctx, t)
	if err != nil {
		return "", err
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if saw := see(status); saw != "" {
				return fmt.Sprintf("pod %s: %s", pod.Name, saw), nil
			}
		}
	}
	return "", nil
}

// Rights are to read and change the workload, to read its pods, and to find what a fault has left on it and on copies of it.
func (*FaultBadImage) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return alteringRights(target)
}
