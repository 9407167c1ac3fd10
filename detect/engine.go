package detect

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultEvery is how often rules are evaluated.
	DefaultEvery = 250 * time.Millisecond
	// sampleEvery is how often SLIs are sampled.
	sampleEvery = time.Second
	// queryTimeout ends a question that telemetry does not answer; that counts as no data.
	queryTimeout = 2 * time.Second
)

// The names of alerts that people did not write themselves. A probe's alerts are named after it: `ready-failing`,
// `ready-slow`; an SLI's likewise: `sli-latency`.
const (
	ProcessGone   = "process-gone"
	SuffixFailing = "-failing"
	SuffixSlow    = "-slow"
	PrefixSLI     = "sli-"
)

// Options are what an Engine works with. Telemetry, Board and Now must be set.
type Options struct {
	Telemetry jenner.Telemetry
	Board     *Board
	Now       func() time.Time
	Every     time.Duration // between two evaluations of the rules; DefaultEvery where zero

	// Triggers reads a runbook's trigger: PromQL to evaluate, or no PromQL and the name of another alert to follow. Nil:
	// runbook triggers are not evaluated.
	Triggers func(jenner.Runbook) (name, promql string, err error)
	// HasData tells whether the metrics that a rule reads have data at all, whatever its comparison says. Without it,
	// only an answer counts as data, so that a rule's alert can fire but is never resolved.
	HasData func(ctx context.Context, promql string) (bool, error)
	// Complete is the same for rules of catalogues, which read metrics that are there only while something is wrong: it tells
	// also of those without data whether they would be there. recorded are the expressions of recorded metrics by name.
	// HasData where nil.
	Complete func(ctx context.Context, promql string, recorded map[string]string) (bool, error)
	// Record stores what the recording rules of catalogues give; nil: they are not evaluated.
	Record func(samples ...jenner.Sample) error
	// Steady learns what is normal; nil: the engine makes its own with the defaults of NewSteady.
	Steady *Steady
	Logger *slog.Logger // slog.Default() where nil
}

// Engine raises and resolves alerts on its board. It is safe for concurrent use; Run is called once.
type Engine struct {
	telemetry jenner.Telemetry
	board     *Board
	now       func() time.Time
	every     time.Duration
	triggers  func(jenner.Runbook) (name, promql string, err error)
	hasData   func(ctx context.Context, promql string) (bool, error)
	complete  func(ctx context.Context, promql string, recorded map[string]string) (bool, error)
	record    func(samples ...jenner.Sample) error
	steady    *Steady
	log       *slog.Logger

	mu   sync.RWMutex // guards docs; taken after tick
	docs *jenner.Documents

	tick     sync.Mutex // guards all below: one evaluation, or one change of the documents, at a time
	rules    []*rule
	slis     map[string]*sliWatch
	recorded map[string]string // the expressions of recorded metrics by name
	mapper   *Mapper
	lanes    []*lane

	warn   sync.Mutex // guards warned
	warned map[string]bool

	unmapped, ignored atomic.Uint64
}

