package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("scale_to_zero", "Scale a workload to no pod at all", func() chaos.Fault { return &FaultScaleToZero{} },
		kindDeployment, kindStatefulSet)
}

// FaultScaleToZero sets the number of pods that are wanted to zero. A HorizontalPodAutoscaler leaves a workload alone that
// was scaled to zero. It needs the right to patch the workload.
type FaultScaleToZero struct {
	edited
	// MaxPods is how many pods the workload may have at most; 10 where not said.
	MaxPods int `json:"max_pods,omitempty"`
}

// Validate checks the cap.
func (f *FaultScaleToZero) Validate() error { return (&Victims{MaxPods: f.MaxPods}).Validate() }

// BitesWithin is how long the pods may take to end.
func (*FaultScaleToZero) BitesWithin() time.Duration { return time.Minute }

// Checkpoint keeps how many pods are wanted. It refuses a workload that wants none already, or more than the cap.
func (f *FaultScaleToZero) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	return altering(ctx, call, f.MaxPods, func(*Target, workload) ([]delta, error) {
		none, err := setting(0, "spec", "replicas")
		return []delta{none}, err
	})
}

// altering is the checkpoint of a fault that changes a workload, all of whose pods it may cost.
func altering(ctx context.Context, call chaos.Call, maxPods int, settings func(*Target, workload) ([]delta, error)) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		w, err := c.workload(ctx, t)
		if err != nil {
			return err
		}
		if int(w.Replicas) > most(maxPods) {
			return jenner.Permanent(fmt.Errorf("%s has %d pods, and max_pods is %d", t.ref, w.Replicas, most(maxPods)), "")
		}
		wanted, err := settings(t, w)
		if err != nil {
			return jenner.Permanent(fmt.Errorf("%s: %w", t.ref, err), "")
		}
		kept, err := c.alter(ctx, call, t.spot(), wanted...)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

// Bite sees whether no pod serves any more.
func (f *FaultScaleToZero) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(ctx context.Context, t *Target, c *cluster, kept altered) (string, error) {
		w, err := c.workload(ctx, t)
		if err != nil {
			return "", err
		}
		serving, err := c.serving(ctx, w)
		if err != nil || serving > 0 || w.Replicas > 0 {
			return "", err
		}
		return "no pod serves; " + kept.String(), nil
	})
}

// bitten looks for a witness of a fault that changes an object, as long as the change holds. see says what it saw, and
// nothing where it saw none yet.
func bitten(ctx context.Context, call chaos.Call, see func(context.Context, *Target, *cluster, altered) (string, error)) (chaos.Witness, error) {
	kept, err := checkpointed[altered](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	witness := chaos.Witness{Saw: kept.Spot.String() + " is as it was"}
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		holds, err := c.holds(ctx, call.Record.ID, kept)
		if err != nil || !holds {
			return err
		}
		saw, err := see(ctx, t, c, kept)
		witness = chaos.Witness{Bit: saw != "", Saw: saw}
		if saw == "" {
			witness.Saw = "nothing has come of it yet: " + kept.String()
		}
		return err
	})
	return witness, err
}

// Rights are to read and change the workload, to read its pods, and to find what a fault has left on it and on copies of it.
func (*FaultScaleToZero) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return alteringRights(target)
}
