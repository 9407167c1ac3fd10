package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// World is a fake world. It is safe for concurrent use. It has no goroutine of its own: what is to happen later happens
// at the first look at the world after that time, whoever looks.
type World struct {
	// Wait, where it is set, is how an effect that takes time lets it pass: it returns nil after d, which is negative for
	// an effect that never ends, and the cause of ctx's end where that comes first. It is set before the first effect.
	// Where it is nil a timer waits.
	Wait func(ctx context.Context, d time.Duration) error
	// Noted, where it is set, hears of each effect at once. It is called with the world locked, so that it must not look
	// at the world. It is set before the first effect.
	Noted func(effect Effect)

	id  string
	now func() time.Time

	mu       sync.Mutex
	services map[string]*service
	later    []planned
	answers  map[string]float64
	effects  []Effect
	busy     map[string]int // effects under way, by service
	struck   map[string]strike
}

// service is one service as it stands.
type service struct {
	alive, hung bool
	generation  int // counts starts
	startedAt   time.Time
	by          string // the key of the action that started or ended it last; empty: somebody else, or an accident
	needs       []need
	knobs       map[string]string
}

// need is a dependency; it does not count while the flag is on.
type need struct{ service, unless string }

// planned is a change at a time.
type planned struct {
	at     time.Time
	change func(w *World)
}

// strike is what a fault does to a service until a time: it adds a latency, or makes it flap, or hides it.
type strike struct {
	service     string
	latency     time.Duration
	flaps       time.Duration // it answers with errors for so long, then well for as long, and so on
	hides       bool          // nobody who observes gets to see it
	since, till time.Time
	count       int // answers that it changed, or questions that it kept from being asked
}

// Effect is something that an action or a fault did to the world.
type Effect struct {
	At      time.Time
	What    string // restart, stop, start, set KNOB, undo …, fault …
	Service string
	Key     string // the idempotency key, or the fault record's id
}

// The knobs of a service that mean something to the world. Besides them there are any number of flags (`flag:NAME`).
const (
	KnobBroken     = "broken"      // true: it lives and answers with errors, whatever is restarted
	KnobLatency    = "latency"     // how late it answers
	KnobStartTakes = "start_takes" // how long an action needs to start it
	KnobWarmUp     = "warm_up"     // how long after a start it answers with errors
	KnobStuck      = "stuck"       // true: a start does not end
	KnobStartFails = "start_fails" // how many of the next starts fail for a passing reason
	KnobImmune     = "immune"      // true: faults do nothing to it
	KnobReturns    = "returns"     // how long after its death it starts by itself; zero: it does not
	FlagPrefix     = "flag:"       // of flags, whose values are `on`, `off` or anything else
)

// NewWorld makes an empty world under an id and a clock. An id that is taken panics: it is a mistake of the test.
func NewWorld(id string, now func() time.Time) *World {
	world := &World{id: id, now: now, services: map[string]*service{}, answers: map[string]float64{},
		busy: map[string]int{}, struck: map[string]strike{}}
	worlds.Lock()
	defer worlds.Unlock()
	if _, taken := worlds.byID[id]; taken {
		panic("sim: there is a world " + id + " already")
	}
	worlds.byID[id] = world
	return world
}

// Close takes the world out of the registry.
func (w *World) Close() {
	worlds.Lock()
	defer worlds.Unlock()
	delete(worlds.byID, w.id)
}

// Target is the target that stands for a service of this world.
func (w *World) Target(name string) jenner.Target {
	return jenner.Target{Kind: "sim", Name: name, Params: jenner.Params{"world": jenner.Raw(w.id)}}
}

// lock begins to look at the world, after what was to happen by now has happened.
func (w *World) lock() func() {
	w.mu.Lock()
	now := w.now()
	for {
		first := -1
		for i, one := range w.later {
			if !one.at.After(now) && (first < 0 || one.at.Before(w.later[first].at)) {
				first = i
			}
		}
		if first < 0 {
			return w.mu.Unlock
		}
		due := w.later[first]
		w.later = slices.Delete(w.later, first, first+1)
		w.mu.Unlock() // the change looks at the world like anybody else
		due.change(w)
		w.mu.Lock()
	}
}

// At lets something happen to the world at a time.
func (w *World) At(when time.Time, change func(w *World)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later = append(w.later, planned{when, change})
}

// Add adds a service that lives and is well. A dependency written as `NAME unless FLAG` does not count while the flag
// of that name is on.
func (w *World) Add(name string, needs ...string) {
	defer w.lock()()
	added := &service{alive: true, generation: 1, startedAt: time.Time{}, knobs: map[string]string{}}
	for _, written := range needs {
		on, unless, _ := strings.Cut(written, " unless ")
		added.needs = append(added.needs, need{on, unless})
	}
	w.services[name] = added
}