// New makes an engine with no documents. It panics where something is missing that it cannot work without, which is a
// mistake of the program.
func New(opts Options) *Engine {
	if opts.Telemetry == nil || opts.Board == nil || opts.Now == nil {
		panic("detect: an engine needs Telemetry, Board and Now")
	}
	e := &Engine{
		telemetry: opts.Telemetry, board: opts.Board, now: opts.Now, every: opts.Every,
		triggers: opts.Triggers, hasData: opts.HasData, complete: opts.Complete, record: opts.Record, steady: opts.Steady, log: opts.Logger,
		docs: &jenner.Documents{}, slis: map[string]*sliWatch{}, warned: map[string]bool{},
	}
	if e.every <= 0 {
		e.every = DefaultEvery
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.steady == nil {
		e.steady = NewSteady(SteadyOptions{})
	}
	if e.hasData == nil {
		e.log.Warn("detect: no HasData was given, so the alerts of rules will fire but never be resolved")
		e.hasData = func(ctx context.Context, promql string) (bool, error) {
			answer, err := e.telemetry.Query(ctx, promql)
			return !answer.NoData(), err
		}
	}
	if e.complete == nil {
		e.complete = func(ctx context.Context, promql string, _ map[string]string) (bool, error) {
			return e.hasData(ctx, promql)
		}
	}
	return e
}

// Steady is what the engine learns normal numbers with.
func (e *Engine) Steady() *Steady { return e.steady }

// Set makes the engine watch these documents from now on. Rules that stay the same keep what is pending; alerts that no
// document asks for any more are withdrawn from the board.
func (e *Engine) Set(docs *jenner.Documents) {
	e.tick.Lock()
	defer e.tick.Unlock()
	for _, lane := range e.lanes {
		lane.end()
	}
	e.mu.Lock() // to the end, so that no probe of the old documents comes between
	defer e.mu.Unlock()
	e.docs = docs
	e.warn.Lock()
	e.warned = map[string]bool{}
	e.warn.Unlock()
	e.steady.Set(docs)
	e.setRules(docs)
	e.setSLIs(docs)
	e.lanes = e.lanesOf(docs)
	e.withdraw(docs)
}

// Run evaluates rules and samples SLIs until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	ticker := time.NewTicker(e.every)
	defer ticker.Stop()
	defer e.endLanes()
	for {
		e.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look is one evaluation of everything that is due. Jenner's own numbers are asked one question after the other: what takes
// longer than the period delays the next look, and never piles up. Servers are asked beside that, each by itself, so that one
// that hangs holds up nobody else.
func (e *Engine) look(ctx context.Context) {
	e.tick.Lock()
	defer e.tick.Unlock()
	for _, lane := range e.lanes {
		if lane.server == "" {
			lane.look(ctx)
		} else {
			lane.begin(ctx)
		}
	}
}

func (e *Engine) endLanes() {
	e.tick.Lock()
	defer e.tick.Unlock()
	for _, lane := range e.lanes {
		lane.end()
	}
}

// OnProbe takes one new state of a probe. It returns at once. A failing process check is told as ProcessGone, other
// probes as failing or slow; a state that is unknown says nothing, so it neither raises, resolves nor refreshes.
func (e *Engine) OnProbe(state jenner.ProbeState) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	service, known := e.docs.Service(state.Service)
	if !known || !alerts(service, state.Name) {
		return
	}
	judged := state.Status == jenner.ProbePassing || state.Status == jenner.ProbeSlow || state.Status == jenner.ProbeFailing
	if !judged {
		return
	}
	failing := state.Status == jenner.ProbeFailing
	if isAlive(state.Name) {
		e.putProbe(service, state, jenner.AlertGone, ProcessGone, failing)
		return
	}
	e.putProbe(service, state, jenner.AlertProbe, state.Name+SuffixFailing, failing)
	e.putProbe(service, state, jenner.AlertProbe, state.Name+SuffixSlow, state.Status == jenner.ProbeSlow)
}

// alerts tells whether a probe of the service may raise alerts. Alive checks need not be written.
func alerts(service jenner.Service, probe string) bool {
	written, known := service.ProbeNamed(probe)
	if !known {
		return isAlive(probe)
	}
	return written.Alert == nil || *written.Alert
}

// isAlive knows the process checks: `alive` of a service's first target, `alive:NAME` of the others.
func isAlive(probe string) bool {
	return probe == jenner.AliveProbe || strings.HasPrefix(probe, jenner.AliveProbe+":")
}

func (e *Engine) putProbe(service jenner.Service, state jenner.ProbeState, kind jenner.AlertKind, name string, firing bool) {
	target := firstTarget(service)
	if kind == jenner.AlertGone && state.Target != (jenner.TargetRef{}) {
		target = state.Target
	}
	alert := jenner.Alert{
		Fingerprint: jenner.Fingerprint(string(kind), service.Name, name, target.String()),
		Name:        name, Kind: kind, Service: service.Name, Target: target,
		Status: jenner.Resolved, Severity: jenner.SeverityPage,
		SeenAt: state.At,
		Labels: map[string]string{"service": service.Name, "probe": state.Name},
		Value:  state.Duration.Seconds(),
	}
	if firing {
		alert.Status, alert.StartsAt, alert.Summary = jenner.Firing, state.Since, probeSummary(state, kind)
	}
	e.board.Put(alert)
}

func probeSummary(state jenner.ProbeState, kind jenner.AlertKind) string {
	switch {
	case kind == jenner.AlertGone:
		return "the process does not live: " + or(state.Message, "no reason given")
	case state.Status == jenner.ProbeSlow:
		return fmt.Sprintf("probe %s of %s is slow: it took %s", state.Name, state.Service, state.Duration)
	}
	return fmt.Sprintf("probe %s of %s fails: %s", state.Name, state.Service, or(state.Message, "no reason given"))
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// firstTarget is the target of alerts that are about a service as a whole; zero where it has none.
func firstTarget(service jenner.Service) jenner.TargetRef {
	if len(service.Targets) == 0 {
		return jenner.TargetRef{}
	}
	return service.Targets[0].Ref()
}

// withdraw takes the alerts off the board that nothing in the documents looks after any more.
func (e *Engine) withdraw(docs *jenner.Documents) {
	for _, alert := range e.board.AllFiring() {
		if !e.lookedAfter(docs, alert) {
			e.log.Info("detect: nothing looks after this alert any more, it is withdrawn",
				"alert", alert.Name, "service", alert.Service)
			e.board.Withdraw(alert.Fingerprint)
		}
	}
}

func (e *Engine) lookedAfter(docs *jenner.Documents, alert jenner.Alert) bool {
	service, known := docs.Service(alert.Service)
	if !known && alert.Service != "" {
		return false
	}
	if alert.Name == jenner.TelemetryDown && alert.Kind == jenner.AlertEvent {
		return slices.ContainsFunc(docs.Prometheus, func(server jenner.Prometheus) bool {
			return server.Name == alert.Labels["server"] && (server.Service == alert.Service || alert.Service == "")
		})
	}
	switch alert.Kind {
	case jenner.AlertProbe, jenner.AlertGone:
		return alerts(service, alert.Labels["probe"])
	case jenner.AlertSLI:
		watch := e.slis[sliKey(alert.Service, alert.Labels["sli"])]
		return watch != nil && watch.sli.For > 0
	case jenner.AlertRule, jenner.AlertTrigger:
		for _, rule := range e.rules {
			if rule.owns(alert) {
				return true
			}
		}
		return false
	case jenner.AlertEvent:
		return hasTarget(docs, alert.Service, alert.Target)
	case jenner.AlertTaken:
		return slices.ContainsFunc(docs.Receivers, func(r jenner.Receiver) bool { return r.Name == alert.From })
	}
	return true // another detector's
}

// warnOnce says what people must know, once until the documents change.
func (e *Engine) warnOnce(text string, about ...any) {
	if e.first(fmt.Sprint(append([]any{text}, about...)...)) {
		e.log.Warn("detect: "+text, about...)
	}
}

// first tells whether something is met for the first time since the documents changed.
func (e *Engine) first(key string) bool {
	e.warn.Lock()
	defer e.warn.Unlock()
	before := e.warned[key]
	e.warned[key] = true
	return !before
}
