package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// The defaults and limits of a probe.
const (
	DefaultFails      = 2
	maxProbeTimeout   = time.Second            // of a probe that names none
	defaultAliveEvery = 500 * time.Millisecond // of an alive probe of a service without other probes
	maxProbePhase     = time.Second
	quickEvery        = 500 * time.Millisecond // probes at most this far apart …
	quickPhase        = 100 * time.Millisecond // … start within this
	extraEvery        = 20 * time.Millisecond  // between two probes that a Watcher asked for
	watchAgain        = 100 * time.Millisecond // after a Watcher could not watch
)

// ProberOptions are what a Prober works with. Append, Build and OnState may be called from several goroutines at once.
type ProberOptions struct {
	// Append stores the series probe_success and probe_duration_seconds. Nothing is stored where it is nil.
	Append func(...jenner.Sample) error
	// Build makes the probe that a service's document describes. It is called once for each new content.
	Build func(service jenner.Service, probe jenner.Probe) (Probe, error)
	// Alive gives the probe that tells whether a target lives; false where the kind of target has none. May be nil.
	Alive func(target jenner.Target) (Probe, bool)
	// OnState is called after every answer, not only after a change, and in order for one probe; also when the status
	// becomes unknown because no answer came. It holds up only its own probe. May be nil.
	OnState func(jenner.ProbeState)
	Logger  *slog.Logger
}

// Prober asks the probes of all services again and again and keeps their states. It is safe for concurrent use.
type Prober struct {
	opts ProberOptions

	mu      sync.Mutex
	closed  bool
	loops   map[probeKey]*probeLoop
	running sync.WaitGroup
}

type probeKey struct{ service, name string }

// probePlan is all that makes up one probe loop.
type probePlan struct {
	Probe  jenner.Probe  // with every default filled in
	Target jenner.Target // for alive probes
	Again  int           // right answers in a row until it passes again
	alive  Probe         // built already, for alive probes
}

// NewProber makes a prober that asks nothing yet.
func NewProber(opts ProberOptions) *Prober {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Append == nil {
		opts.Append = func(...jenner.Sample) error { return nil }
	}
	if opts.OnState == nil {
		opts.OnState = func(jenner.ProbeState) {}
	}
	return &Prober{opts: opts, loops: map[probeKey]*probeLoop{}}
}

// Set says which services there are. Probes whose content did not change keep their state and their rhythm; what is
// new starts with status unknown; what is gone stops, and its series end at once.
//
// Every target for which opts.Alive gives a probe gets one more: the first of a service is called "alive", the others
// "alive:NAME". It is asked as often as the service's most frequent probe (every 500 ms where there is none), but not
// more than once a second where it watches by itself, and one answer is enough to fail or to pass.
//
// A probe that cannot be built or has wrong numbers is logged, and its state is unknown with the reason as message.
// Set may be called from OnState.
func (p *Prober) Set(services []jenner.Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	wanted := map[probeKey]bool{}
	for _, service := range services {
		for _, plan := range p.plansOf(service) {
			key := probeKey{service.Name, plan.Probe.Name}
			if wanted[key] {
				p.opts.Logger.Error("two probes of one name; the second is not asked", "service", key.service, "probe", key.name)
				continue
			}
			wanted[key] = true
			p.put(key, service, plan)
		}
	}
	for key, loop := range p.loops {
		if !wanted[key] {
			loop.stop()
			delete(p.loops, key)
		}
	}
}

