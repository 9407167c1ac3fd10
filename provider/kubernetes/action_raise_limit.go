package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("raise_limit", "Give a container more memory or CPU, up to a ceiling", func() act.Action { return newRaiseLimit() }, workloadKinds...)
}

// RaiseLimit raises the memory or CPU limit of a container by a factor or by a step, never beyond the ceiling, and the
// workload replaces its pods. Each raise is written down in the annotation jenner.dev/raised of the workload; when there
// were as many as times within a while, it refuses: whoever needs more again and again leaks. The undo sets the limit and
// the annotation as they were. The unit of its blast radius is pods, those that are away at one time.
type RaiseLimit struct {
	undoableEdit
	// Container is the container's name; where not said, the only one that there is.
	Container string `json:"container,omitempty"`
	// Resource is memory or cpu; memory where not said.
	Resource string `json:"resource,omitempty"`
	// Factor is what the limit is multiplied by, such as 1.5; one of factor and step is needed.
	Factor jenner.Number `json:"factor,omitempty"`
	// Step is what is added to the limit, such as 128Mi or 500m.
	Step string `json:"step,omitempty"`
	// Ceiling is what the limit never goes beyond, such as 1Gi.
	Ceiling string `json:"ceiling"`
	// Times is how many raises there may be, as far back as within says; 2 where not said.
	Times int `json:"times,omitempty"`
	// Within is how far back raises count; 7d where not said.
	Within jenner.Duration `json:"within,omitempty"`
	// Wait is how long the rollout may take; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

// raisedNote is the annotation that holds the raises.
const raisedNote = "jenner.dev/raised"

// raisedMost is how many raises the annotation remembers.
const raisedMost = 20

// raise is one entry of the annotation.
type raise struct {
	Container string    `json:"container"`
	Resource  string    `json:"resource"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	At        time.Time `json:"at"`
}

func newRaiseLimit() *RaiseLimit {
	r := &RaiseLimit{Resource: string(corev1.ResourceMemory), Times: 2, Within: jenner.Duration(7 * 24 * time.Hour)}
	r.draft = r.drafting
	return r
}

// Validate checks the parameters.
func (r *RaiseLimit) Validate() error {
	if r.Resource != string(corev1.ResourceMemory) && r.Resource != string(corev1.ResourceCPU) {
		return fmt.Errorf("resource is %q; write memory or cpu", r.Resource)
	}
	switch {
	case (r.Factor == 0) == (r.Step == ""):
		return errors.New("write factor or step, and not both")
	case r.Step == "" && r.Factor <= 1:
		return fmt.Errorf("factor is %v; write more than 1", float64(r.Factor))
	case r.Times < 1:
		return fmt.Errorf("times is %d; write 1 or more", r.Times)
	}
	for name, text := range map[string]string{"ceiling": r.Ceiling, "step": r.Step} {
		if name == "step" && text == "" {
			continue
		}
		if quantity, err := resource.ParseQuantity(text); err != nil || quantity.Sign() <= 0 {
			return fmt.Errorf("%s %q is no amount; write it like 512Mi or 500m", name, text)
		}
	}
	return nil
}

func (r *RaiseLimit) drafting(_ context.Context, on *site) (string, error) {
	rollout, err := on.rolls()
	if err != nil {
		return "", err
	}
	container, at, err := r.container(rollout.Template.Spec)
	if err != nil {
		return "", err
	}
	limit, has := container.Resources.Limits[corev1.ResourceName(r.Resource)]
	if !has {
		return "", jenner.Permanent(fmt.Errorf("container %s has no limit of %s", container.Name, r.Resource), "")
	}
	ceiling := resource.MustParse(r.Ceiling)
	if limit.Cmp(ceiling) >= 0 {
		return "", jenner.Permanent(fmt.Errorf("container %s has %s of %s, and the ceiling is %s", container.Name, limit.String(), r.Resource, r.Ceiling),
			"find out what it needs that for")
	}
	raises, err := raisesOf(on.live.GetAnnotations()[raisedNote])
	if err != nil {
		return "", err
	}
	if err := r.mayAgain(raises, container.Name, time.Now()); err != nil {
		return "", err
	}
	to := r.raised(limit, ceiling)
	raises = append(raises, raise{container.Name, r.Resource, limit.String(), to.String(), time.Now().UTC().Truncate(time.Second)})
	raises = raises[max(0, len(raises)-raisedMost):]
	if err := (slot{"metadata", "annotations", raisedNote}).write(on.want.Object, string(jenner.Raw(raises))); err != nil {
		return "", err
	}
	says := fmt.Sprintf("%s: %s of %s %s → %s (at most %s)", on.target, r.Resource, container.Name, limit.String(), to.String(), r.Ceiling)
	return says, append(at, "resources", "limits", r.Resource).write(on.want.Object, to.String())
}

// container is the one that is meant, and where it stands.
func (r *RaiseLimit) container(spec corev1.PodSpec) (corev1.Container, slot, error) {
	names := containersOf(spec)
	name := r.Container
	if name == "" && len(spec.Containers) == 1 {
		name = spec.Containers[0].Name
	}
	for _, container := range append(spec.Containers, spec.InitContainers...) {
		if container.Name == name {
			at, _ := containerSlot(spec, name)
			return container, at, nil
		}
	}
	return corev1.Container{}, nil, jenner.Permanent(fmt.Errorf("which container is meant? it has %s", strings.Join(names, ", ")), "write container")
}

// raised is the limit after the raise. Memory is whole MiB, CPU whole thousandths, rounded up.
func (r *RaiseLimit) raised(limit, ceiling resource.Quantity) resource.Quantity {
	to := limit.DeepCopy()
	switch {
	case r.Step != "":
		to.Add(resource.MustParse(r.Step))
	case r.Resource == string(corev1.ResourceCPU):
		to = *resource.NewMilliQuantity(int64(float64(limit.MilliValue())*float64(r.Factor)+0.999), resource.DecimalSI)
	default:
		const mebi = 1 << 20
		whole := (int64(float64(limit.Value())*float64(r.Factor)) + mebi - 1) / mebi
		to = *resource.NewQuantity(whole*mebi, resource.BinarySI)
	}
	if to.Cmp(ceiling) > 0 {
		return ceiling
	}
	return to
}

// mayAgain refuses where there were enough raises lately.
func (r *RaiseLimit) mayAgain(raises []raise, container string, now time.Time) error {
	count := 0
	var first raise
	for _, one := range raises {
		if one.Container == container && one.Resource == r.Resource && now.Sub(one.At) < r.Within.Or(7*24*time.Hour) {
			if count == 0 {
				first = one
			}
			count++
		}
	}
	if count < r.Times {
		return nil
	}
	return jenner.Permanent(fmt.Errorf("%s of container %s was raised %d times since %s, from %s", r.Resource, container, count,
		first.At.Format(time.DateTime), first.From), "it needs more again and again: find the leak, then take the annotation "+raisedNote+" away")
}

// raisesOf reads the annotation.
func raisesOf(note string) ([]raise, error) {
	if note == "" {
		return nil, nil
	}
	var raises []raise
	if err := json.Unmarshal([]byte(note), &raises); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("annotation %s cannot be read: %w", raisedNote, err), "look at it and take it away")
	}
	return raises, nil
}

// Size is how many pods are away at one time.
func (*RaiseLimit) Size(ctx context.Context, call act.Call) (act.Size, error) {
	return rolling(ctx, call)
}

// Do raises the limit.
func (r *RaiseLimit) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := r.edit.Do(ctx, call)
	if err != nil {
		return result, err
	}
	return settled(ctx, call, result, r.Wait)
}

// Rights are to read and change the workload, and for a wait to read its pods.
func (r *RaiseLimit) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return templateRights(target, r.Wait)
}
