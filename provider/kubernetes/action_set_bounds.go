package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("set_bounds", "Set between how many pods an autoscaler decides", func() act.Action { return newSetBounds() }, kindHPA)
}

// SetBounds sets the least and the most replicas of a HorizontalPodAutoscaler: to hold one that runs away, or to have it
// scale out when it does not by itself. The undo sets them as they were. The unit of its blast radius is pods: by how many
// the number of them would change at once, of the largest number that it ever may be.
type SetBounds struct {
	undoableEdit
	// Min is the least number of pods; as it is where not said.
	Min int64 `json:"min,omitempty"`
	// Max is the most; as it is where not said.
	Max int64 `json:"max,omitempty"`
}

var (
	minReplicas = slot{"spec", "minReplicas"}
	maxReplicas = slot{"spec", "maxReplicas"}
)

func newSetBounds() *SetBounds {
	s := &SetBounds{}
	s.draft = func(_ context.Context, on *site) (string, error) {
		var said []string
		for _, bound := range []struct {
			name string
			at   slot
			want int64
		}{{"min", minReplicas, s.Min}, {"max", maxReplicas, s.Max}} {
			if bound.want == 0 {
				continue
			}
			said = append(said, fmt.Sprintf("%s %d → %d", bound.name, number(bound.at, on.live.Object), bound.want))
			if err := bound.at.write(on.want.Object, bound.want); err != nil {
				return "", err
			}
		}
		if least, most := number(minReplicas, on.want.Object), number(maxReplicas, on.want.Object); least > most {
			return "", jenner.Permanent(fmt.Errorf("it would have a min of %d and a max of %d", least, most), "write both")
		}
		return fmt.Sprintf("%s: %s", on.target, strings.Join(said, ", ")), nil
	}
	return s
}

// number is a whole number of an object; 1 where it is not there, as Kubernetes has it for replicas.
func number(at slot, object map[string]any) int64 {
	value, is := at.read(object).(int64)
	if !is {
		return 1
	}
	return value
}

// Validate checks the parameters.
func (s *SetBounds) Validate() error {
	switch {
	case s.Min == 0 && s.Max == 0:
		return errors.New("write min, max or both")
	case s.Min < 0 || s.Max < 0:
		return errors.New("min and max must be 1 or more")
	case s.Max != 0 && s.Min > s.Max:
		return fmt.Errorf("min is %d and max %d", s.Min, s.Max)
	}
	return nil
}

// Size is by how many pods the number that there are would be out of the new bounds.
func (s *SetBounds) Size(ctx context.Context, call act.Call) (act.Size, error) {
	on, err := look(ctx, call)
	if err != nil {
		return act.Size{}, err
	}
	now := number(slot{"status", "currentReplicas"}, on.live.Object)
	want := now
	if s.Min != 0 {
		want = max(want, s.Min)
	}
	if s.Max != 0 {
		want = min(want, s.Max)
	}
	total := max(now, want, number(maxReplicas, on.live.Object), s.Max)
	return act.Size{Unit: unitPods, Want: int(max(want-now, now-want)), Total: int(total)}, nil
}

// Rights are to read and change the autoscaler.
func (*SetBounds) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editRights(target)
}
