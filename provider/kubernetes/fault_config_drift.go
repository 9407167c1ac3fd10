package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("config_drift", "Change one key of a ConfigMap behind the back of whoever keeps it", func() chaos.Fault {
		return &FaultConfigDrift{}
	}, kindConfigMap)
}

// FaultConfigDrift changes one key of a ConfigMap as a hand on the cluster would. Pods that mount it see the change when
// their kubelet looks again, within about a minute; those that read it into their environment, at their next start. It needs
// the right to patch ConfigMaps.
type FaultConfigDrift struct {
	edited
	// Key is the key of the ConfigMap's data: config.yaml.
	Key string `json:"key"`
	// Value is what the whole key is set to.
	Value *string `json:"value,omitempty"`
	// Replace is instead of a value: a piece of text that stands in the key exactly once, and what is put in its place.
	Replace *Replacement `json:"replace,omitempty"`
}

// Replacement is a piece of text and what is put in its place.
type Replacement struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Validate checks that it says one change.
func (f *FaultConfigDrift) Validate() error {
	switch {
	case f.Key == "":
		return errors.New("key is missing; write a key of the ConfigMap's data")
	case (f.Value == nil) == (f.Replace == nil):
		return errors.New("write either value or replace")
	case f.Replace != nil && (f.Replace.From == "" || f.Replace.From == f.Replace.To):
		return errors.New("replace needs a text in from, and another one in to")
	}
	return nil
}

// Checkpoint keeps the key. It refuses one that is not there, and a ConfigMap that may not be changed.
func (f *FaultConfigDrift) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = onTarget(ctx, call.Record.Target, func(ctx context.Context, t *Target, c *cluster) error {
		object, err := c.CoreV1().ConfigMaps(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
		if err != nil {
			return told(err, "reading "+t.spot().String())
		}
		was, has := object.Data[f.Key]
		if !has {
			return jenner.Permanent(fmt.Errorf("%s has no key %q", t.ref, f.Key), "")
		}
		if object.Immutable != nil && *object.Immutable {
			return jenner.Permanent(fmt.Errorf("%s is immutable", t.ref), "")
		}
		value, err := f.changed(was)
		if err != nil {
			return jenner.Permanent(fmt.Errorf("%s, key %s: %w", t.ref, f.Key, err), "")
		}
		drifted, err := setting(value, "data", f.Key)
		if err != nil {
			return err
		}
		kept, err := c.alter(ctx, call, t.spot(), drifted)
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

func (f *FaultConfigDrift) changed(was string) (string, error) {
	if f.Value != nil {
		return *f.Value, nil
	}
	if n := strings.Count(was, f.Replace.From); n != 1 {
		return "", fmt.Errorf("%q stands in it %d times, and must once", f.Replace.From, n)
	}
	return strings.Replace(was, f.Replace.From, f.Replace.To, 1), nil
}

// Bite sees whether the hash of the key is the one that the fault leaves.
func (f *FaultConfigDrift) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return bitten(ctx, call, func(_ context.Context, _ *Target, _ *cluster, kept altered) (string, error) {
		return fmt.Sprintf("%s: the hash of key %s went from %s to %s", kept.Spot, f.Key, brief(hashed(kept.Changes[0].Was)),
			brief(hashed(kept.Changes[0].Is))), nil
	})
}

// Rights are to read and change the ConfigMap, and to find what a fault has left on it.
func (*FaultConfigDrift) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return editedRights(target)
}
