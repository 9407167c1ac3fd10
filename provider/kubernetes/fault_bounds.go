package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("bounds", "Give an autoscaler other bounds, so that it makes more pods than are needed, or too few", func() chaos.Fault {
		return &FaultBounds{}
	}, kindHPA)
}

// FaultBounds sets the least and the largest number of pods that a HorizontalPodAutoscaler may make: with a least number
// above what is needed, it runs away and makes pods that cost money; with a largest one below what is needed, it starves the
// workload. An autoscaler keeps to its bounds even where it has no metrics. Who undoes it by hand sets the bounds back; how
// many pods there are then is the autoscaler's business again. It needs the rights to get and patch
// horizontalpodautoscalers.
type FaultBounds struct {
	edited
	// Min is the least number of pods.
	Min int32 `json:"min"`
	// Max is the largest number.
	Max int32 `json:"max"`
	// MaxPods is how many pods max may ask for at most; 10 where not said.
	MaxPods int `json:"max_pods,omitempty"`
}

// Validate checks the bounds.
func (f *FaultBounds) Validate() error {
	switch {
	case f.Min < 1 || f.Max < f.Min:
		return fmt.Errorf("min is %d and max is %d; write 1 or more for min, and at least as much for max", f.Min, f.Max)
	case int(f.Max) > most(f.MaxPods):
		return fmt.Errorf("max is %d and max_pods is %d", f.Max, most(f.MaxPods))
	}
	return (&Victims{MaxPods: f.MaxPods}).Validate()
}

// BitesWithin is how long the autoscaler may take to look again.
func (*FaultBounds) BitesWithin() time.Duration { return time.Minute }

// Checkpoint keeps the bounds.
func (f *FaultBounds) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	least, err1 := setting(f.Min, "spec", "minReplicas")
	most, err2 := setting(f.Max, "spec", "maxReplicas")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		kept, err := c.alter(ctx, call, t.spot(), least, most)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

// Bite sees whether the autoscaler wants a number of pods that the new bounds allow, and that the old ones did not.
func (f *FaultBounds) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, kept altered) (string, error) {
		scaler, err := c.AutoscalingV2().HorizontalPodAutoscalers(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return "", told(err, "reading "+t.spot().String())
		}
		wants := scaler.Status.DesiredReplicas
		if wants < f.Min || wants > f.Max || kept.allowed(wants) {
			return "", nil
		}
		return fmt.Sprintf("%s; it wants %d pods", kept, wants), nil
	})
}

// allowed tells whether the bounds from before allow so many pods.
func (a altered) allowed(pods int32) bool {
	for _, change := range a.Changes {
		was := int32(1) // the least number, where an autoscaler does not say it
		if change.Was != nil {
			if err := json.Unmarshal(change.Was, &was); err != nil {
				return true
			}
		}
		if isMin := change.Path[len(change.Path)-1] == "minReplicas"; isMin && pods < was || !isMin && pods > was {
			return false
		}
	}
	return true
}

// Rights are to read and change the autoscaler, and to find what a fault has left on it.
func (*FaultBounds) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editedRights(target)
}
