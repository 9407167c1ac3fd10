package nginx

import (
	"context"
	"errors"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("config", "Does nginx accept the configuration that its files hold?", func() telemetry.Probe { return &ProbeConfig{} })
}

// ProbeConfig lets nginx check its configuration, which is that of the next reload and not the one it runs with. It
// fails with nginx's own words. Where nginx cannot be run, the answer is Unknown.
type ProbeConfig struct {
	// Target is the name of the service's target; the only one of kind nginx where not said.
	Target string `json:"target,omitempty"`
}

// Probe asks once.
func (p *ProbeConfig) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	target, err := named(call.Service, p.Target)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	t, err := decode(target)
	if err == nil {
		err = t.test(ctx)
	}
	if err == nil || errors.Is(err, errRefused) || ctx.Err() != nil {
		return telemetry.ResultOf(ctx, err)
	}
	return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
}
