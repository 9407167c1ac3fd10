package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("alive", "Does the process live that the pidfile names?", func() telemetry.Probe { return &ProbeAlive{} })
}

// ProbeAlive asks whether the target's process lives. A zombie does not, a stopped process does. A pidfile that names
// somebody else's process means that the target's own does not live: Failed. A pidfile that cannot be read: Unknown.
type ProbeAlive struct {
	bound *jenner.Target
}

// Alive is the probe bound to one target, whatever target its calls name.
func Alive(target jenner.Target) telemetry.Probe { return &ProbeAlive{bound: &target} }

// Probe looks at the pidfile and the process once.
func (p *ProbeAlive) Probe(_ context.Context, call telemetry.ProbeCall) telemetry.Result {
	_, seen, err := see(p.target(call))
	var foreign *foreignError
	switch {
	case errors.As(err, &foreign):
		return telemetry.Result{Outcome: telemetry.Failed, Message: foreign.Error()}
	case err != nil:
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	case !seen.Alive:
		return telemetry.Result{Outcome: telemetry.Failed, Message: seen.Why}
	}
	return telemetry.Result{Outcome: telemetry.OK}
}

// Watch blocks until the process that lives now has ended. Where none lives there is nothing to watch: an error.
func (p *ProbeAlive) Watch(ctx context.Context, call telemetry.ProbeCall) error {
	written := p.target(call)
	_, seen, err := see(written)
	if err != nil {
		return err
	}
	if !seen.Alive {
		return fmt.Errorf("%s cannot be watched: %s", written.Ref(), seen.Why)
	}
	process, err := hold(seen.identity)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer process.close()
	return process.wait(ctx)
}

func (p *ProbeAlive) target(call telemetry.ProbeCall) jenner.Target {
	if p.bound != nil {
		return *p.bound
	}
	return call.Target
}