// Has is an error where there is no such service.
func (w *World) Has(name string) error {
	defer w.lock()()
	_, err := w.service(name)
	return err
}

func (w *World) service(name string) (*service, error) {
	if one, known := w.services[name]; known {
		return one, nil
	}
	return nil, jenner.Permanent(fmt.Errorf("there is no service %q in the fake world %s", name, w.id), "")
}

// must is for the test's own hands: a wrong name there is a mistake of the test.
func (w *World) must(name string) *service {
	one, err := w.service(name)
	if err != nil {
		panic("sim: " + err.Error())
	}
	return one
}

// Kill ends a service, as an accident would.
func (w *World) Kill(name string) {
	defer w.lock()()
	w.end(name, w.must(name))
}

// end ends a service; one with the knob returns comes back by itself.
func (w *World) end(name string, one *service) {
	if one.alive {
		one.by = ""
	}
	one.alive, one.hung = false, false
	back, generation := one.duration(KnobReturns), one.generation
	if back > 0 {
		w.later = append(w.later, planned{w.now().Add(back), func(w *World) {
			defer w.lock()()
			if !one.alive && one.generation == generation {
				w.begin(one)
			}
		}})
	}
}

func (w *World) begin(one *service) {
	one.alive, one.hung, one.startedAt, one.by = true, false, w.now(), ""
	one.generation++
}

// Hang stops a service without ending it, as an accident would.
func (w *World) Hang(name string) {
	defer w.lock()()
	w.must(name).hung = true
}

// Start starts a service, as somebody else would.
func (w *World) Start(name string) {
	defer w.lock()()
	if one := w.must(name); !one.alive || one.hung {
		w.begin(one)
	}
}

// Set turns a knob, as somebody else would. Values that the knob cannot have are an error.
func (w *World) Set(name, knob, value string) error {
	if err := checkKnob(knob, value); err != nil {
		return err
	}
	defer w.lock()()
	one, err := w.service(name)
	if err == nil {
		one.knobs[knob] = value
	}
	return err
}

// Knob is a knob's value; empty where it was never turned.
func (w *World) Knob(name, knob string) string {
	defer w.lock()()
	return w.must(name).knobs[knob]
}

func checkKnob(knob, value string) error {
	switch {
	case strings.HasPrefix(knob, FlagPrefix) && len(knob) > len(FlagPrefix):
		return nil
	case value == "": // as it was before it was ever turned
	case slices.Contains([]string{KnobBroken, KnobStuck, KnobImmune}, knob):
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("knob %s is true or false, not %q", knob, value)
		}
	case slices.Contains([]string{KnobLatency, KnobStartTakes, KnobWarmUp, KnobReturns}, knob):
		if _, err := jenner.ParseDuration(value); err != nil {
			return fmt.Errorf("knob %s: %w", knob, err)
		}
	case knob == KnobStartFails:
		if count, err := strconv.Atoi(value); err != nil || count < 0 {
			return fmt.Errorf("knob %s is a number from 0 on, not %q", knob, value)
		}
	default:
		return fmt.Errorf("there is no knob %q; flags are written flag:NAME", knob)
	}
	return nil
}

func (s *service) is(knob string) bool { return s.knobs[knob] == "true" }

func (s *service) duration(knob string) time.Duration {
	parsed, _ := jenner.ParseDuration(s.knobs[knob]) // was checked when it was set
	return parsed.Std()
}

// State is running, hung or gone.
func (w *World) State(name string) string {
	defer w.lock()()
	return w.must(name).mood()
}

func (s *service) mood() string {
	switch {
	case !s.alive:
		return "gone"
	case s.hung:
		return "hung"
	}
	return "running"
}

// gone is an error where a service does not live.
func (w *World) gone(name string) error {
	defer w.lock()()
	one, err := w.service(name)
	if err == nil && !one.alive {
		err = errGone
	}
	return err
}

// errGone is what there is to say about a service that does not live.
var errGone = errors.New("it is gone")

// Generation counts how often a service was started, its first start included.
func (w *World) Generation(name string) int {
	defer w.lock()()
	return w.must(name).generation
}

// errHangs is what a service says that does not answer at all.
var errHangs = errors.New("it hangs and does not answer")

// Ask asks a service, and through it what it needs: how late the answer is, and why it is no good answer.
func (w *World) Ask(name string) (late time.Duration, err error) {
	defer w.lock()()
	return w.ask(name, map[string]bool{})
}

