package kubernetes

import (
	"context"
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("scale", "Give a workload more pods, or fewer", func() act.Action { return newScale() }, kindDeployment, kindStatefulSet)
}

// Scale sets how many pods a Deployment or a StatefulSet is to have: to a number, or by a number more or fewer, and never
// beyond the floor and the ceiling. Where an autoscaler decides about the replicas, it refuses: change the autoscaler's
// bounds with set_bounds. The undo sets the replicas as they were.
//
// The unit of its blast radius is pods: those that come or go, of the larger of both numbers.
type Scale struct {
	undoableEdit
	// To is how many pods there are to be; one of to and by is needed.
	To *int32 `json:"to,omitempty"`
	// By is how many more there are to be, or with a minus, fewer.
	By int32 `json:"by,omitempty"`
	// Floor is how many there are at least, whatever by says; 1 where not said. To below the floor is refused.
	Floor int32 `json:"floor,omitempty"`
	// Ceiling is how many there are at most, whatever by says. It is needed for anything that adds pods.
	Ceiling int32 `json:"ceiling,omitempty"`
	// MinHealthy is how many pods that serve must be left; fewer are not made while not that many serve. It concerns only
	// what takes pods away.
	MinHealthy int32 `json:"min_healthy,omitempty"`
	// Wait is how long it may take until all pods serve; where not said, nobody waits for them.
	Wait jenner.Duration `json:"wait,omitempty"`
}

func newScale() *Scale {
	s := &Scale{Floor: 1}
	s.draft = func(ctx context.Context, on *site) (string, error) {
		r, err := rolloutOf(on.target.ref.Kind, on.live)
		if err != nil {
			return "", err
		}
		want, err := s.replicas(r)
		if err != nil {
			return "", err
		}
		if err := on.notAutoscaled(ctx); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s: %d → %d pods", on.target, r.Replicas, want), slot{"spec", "replicas"}.write(on.want.Object, int64(want))
	}
	return s
}

// Validate checks the parameters.
func (s *Scale) Validate() error {
	switch {
	case (s.To == nil) == (s.By == 0):
		return errors.New("write to or by, and not both")
	case s.Floor < 0 || s.Ceiling < 0 || s.MinHealthy < 0:
		return errors.New("floor, ceiling and min_healthy cannot be negative")
	case s.Ceiling > 0 && s.Ceiling < s.Floor:
		return fmt.Errorf("the ceiling %d is below the floor %d", s.Ceiling, s.Floor)
	case s.To != nil && *s.To < s.Floor:
		return fmt.Errorf("to is %d and the floor %d; write a lower floor if that is meant", *s.To, s.Floor)
	case s.To != nil && s.Ceiling > 0 && *s.To > s.Ceiling:
		return fmt.Errorf("to is %d and the ceiling %d", *s.To, s.Ceiling)
	case s.By > 0 && s.Ceiling == 0:
		return errors.New("ceiling is missing; nothing would end the growth where this is done again and again")
	}
	return nil
}

// replicas is how many pods there are to be, or why that cannot be.
func (s *Scale) replicas(r rollout) (int32, error) {
	want := r.Replicas + s.By
	if s.To != nil {
		want = *s.To
	}
	want = max(want, s.Floor)
	if s.Ceiling > 0 {
		want = min(want, s.Ceiling)
	}
	switch {
	case s.By > 0 && want <= r.Replicas:
		return 0, jenner.Permanent(fmt.Errorf("it has %d pods, and the ceiling is %d", r.Replicas, s.Ceiling), "")
	case s.By < 0 && want >= r.Replicas:
		return 0, jenner.Permanent(fmt.Errorf("it has %d pods, and the floor is %d", r.Replicas, s.Floor), "")
	case want < r.Replicas && r.Ready-(r.Replicas-want) < s.MinHealthy:
		return 0, jenner.Permanent(fmt.Errorf("%d of %d pods serve; with %d fewer, %d may not be left", r.Ready, r.Replicas, r.Replicas-want, s.MinHealthy),
			"min_healthy asks for that many")
	}
	return want, nil
}

// notAutoscaled refuses where an autoscaler would put the replicas back.
func (on *site) notAutoscaled(ctx context.Context) error {
	list, err := on.AutoscalingV2().HorizontalPodAutoscalers(on.target.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return told(err, "listing the autoscalers of "+on.target.Namespace)
	}
	for _, hpa := range list.Items {
		if scales(hpa.Spec.ScaleTargetRef, on.target) {
			return jenner.Permanent(fmt.Errorf("hpa %s/%s decides how many pods it has", hpa.Namespace, hpa.Name), "change its bounds with set_bounds")
		}
	}
	return nil
}

func scales(ref autoscalingv2.CrossVersionObjectReference, t *Target) bool {
	kinds := map[string]string{"Deployment": kindDeployment, "StatefulSet": kindStatefulSet}
	return kinds[ref.Kind] == t.ref.Kind && ref.Name == t.Object
}

// Size is how many pods come or go.
func (s *Scale) Size(ctx context.Context, call act.Call) (act.Size, error) {
	on, err := look(ctx, call)
	if err != nil {
		return act.Size{}, err
	}
	r, err := rolloutOf(on.target.ref.Kind, on.live)
	if err != nil {
		return act.Size{}, err
	}
	size := act.Size{Unit: unitPods, Total: int(r.Replicas)}
	if want, err := s.replicas(r); err == nil { // where it is not possible, nothing is touched
		size.Want, size.Total = int(max(want-r.Replicas, r.Replicas-want)), int(max(want, r.Replicas))
	}
	return size, nil
}

// Do scales it.
func (s *Scale) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := s.edit.Do(ctx, call)
	if err != nil {
		return result, err
	}
	return settled(ctx, call, result, s.Wait)
}

// Rights are to read and change the workload, to read autoscalers, and for a wait its pods.
func (s *Scale) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	list, err := templateRights(target, s.Wait)
	if err != nil {
		return nil, err
	}
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return append(list, t.right("list", "autoscaling", "horizontalpodautoscalers")), nil
}
