package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// struck are the methods that faults share which hit pods that their controllers bring back. They hold no lease and leave
// nothing on any object, so that there is nothing to take back: the fault lasts until as many pods serve as before. Its undo
// waits for that.
type struck struct{}

// hit is their checkpoint.
type hit struct {
	Victims []victim `json:"victims"`
	Crews   []crew   `json:"crews"`
}

// aim chooses the pods of a target and finds who brings them back.
func (c *cluster) aim(ctx context.Context, t *Target, v Victims, record jenner.FaultRecord) (hit, error) {
	pods, err := c.choose(ctx, t, v, record.ID)
	if err != nil {
		return hit{}, err
	}
	crews, err := c.crews(ctx, pods)
	if err != nil {
		return hit{}, err
	}
	aimed := hit{Crews: crews}
	for i := range pods {
		aimed.Victims = append(aimed.Victims, victimOf(&pods[i]))
	}
	return aimed, nil
}

// aimed is a checkpoint of a fault that hits whole pods. try does it to one of them without effect, so that a missing right
// and a disruption budget show before anything is broken.
func aimed(ctx context.Context, call chaos.Call, v Victims, try func(ctx context.Context, c *cluster, v victim) error) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		kept, err := c.aim(ctx, t, v, call.Record)
		if err != nil {
			return err
		}
		for _, v := range kept.Victims {
			if err := try(ctx, c, v); err != nil {
				return told(err, "trying to hit pod "+v.String())
			}
		}
		raw = jenner.Raw(kept)
		return nil
	})
	return raw, err
}

// strike does something to each of the victims, and goes on where one is gone already.
func strike(ctx context.Context, call chaos.Call, do func(ctx context.Context, c *cluster, v victim) error) error {
	kept, err := checkpointed[hit](call)
	if err != nil {
		return err
	}
	if len(kept.Victims) == 0 {
		return errNoVictims
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, v := range kept.Victims {
			// A conflict is that another pod has the name by now.
			if err := do(ctx, c, v); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return told(err, "hitting pod "+v.String())
			}
		}
		return nil
	})
}

// Bite sees whether all of the pods are gone.
func (struck) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	kept, err := checkpointed[hit](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	var lives []string
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, v := range kept.Victims {
			pod, err := c.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return told(err, "reading pod "+v.String())
			case pod.UID == v.UID:
				lives = append(lives, v.String())
			}
		}
		return nil
	})
	if err != nil || len(lives) > 0 {
		return chaos.Witness{Saw: "there still is " + strings.Join(lives, ", ")}, err
	}
	return chaos.Witness{Bit: len(kept.Victims) > 0, Saw: "gone: " + named(kept.Victims)}, nil
}

// Armed tells whether fewer pods serve than before.
func (struck) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	kept, err := checkpointed[hit](call)
	if err != nil {
		return false, err
	}
	missing := ""
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		missing, err = c.missing(ctx, kept.Crews)
		return err
	})
	return missing != "", err
}

// Undo waits until as many pods serve as before: who brings them back is their controller.
func (struck) Undo(ctx context.Context, call chaos.Call) error {
	kept, err := checkpointed[hit](call)
	if err != nil {
		return err
	}
	return onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		return c.until(ctx, func() (string, error) { return c.missing(ctx, kept.Crews) })
	})
}

// Fingerprint is the hash of the templates of the controllers: they would bring back the same pods. How many of them there
// are to be is not part of it, for a remedy may have scaled; nor is a restart.
func (struck) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	kept, err := checkpointed[hit](call)
	if err != nil {
		return "", err
	}
	var prints []string
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, _ *Target, c *cluster) error {
		for _, w := range kept.Crews {
			now, err := c.crew(ctx, w)
			if err != nil && !gone(err) {
				return err
			}
			print := "absent"
			if err == nil {
				print = templateHash(now.Template)
			}
			prints = append(prints, w.String()+" "+print)
		}
		return nil
	})
	return strings.Join(prints, ", "), err
}

// gone tells that an object is not there.
func gone(err error) bool { return apierrors.IsNotFound(err) }

// lookEvery is how often a condition in the cluster is looked at while it is waited for.
const lookEvery = 100 * time.Millisecond

// until waits until missing says nothing any more, or ctx ends.
func (c *cluster) until(ctx context.Context, missing func() (string, error)) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		what, err := missing()
		if err != nil || what == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return jenner.Retryable(fmt.Errorf("%s: %w", what, context.Cause(ctx)), "")
		case <-ticker.C:
		}
	}
}