func (w *World) ask(name string, asking map[string]bool) (time.Duration, error) {
	one, err := w.service(name)
	if err != nil || asking[name] {
		return 0, err // who needs itself in a circle does not fail by that
	}
	asking[name] = true
	defer delete(asking, name)
	switch now := w.now(); {
	case !one.alive:
		return 0, errors.New("connection refused")
	case one.hung:
		return 0, errHangs
	case one.is(KnobBroken):
		return 0, errors.New("it answers with an error")
	case now.Before(one.startedAt.Add(one.duration(KnobWarmUp))):
		return 0, errors.New("it is still warming up")
	}
	struck, flaps := w.struckBy(name)
	if flaps {
		return 0, errors.New("it answers with an error, as it does every other moment")
	}
	late := one.duration(KnobLatency) + struck
	slowest := time.Duration(0)
	for _, need := range one.needs {
		if need.unless != "" && one.knobs[FlagPrefix+need.unless] == "on" {
			continue
		}
		took, err := w.ask(need.service, asking)
		if err != nil {
			return 0, fmt.Errorf("it needs %s: %w", need.service, err)
		}
		slowest = max(slowest, took)
	}
	return late + slowest, nil
}

// struckBy is the latency that faults add to a service now, and whether one makes it fail at this moment; each of them
// counts the answers that it changes.
func (w *World) struckBy(name string) (added time.Duration, flaps bool) {
	now := w.now()
	for id, one := range w.struck {
		failing := one.flaps > 0 && now.Sub(one.since)/one.flaps%2 == 0
		if one.service != name || !now.Before(one.till) || one.latency == 0 && !failing {
			continue
		}
		one.count++
		w.struck[id] = one
		added, flaps = added+one.latency, flaps || failing
	}
	return added, flaps
}

// hidden tells whether nobody gets to see a service now; the fault that hides it counts that somebody wanted to.
func (w *World) hidden(name string) bool {
	defer w.lock()()
	for id, one := range w.struck {
		if one.service == name && one.hides && w.now().Before(one.till) {
			one.count++
			w.struck[id] = one
			return true
		}
	}
	return false
}

// SetAnswer makes a PromQL question, letter for letter, have an answer of one sample.
func (w *World) SetAnswer(promql string, value float64) {
	defer w.lock()()
	w.answers[promql] = value
}

// NoAnswer makes a question have no answer any more, which is how every question begins.
func (w *World) NoAnswer(promql string) {
	defer w.lock()()
	delete(w.answers, promql)
}

// Effects are all that actions and faults did, in order.
func (w *World) Effects() []Effect {
	defer w.lock()()
	return slices.Clone(w.effects)
}

func (w *World) note(what, service, key string) {
	effect := Effect{w.now(), what, service, key}
	w.effects = append(w.effects, effect)
	if w.Noted != nil {
		w.Noted(effect)
	}
}

// Busy tells whether an effect on the service is under way.
func (w *World) Busy(name string) bool {
	defer w.lock()()
	return w.busy[name] > 0
}

// start is how an action starts a service: it may take long, fail for a passing reason, or never end.
func (w *World) start(ctx context.Context, name, key string) error {
	unlock := w.lock()
	one, err := w.service(name)
	if err != nil {
		unlock()
		return err
	}
	if left, _ := strconv.Atoi(one.knobs[KnobStartFails]); left > 0 {
		one.knobs[KnobStartFails] = strconv.Itoa(left - 1)
		unlock()
		return jenner.Retryable(fmt.Errorf("%s did not start: the machine is busy", name), "")
	}
	takes, stuck := one.duration(KnobStartTakes), one.is(KnobStuck)
	w.busy[name]++
	unlock()
	err = w.pass(ctx, takes, stuck)
	defer w.lock()()
	w.busy[name]--
	if err == nil {
		w.begin(one)
		one.by = key
	}
	return err
}

// did tells whether the action with that key was the last to start or end a service.
func (w *World) did(name, key string) bool {
	defer w.lock()()
	return w.must(name).by == key
}

// pass lets the time pass that an effect takes.
func (w *World) pass(ctx context.Context, takes time.Duration, ever bool) error {
	switch {
	case w.Wait == nil || ctx.Err() != nil:
		return wait(ctx, takes, ever)
	case ever:
		return w.Wait(ctx, -1)
	case takes == 0:
		return nil
	}
	return w.Wait(ctx, takes)
}

// wait is for a time, or for ever; an end of ctx ends it.
func wait(ctx context.Context, takes time.Duration, ever bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ever {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if takes == 0 {
		return nil
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
