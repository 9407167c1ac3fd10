package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("set_image", "Give containers of a workload another image", func() act.Action { return newSetImage() }, workloadKinds...)
}

// SetImage sets the images of containers, init containers too, and the workload replaces its pods. The undo sets the
// images as they were. The unit of its blast radius is pods, those that are away at one time.
type SetImage struct {
	undoableEdit
	// Images are the images by the names of the containers: `{app: registry/shop:1.4.2}`.
	Images map[string]string `json:"images"`
	// Wait is how long the rollout may take; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

func newSetImage() *SetImage {
	s := &SetImage{}
	s.draft = func(_ context.Context, on *site) (string, error) {
		r, err := on.rolls()
		if err != nil {
			return "", err
		}
		var said []string
		for _, name := range slices.Sorted(maps.Keys(s.Images)) {
			at, known := containerSlot(r.Template.Spec, name)
			if !known {
				return "", jenner.Permanent(fmt.Errorf("it has no container %q", name), "it has "+strings.Join(containersOf(r.Template.Spec), ", "))
			}
			at = append(at, "image")
			said = append(said, fmt.Sprintf("%s %v → %s", name, at.read(on.live.Object), s.Images[name]))
			if err := at.write(on.want.Object, s.Images[name]); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%s: %s", on.target, strings.Join(said, ", ")), nil
	}
	return s
}

// containerSlot is where a container stands in a workload.
func containerSlot(spec corev1.PodSpec, name string) (slot, bool) {
	is := func(container corev1.Container) bool { return container.Name == name }
	switch {
	case slices.ContainsFunc(spec.Containers, is):
		return slot{"spec", "template", "spec", "containers", "[" + name + "]"}, true
	case slices.ContainsFunc(spec.InitContainers, is):
		return slot{"spec", "template", "spec", "initContainers", "[" + name + "]"}, true
	}
	return nil, false
}

func containersOf(spec corev1.PodSpec) []string {
	var names []string
	for _, container := range slices.Concat(spec.Containers, spec.InitContainers) {
		names = append(names, container.Name)
	}
	return names
}

// Validate checks the parameters.
func (s *SetImage) Validate() error {
	if len(s.Images) == 0 {
		return errors.New("images is missing; write the image by the name of the container")
	}
	for name, image := range s.Images {
		if image == "" || strings.ContainsAny(image, " \t\n") {
			return fmt.Errorf("images: %q of container %s is no image", image, name)
		}
	}
	return nil
}

// Size is how many pods are away at one time.
func (*SetImage) Size(ctx context.Context, call act.Call) (act.Size, error) {
	return rolling(ctx, call)
}

// Do sets the images.
func (s *SetImage) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := s.edit.Do(ctx, call)
	if err != nil {
		return result, err
	}
	return settled(ctx, call, result, s.Wait)
}

// Rights are to read and change the workload, and for a wait to read its pods.
func (s *SetImage) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return templateRights(target, s.Wait)
}
