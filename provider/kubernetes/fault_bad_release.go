package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("bad_release", "Release something that starts and becomes ready, and does its work badly", func() chaos.Fault {
		return &FaultBadRelease{}
	}, workloadKinds...)
}

// FaultBadRelease rolls out another image, or other variables of the environment, as a release does. Its pods start and
// become ready; what is bad about them shows only in what they answer. The pods that serve go as the workload's own
// strategy for updates has it, or at once where AtOnce is set. It needs the right to patch the workload.
type FaultBadRelease struct {
	edited
	Release
	// Image is the image of the release; the present one where not said.
	Image string `json:"image,omitempty"`
	// Env are variables of the environment that make the program bad: FAIL_RATE: "0.3".
	Env map[string]string `json:"env,omitempty"`
}

// Validate checks that it says what is released.
func (f *FaultBadRelease) Validate() error {
	if f.Image == "" && len(f.Env) == 0 {
		return errors.New("write the image or the env of the release")
	}
	for name := range f.Env {
		if said := validation.IsEnvVarName(name); len(said) > 0 {
			return fmt.Errorf("env: %q is no name of a variable: %s", name, said[0])
		}
	}
	return f.Release.Validate()
}

// Checkpoint keeps what is changed. It refuses a container that is not there and a workload with more pods than the cap.
func (f *FaultBadRelease) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return altering(ctx, call, f.MaxPods, func(t *Target, w workload) ([]delta, error) {
		container, err := f.container(w)
		if err != nil {
			return nil, err
		}
		changes, err := variables(pathOf(container), f.Env)
		if err != nil {
			return nil, err
		}
		if f.Image != "" {
			image, err := setting(f.Image, append(pathOf(container), "image")...)
			if err != nil {
				return nil, err
			}
			changes = append(changes, image)
		}
		return f.with(t, changes...)
	})
}

// variables sets variables of a container's environment.
func variables(container []string, env map[string]string) (changes []delta, err error) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		variable, err := setting(corev1.EnvVar{Name: name, Value: env[name]}, append(slices.Clone(container), "env", "name="+name)...)
		if err != nil {
			return nil, err
		}
		changes = append(changes, variable)
	}
	return changes, nil
}

// BitesWithin is how long it may take until a pod of the release serves.
func (*FaultBadRelease) BitesWithin() time.Duration { return 2 * time.Minute }

// Bite sees whether a pod of the release serves.
func (f *FaultBadRelease) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, _ altered) (string, error) {
		pods, err := c.pods(ctx, t)
		if err != nil {
			return "", err
		}
		for _, pod := range pods {
			if podReady(&pod) && f.released(pod) {
				return fmt.Sprintf("pod %s of the release serves", pod.Name), nil
			}
		}
		return "", nil
	})
}

// released tells whether a pod is of the release.
func (f *FaultBadRelease) released(pod corev1.Pod) bool {
	for _, container := range pod.Spec.Containers {
		if f.Container != "" && container.Name != f.Container {
			continue
		}
		has := func(name string) bool {
			return slices.Contains(container.Env, corev1.EnvVar{Name: name, Value: f.Env[name]})
		}
		missing := slices.ContainsFunc(slices.Collect(maps.Keys(f.Env)), func(name string) bool { return !has(name) })
		if !missing && (f.Image == "" || container.Image == f.Image) {
			return true
		}
	}
	return false
}

// Rights are to read and change the workload, to read its pods, and to find what a fault has left on it and on copies of it.
func (*FaultBadRelease) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return alteringRights(target)
}
