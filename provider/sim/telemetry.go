package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Telemetry sees a world as the real one sees the real one, but without chance: each probe is asked in its rhythm from
// the moment it is set, and an answer takes no time even where it says that it came late. It counts answers more simply:
// a status needs Fails like answers in a row, and two to pass again; alive checks need one. It is safe for concurrent
// use.
type Telemetry struct {
	// Now stamps what was heard; it is set before Set is called, where the world's clock is not the one of those who ask.
	Now func() time.Time

	world   *World
	onState func(state jenner.ProbeState)

	mu    sync.Mutex
	asked []*asked
	of    map[string][]*asked // by service, in the order of names
	blind bool
	wake  chan struct{} // Run must look again at what is due
}

// asked is one probe with its state.
type asked struct {
	service jenner.Service
	probe   jenner.Probe
	of      string // the world's service that is asked
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
	return &Telemetry{Now: world.now, world: world, onState: onState, of: map[string][]*asked{}, wake: make(chan struct{}, 1)}
}

// Set makes it ask the probes of these services, and whether their targets of kind sim live. Probes of other kinds than
// answer are an error, and so are those of another world.
func (t *Telemetry) Set(services []jenner.Service) error {
	var list []*asked
	for _, service := range services {
		for i, target := range service.Targets {
			if target.Kind != "sim" {
				continue
			}
			name := jenner.AliveProbe
			if i > 0 {
				name += ":" + target.Name
			}
			list = append(list, t.asking(service, target, jenner.Probe{Name: name, Kind: jenner.AliveProbe, Fails: 1,
				Every: jenner.Duration(250 * time.Millisecond)}))
		}
		for _, probe := range service.Probes {
			one := t.asking(service, jenner.Target{}, probe)
			var written ProbeAnswer
			if probe.Kind != "answer" {
				return fmt.Errorf("probe %s of %s: a fake world answers probes of kind answer only, not %q", probe.Name, service.Name, probe.Kind)
			}
			if err := strict.Decode(probe.Params, &written); err != nil || written.World != t.world.id {
				return fmt.Errorf("probe %s of %s: world %q, and this is %q: %w", probe.Name, service.Name, written.World, t.world.id, err)
			}
			one.of = written.of(service)
			list = append(list, one)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.of = list, map[string][]*asked{}
	for _, one := range list {
		t.of[one.service.Name] = append(t.of[one.service.Name], one)
	}
	for _, ofService := range t.of {
		slices.SortStableFunc(ofService, func(a, b *asked) int { return strings.Compare(a.probe.Name, b.probe.Name) })
	}
	t.again()
	return nil
}

func (t *Telemetry) asking(service jenner.Service, target jenner.Target, probe jenner.Probe) *asked {
	probe.Every = jenner.Duration(probe.Every.Or(time.Second))
	if probe.Fails == 0 {
		probe.Fails = 2
	}
	return &asked{service: service, probe: probe, of: target.Name, next: t.world.now(), state: jenner.ProbeState{
		Service: service.Name, Name: probe.Name, Kind: probe.Kind, Target: target.Ref(), Status: jenner.ProbeUnknown,
		Since: t.Now(), Every: probe.Every.Std()}}
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
	for _, one := range t.of[service] {
		one.next = t.world.now()
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
	rest := idle
	if next, any := t.Next(); any {
		rest = min(rest, max(0, next.Sub(t.world.now())))
	}
	return rest
}

// Next is when the next probe is due, by the world's clock; false where none is.
func (t *Telemetry) Next() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blind || len(t.asked) == 0 {
		return time.Time{}, false
	}
	next := t.asked[0].next
	for _, one := range t.asked {
		if one.next.Before(next) {
			next = one.next
		}
	}
	return next, true
}

// Look asks each probe that is due by now, and tells what it heard.
func (t *Telemetry) Look(context.Context) {
	t.mu.Lock()
	now, stamp := t.world.now(), t.Now()
	var heard []jenner.ProbeState
	for _, one := range t.asked {
		if t.blind || one.next.After(now) {
			continue
		}
		one.next = one.next.Add(one.probe.Every.Std())
		if !one.next.After(now) {
			one.next = now.Add(one.probe.Every.Std()) // times that were missed are not made up for
		}
		if t.world.hidden(one.of) {
			continue
		}
		one.answer(stamp, t.world)
		heard = append(heard, one.state)
	}
	t.mu.Unlock()
	for _, state := range heard {
		t.onState(state)
	}
}

// answer puts the question and counts the answer.
func (a *asked) answer(now time.Time, world *World) {
	late, err := a.ask(world)
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

func (a *asked) ask(world *World) (time.Duration, error) {
	if a.probe.Kind == jenner.AliveProbe {
		return 0, world.gone(a.of)
	}
	late, err := world.Ask(a.of)
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
	return jenner.Answer{Samples: []jenner.Sample{{Value: value, At: t.Now()}}}, nil
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
	for _, one := range t.of[service] {
		if one.state.Name == name {
			return one.state, true
		}
	}
	return jenner.ProbeState{}, false
}

// Probes are the states of all probes of a service, by name.
func (t *Telemetry) Probes(service string) []jenner.ProbeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	states := make([]jenner.ProbeState, 0, len(t.of[service]))
	for _, one := range t.of[service] {
		states = append(states, one.state)
	}
	return states
}