// put keeps the loop of that key where its content is the same, else starts a new one in its place.
func (p *Prober) put(key probeKey, service jenner.Service, plan probePlan) {
	content := jenner.Hash(plan)
	var after <-chan struct{}
	if old := p.loops[key]; old != nil {
		if old.content == content {
			old.service.Store(&service)
			return
		}
		old.stop()
		after = old.done
	}
	probe, err := p.build(service, plan)
	if err != nil {
		err = fmt.Errorf("service %s: probe %s: %w", key.service, key.name, err)
		p.opts.Logger.Error("a probe cannot be asked", "err", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	loop := newProbeLoop(p.opts, service, plan, probe, content, stop)
	p.loops[key] = loop
	p.running.Go(func() { loop.run(ctx, after, err) })
}

func (p *Prober) build(service jenner.Service, plan probePlan) (Probe, error) {
	if probe := plan.Probe; probe.Fails < 1 || probe.Of < probe.Fails {
		return nil, fmt.Errorf("fails %d of %d: write fails as 1 or more, and of as fails or more", probe.Fails, probe.Of)
	}
	if plan.alive != nil {
		return plan.alive, nil
	}
	if p.opts.Build == nil {
		return nil, errors.New("this prober builds no probes")
	}
	return p.opts.Build(service, plan.Probe)
}

// plansOf are the probes of one service, the alive probes first.
func (p *Prober) plansOf(service jenner.Service) []probePlan {
	var written []probePlan
	var quickest jenner.Duration
	for _, probe := range service.Probes {
		probe.Every = jenner.Duration(probe.Every.Or(DefaultEvery))
		probe.Timeout = jenner.Duration(probe.Timeout.Or(min(maxProbeTimeout, probe.Every.Std())))
		probe.Fails = cmp.Or(probe.Fails, DefaultFails)
		probe.Of = cmp.Or(probe.Of, probe.Fails+1)
		if quickest == 0 || probe.Every < quickest {
			quickest = probe.Every
		}
		written = append(written, probePlan{Probe: probe, Again: 2})
	}
	quickest = cmp.Or(quickest, jenner.Duration(defaultAliveEvery))
	var plans []probePlan
	for _, target := range service.Targets {
		if p.opts.Alive == nil {
			break
		}
		probe, has := p.opts.Alive(target)
		if !has {
			continue
		}
		name := jenner.AliveProbe
		if len(plans) > 0 {
			name += ":" + target.Name
		}
		every := quickest
		if _, watches := probe.(Watcher); watches {
			every = max(every, jenner.Duration(DefaultEvery)) // it knows the moment by itself
		}
		plans = append(plans, probePlan{Target: target, Again: 1, alive: probe, Probe: jenner.Probe{
			Name: name, Kind: jenner.AliveProbe, Every: every, Fails: 1, Of: 1,
			Timeout: jenner.Duration(min(maxProbeTimeout, every.Std())),
		}})
	}
	return append(plans, written...)
}

// Probe is the state of one probe; false where there is no such probe.
func (p *Prober) Probe(service, name string) (jenner.ProbeState, bool) {
	p.mu.Lock()
	loop := p.loops[probeKey{service, name}]
	p.mu.Unlock()
	if loop == nil {
		return jenner.ProbeState{}, false
	}
	return loop.present(), true
}

// Probes are the states of all probes of a service, by name.
func (p *Prober) Probes(service string) []jenner.ProbeState {
	p.mu.Lock()
	var loops []*probeLoop
	for key, loop := range p.loops {
		if key.service == service {
			loops = append(loops, loop)
		}
	}
	p.mu.Unlock()
	states := make([]jenner.ProbeState, len(loops))
	for i, loop := range loops {
		states[i] = loop.present()
	}
	slices.SortFunc(states, func(a, b jenner.ProbeState) int { return cmp.Compare(a.Name, b.Name) })
	return states
}

// AskNow asks all probes of a service once out of turn, because somebody waits for the answers. It does not wait for
// them. Asking again before they were asked changes nothing.
func (p *Prober) AskNow(service string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, loop := range p.loops {
		if key.service != service {
			continue
		}
		select {
		case loop.hurry <- struct{}{}:
		default:
		}
	}
}

// Close stops all probes and waits for them, but not longer than a second for one that does not heed its context. A
// second Close does nothing. Close must not be called from OnState.
func (p *Prober) Close() {
	p.mu.Lock()
	p.closed = true
	for _, loop := range p.loops {
		loop.stop()
	}
	p.mu.Unlock()
	p.running.Wait()
}
