package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/telemetry"
)

// Telemetry sees a world as the real one sees the real one, but without chance: each probe is asked in its rhythm from
// the moment it is set, and an answer takes no time even where it says that it came late. It counts answers more simply:
// a status needs Fails like answers in a row, and two to pass again; alive checks need one. It is safe for concurrent
// use.
type Telemetry struct {
	world   *World
	onState func(state jenner.ProbeState)

	mu    sync.Mutex
	asked []*asked
	blind bool
	wake  chan struct{} // Run must look again at what is due
}

// asked is one probe with its state.
type asked struct {
	service jenner.Service
	probe   jenner.Probe
	target  jenner.Target // of alive checks
	next    time.Time
	slow    bool // the last answer was right but late
	state   jenner.ProbeState
}

var _ jenner.Telemetry = (*Telemetry)(nil)

// idle is how often Run looks where nothing is due.
const idle = time.Second

// NewTelemetry makes one that asks nothing yet. onState hears of every answer; it may be nil.
func NewTelemetry(world *World, onState func(state jenner.ProbeState)) *Telemetry {
	if onState == nil {
		onState = func(jenner.ProbeState) {}
	}
	return &Telemetry{world: world, onState: onState, wake: make(chan struct{}, 1)}
}

// Set makes it ask the probes of these services, and whether their targets of kind sim live. Probes of other kinds than
// answer are an error.
func (t *Telemetry) Set(services []jenner.Service) error {
	var list []*asked
	now := t.world.now()
	for _, service := range services {
		for i, target := range service.Targets {
			if target.Kind != "sim" {
				continue
			}
			name := jenner.AliveProbe
			if i > 0 {
				name += ":" + target.Name
			}
			list = append(list, newAsked(service, target, jenner.Probe{Name: name, Kind: jenner.AliveProbe, Fails: 1,
				Every: jenner.Duration(250 * time.Millisecond)}, now))
		}
		for _, probe := range service.Probes {
			if probe.Kind != "answer" {
				return fmt.Errorf("probe %s of %s: a fake world answers probes of kind answer only, not %q", probe.Name, service.Name, probe.Kind)
			}
			list = append(list, newAsked(service, jenner.Target{}, probe, now))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = list
	t.again()
	return nil
}

func newAsked(service jenner.Service, target jenner.Target, probe jenner.Probe, now time.Time) *asked {
	probe.Every = jenner.Duration(probe.Every.Or(time.Second))
	if probe.Fails == 0 {
		probe.Fails = 2
	}
	return &asked{service: service, probe: probe, target: target, next: now, state: jenner.ProbeState{
		Service: service.Name, Name: probe.Name, Kind: probe.Kind, Target: target.Ref(), Status: jenner.ProbeUnknown,
		Since: now, Every: probe.Every.Std()}}
}

// Blind makes it ask nothing, so that all states grow old; false lets it see again.
func (t *Telemetry) Blind(blind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blind = blind
	t.again()
}

// AskNow makes the probes of a service due at once.
func (t *Telemetry) AskNow(service string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.asked {
		if one.state.Service == service {
			one.next = t.world.now()
		}
	}
	t.again()
}

func (t *Telemetry) again() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run looks until ctx ends.
func (t *Telemetry) Run(ctx context.Context) {
	for {
		t.Look(ctx)
		timer := time.NewTimer(t.rest())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-t.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// rest is how long no probe will be due.
func (t *Telemetry) rest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := idle
	for _, one := range t.asked {
		if !t.blind {
			rest = min(rest, max(0, one.next.Sub(t.world.now())))
		}
	}
	return rest
}

// Look asks each probe that is due by now, and tells what it heard.
func (t *Telemetry) Look(ctx context.Context) {
	t.mu.Lock()
	now := t.world.now()
	var heard []jenner.ProbeState
	for _, one := range t.asked {
		if t.blind || one.next.After(now) {
			continue
		}
		one.next = one.next.Add(one.probe.Every.Std())
		if !one.next.After(now) {
			one.next = now.Add(one.probe.Every.Std()) // times that were missed are not made up for
		}
		one.answer(ctx, now, t.world)
		heard = append(heard, one.state)
	}
	t.mu.Unlock()
	for _, state := range heard {
		t.onState(state)
	}
}

// answer puts the question and counts the answer.
func (a *asked) answer(ctx context.Context, now time.Time, world *World) {
	late, err := a.ask(ctx, world)
	slow := err == nil && a.probe.Slow > 0 && late > a.probe.Slow.Std()
	state := &a.state
	if ok := err == nil; ok != state.LastOK || slow != a.slow || state.At.IsZero() {
		state.Streak = 0
	}
	state.Streak++
	state.At, state.LastOK, state.Duration, a.slow = now, err == nil, late, slow
	status, enough := jenner.ProbePassing, 2
	if state.Status == jenner.ProbeUnknown || state.Kind == jenner.AliveProbe {
		enough = 1
	}
	switch {
	case err != nil:
		status, enough, state.Message = jenner.ProbeFailing, a.probe.Fails, err.Error()
	case slow:
		status, enough = jenner.ProbeSlow, a.probe.Fails
	}
	if state.Streak >= enough && state.Status != status {
		state.Status, state.Since = status, now
	}
}

func (a *asked) ask(ctx context.Context, world *World) (time.Duration, error) {
	if a.probe.Kind == jenner.AliveProbe {
		if result := (&ProbeAlive{}).Probe(ctx, telemetry.ProbeCall{Service: a.service, Target: a.target}); result.Outcome != telemetry.OK {
			return 0, errors.New(result.Message)
		}
		return 0, nil
	}
	var written ProbeAnswer
	if err := strict.Decode(a.probe.Params, &written); err != nil {
		return 0, err
	}
	late, err := world.Ask(written.of(a.service))
	if limit := a.probe.Timeout.Or(min(time.Second, a.probe.Every.Std())); err == nil && late > limit {
		return limit, fmt.Errorf("no answer within %s", limit)
	}
	return late, err
}

// Query gives the world's answer to a question, letter for letter; no data where it has none.
func (t *Telemetry) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	if ctx.Err() != nil {
		return jenner.Answer{}, context.Cause(ctx)
	}
	defer t.world.lock()()
	value, known := t.world.answers[promql]
	if !known {
		return jenner.Answer{}, nil
	}
	return jenner.Answer{Samples: []jenner.Sample{{Value: value, At: t.world.now()}}}, nil
}

// HasData tells whether the world has an answer to the question.
func (t *Telemetry) HasData(ctx context.Context, promql string) (bool, error) {
	answer, err := t.Query(ctx, promql)
	return !answer.NoData(), err
}

// Probe is the state of one probe; false where there is no such probe.
func (t *Telemetry) Probe(service, name string) (jenner.ProbeState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.asked {
		if one.state.Service == service && one.state.Name == name {
			return one.state, true
		}
	}
	return jenner.ProbeState{}, false
}

// Probes are the states of all probes of a service, by name.
func (t *Telemetry) Probes(service string) []jenner.ProbeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	var states []jenner.ProbeState
	for _, one := range t.asked {
		if one.state.Service == service {
			states = append(states, one.state)
		}
	}
	slices.SortFunc(states, func(a, b jenner.ProbeState) int { return strings.Compare(a.Name, b.Name) })
	return states
}
