package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// proxied is what the faults of this package share. The proxy holds the fault, by the record's ID and until the record's
// lease ends; this side only asks.
type proxied struct{}

// Checkpoint refuses a target that has no proxy, or whose proxy does not answer or has this very fault already.
func (proxied) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	control, err := controlOf(call)
	if err != nil {
		return nil, err
	}
	list, err := control.holding(ctx)
	if err != nil {
		return nil, err
	}
	for _, fault := range list {
		if fault.ID == call.Record.ID {
			return nil, jenner.Permanent(fmt.Errorf("the fault proxy has fault %s already", fault.ID), "take it away first")
		}
	}
	return jenner.Raw(map[string]any{"proxy": control.base, "faults": len(list)}), nil
}

// Fingerprint is the list of the faults at the proxy without this one. When their leases end does not matter.
func (proxied) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	control, err := controlOf(call)
	if err != nil {
		return "", err
	}
	list, err := control.holding(ctx)
	if err != nil {
		return "", err
	}
	others := []proxyFault{}
	for _, fault := range list {
		if fault.ID != call.Record.ID {
			fault.Until = time.Time{}
			others = append(others, fault)
		}
	}
	return string(jenner.Raw(others)), nil
}

// Armed tells whether the proxy holds the fault.
func (proxied) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	control, err := controlOf(call)
	if err != nil {
		return false, err
	}
	list, err := control.holding(ctx)
	for _, fault := range list {
		if fault.ID == call.Record.ID {
			return true, err
		}
	}
	return false, err
}

// Undo takes the fault away. A proxy that does not answer cannot be asked, but no fault outlives its lease: after that
// there is nothing to take away.
func (proxied) Undo(ctx context.Context, call chaos.Call) error {
	control, err := controlOf(call)
	if err != nil {
		return err
	}
	err = control.remove(ctx, call.Record.ID)
	if errors.Is(err, errNoFault) || jenner.NextAfter(err) == jenner.TryAgain && time.Now().After(call.Record.Until) {
		return nil
	}
	return err
}

// bite asks the proxy's counters.
func (p proxied) bite(ctx context.Context, call chaos.Call, did func(faultStats) string) (chaos.Witness, error) {
	stats, err := p.asked(ctx, call)
	if err != nil {
		return chaos.Witness{}, err
	}
	return chaos.Witness{
		Bit: stats.Affected > 0,
		Saw: fmt.Sprintf("%d of %d requests %s", stats.Affected, stats.Seen, did(stats)),
	}, nil
}

// biteChanged asks the proxy how many answers came to be others than the service gave.
func (p proxied) biteChanged(ctx context.Context, call chaos.Call, what string) (chaos.Witness, error) {
	stats, err := p.asked(ctx, call)
	return chaos.Witness{Bit: stats.Changed > 0, Saw: fmt.Sprintf("%d of %d answers %s", stats.Changed, stats.Seen, what)}, err
}

// asked are the counters of the fault.
func (proxied) asked(ctx context.Context, call chaos.Call) (faultStats, error) {
	control, err := controlOf(call)
	if err != nil {
		return faultStats{}, err
	}
	return control.stats(ctx, call.Record.ID)
}

// place puts the fault at the proxy under the record's ID and lease.
func (proxied) place(ctx context.Context, call chaos.Call, fault proxyFault) error {
	control, err := controlOf(call)
	if err != nil {
		return err
	}
	fault.ID, fault.Until = call.Record.ID, call.Record.Until
	if err := fault.validate(); err != nil {
		return jenner.Permanent(err, "")
	}
	return control.put(ctx, fault)
}

func controlOf(call chaos.Call) (proxyControl, error) {
	target, err := decodeTarget(call.Record.Target)
	if err != nil {
		return proxyControl{}, err
	}
	if target.Proxy == "" {
		return proxyControl{}, jenner.Permanent(fmt.Errorf("target %s has no fault proxy", call.Record.Target.Ref()),
			"put one between callers and the service, and write its control address under proxy")
	}
	return proxyControl{target.Proxy}, nil
}

// validateParams checks the parameters of a fault, for which the record fills in the rest.
func validateParams(fault proxyFault) error {
	fault.ID, fault.Until = "checked", time.Unix(1, 0)
	return fault.validate()
}
