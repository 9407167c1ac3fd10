package sim

import (
	"context"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("alive", "Does the service live?", func() telemetry.Probe { return &ProbeAlive{} })
}

// ProbeAlive asks whether the target lives; one that hangs does.
type ProbeAlive struct{}

// Probe looks once.
func (*ProbeAlive) Probe(_ context.Context, call telemetry.ProbeCall) telemetry.Result {
	_, is, err := look(call.Target)
	switch {
	case err != nil:
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	case !is.Alive:
		return telemetry.Result{Outcome: telemetry.Failed, Message: "it is gone"}
	}
	return telemetry.Result{Outcome: telemetry.OK}
}
