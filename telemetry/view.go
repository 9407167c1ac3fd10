package telemetry

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// View is what the stages see of the world: the series of a Store, those of the servers that are asked instead, and the states
// of a Prober. Store and Prober must be set.
type View struct {
	Store   *Store
	Prober  *Prober
	Servers *Servers // nil: there are none
}

var _ jenner.Telemetry = View{}

// Query evaluates PromQL now: where ctx is asking about a service that has a server, or about none while there is a default
// one, see Remote.Query; else see Store.QueryAt.
func (v View) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	if server := v.Servers.Of(ctx); server != nil {
		return server.Query(ctx, promql)
	}
	return v.Store.Query(ctx, promql)
}

// HasData tells whether what Query reads has data; see Store.HasData.
func (v View) HasData(ctx context.Context, promql string) (bool, error) {
	if server := v.Servers.Of(ctx); server != nil {
		return server.HasData(ctx, promql)
	}
	return v.Store.HasData(ctx, promql)
}

// Complete tells whether what Query reads has data, or is known to be absent; see Store.Complete.
func (v View) Complete(ctx context.Context, promql string, recorded map[string]string) (bool, error) {
	if server := v.Servers.Of(ctx); server != nil {
		return server.Complete(ctx, promql, recorded)
	}
	return v.Store.Complete(ctx, promql, recorded)
}

// About is the same view for who does not say about whom it asks: it asks about a service.
func (v View) About(service string) jenner.Telemetry { return aboutView{v, service} }

type aboutView struct {
	View
	service string
}

// Query asks about the service, where ctx does not say otherwise.
func (v aboutView) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	if _, said := jenner.Asked(ctx); !said {
		ctx = jenner.Asking(ctx, jenner.Question{Service: v.service})
	}
	return v.View.Query(ctx, promql)
}

// Probe is the state of one probe; false where there is no such probe.
func (v View) Probe(service, name string) (jenner.ProbeState, bool) {
	return v.Prober.Probe(service, name)
}

// Probes are the states of all probes of a service, by name.
func (v View) Probes(service string) []jenner.ProbeState { return v.Prober.Probes(service) }
