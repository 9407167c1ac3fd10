package process

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

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

	mu    sync.Mutex
	known *Target // the decoded parameters of …
	of    uintptr // … this map, which nobody changes
}

// Alive is the probe bound to one target, whatever target its calls name.
func Alive(target jenner.Target) telemetry.Probe { return &ProbeAlive{bound: &target} }

// Probe looks at the pidfile and the process once.
func (p *ProbeAlive) Probe(_ context.Context, call telemetry.ProbeCall) telemetry.Result {
	seen, err := p.see(p.target(call))
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
	seen, err := p.see(written)
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

// see looks at the target. It is asked about the same one again and again, so the parameters are decoded once.
func (p *ProbeAlive) see(written jenner.Target) (sight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of := reflect.ValueOf(written.Params).Pointer(); p.known == nil || p.of != of {
		known, err := decode(written)
		if err != nil {
			return sight{}, err
		}
		p.known, p.of = known, of
	}
	return p.known.look()
}

func (p *ProbeAlive) target(call telemetry.ProbeCall) jenner.Target {
	if p.bound != nil {
		return *p.bound
	}
	return call.Target
}
