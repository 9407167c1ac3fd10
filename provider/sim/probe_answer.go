package sim

import (
	"context"
	"errors"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("answer", "Does the service of a fake world answer?", func() telemetry.Probe { return &ProbeAnswer{} })
}

// ProbeAnswer asks a service, and takes as long as the answer does.
type ProbeAnswer struct {
	// World is the id that the world was made with.
	World string `json:"world"`
	// Of is the world's service; the one of the probed service's name where not said.
	Of string `json:"of,omitempty"`
}

// Validate asks for a world.
func (p *ProbeAnswer) Validate() error { return (&Target{World: p.World}).Validate() }

// Probe asks once.
func (p *ProbeAnswer) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	world, err := worldOf(p.World)
	if err == nil {
		err = world.Has(p.of(call.Service))
	}
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	late, err := world.Ask(p.of(call.Service))
	if over := wait(ctx, late, errors.Is(err, errHangs)); over != nil {
		err = over
	}
	return telemetry.ResultOf(ctx, err)
}

func (p *ProbeAnswer) of(service jenner.Service) string {
	if p.Of != "" {
		return p.Of
	}
	return service.Name
}
