package telemetry

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// View is what the stages see of the world: the series of a Store and the states of a Prober. Both must be set.
type View struct {
	Store  *Store
	Prober *Prober
}

var _ jenner.Telemetry = View{}

// Query evaluates PromQL now; see Store.QueryAt.
func (v View) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	return v.Store.Query(ctx, promql)
}

// Probe is the state of one probe; false where there is no such probe.
func (v View) Probe(service, name string) (jenner.ProbeState, bool) {
	return v.Prober.Probe(service, name)
}

// Probes are the states of all probes of a service, by name.
func (v View) Probes(service string) []jenner.ProbeState { return v.Prober.Probes(service) }
