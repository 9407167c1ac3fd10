package app

import (
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/telemetry"
)

// binder makes what the files name out of what the catalog holds.
type binder struct{ catalog *catalog.Catalog }

// decoded puts parameters into a fresh value, strictly.
func decoded[T any](entry catalog.Entry[T], params jenner.Params) (T, error) {
	value := entry.New()
	if err := strict.Decode(params, value); err != nil {
		return value, fmt.Errorf("%s: %w", entry.Name, err)
	}
	return value, nil
}

func (b binder) action(name, kind string, params jenner.Params) (string, act.Action, error) {
	entry, err := b.catalog.Action(name, kind)
	if err != nil {
		return "", nil, err
	}
	action, err := decoded(entry, params)
	return entry.Name, action, err
}

func (b binder) fault(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
	return b.catalog.MakeFault(name, kind, params)
}

func (b binder) probe(_ jenner.Service, probe jenner.Probe) (telemetry.Probe, error) {
	entry, err := b.catalog.Probe(probe.Kind, "")
	if err != nil {
		return nil, err
	}
	return decoded(entry, probe.Params)
}

func (b binder) source(_ jenner.Service, metrics jenner.MetricsSource) (telemetry.Source, error) {
	entry, err := b.catalog.Source(metrics.Kind)
	if err != nil {
		return nil, err
	}
	return decoded(entry, metrics.Params)
}

// alive is the probe that tells whether a target lives, for the kinds of targets that have one.
func (b binder) alive(target jenner.Target) (telemetry.Probe, bool) {
	entry, err := b.catalog.Probe(jenner.AliveProbe, target.Kind)
	if err != nil {
		return nil, false
	}
	return entry.New(), true
}

func (b binder) notifier(channel jenner.Channel) (notify.Notifier, error) {
	entry, err := b.catalog.Notifier(channel.Kind)
	if err != nil {
		return nil, err
	}
	return decoded(entry, channel.Params)
}
