package detect

import (
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// labelObserver tells whose condition an alert is.
const labelObserver = "observer"

// Observed turns the conditions that one observer tells into alerts of the engine's board, named after their reasons. Its
// methods may be called concurrently.
type Observed struct {
	engine   *Engine
	observer string
	record   func(jenner.ChangeEvent)

	mu    sync.Mutex
	on    map[string]jenner.Alert // by fingerprint
	blind map[string]string       // why, by what cannot be seen
}

// Observed is the sink of one observer. Changes are handed on to changed.
func (e *Engine) Observed(observer string, changed func(jenner.ChangeEvent)) *Observed {
	return &Observed{engine: e, observer: observer, record: changed, on: map[string]jenner.Alert{}, blind: map[string]string{}}
}

// Condition raises or resolves the condition's alert. One about a service or a target that the documents do not know is
// passed over: the observer is about to hear that they are gone.
func (o *Observed) Condition(condition jenner.Condition) {
	o.engine.mu.RLock()
	defer o.engine.mu.RUnlock()
	if !hasTarget(o.engine.docs, condition.Service, condition.Target) {
		return
	}
	alert := o.alert(condition)
	o.mu.Lock()
	defer o.mu.Unlock()
	if condition.On {
		o.on[alert.Fingerprint] = alert
	} else {
		delete(o.on, alert.Fingerprint)
	}
	o.engine.board.Put(alert)
}

// hasTarget tells whether the documents know the service and its target. No target stands for the service as a whole.
func hasTarget(docs *jenner.Documents, name string, target jenner.TargetRef) bool {
	service, known := docs.Service(name)
	return known && (target == jenner.TargetRef{} ||
		slices.ContainsFunc(service.Targets, func(one jenner.Target) bool { return one.Ref() == target }))
}

func (o *Observed) alert(c jenner.Condition) jenner.Alert {
	alert := jenner.Alert{
		Fingerprint: jenner.Fingerprint(string(jenner.AlertEvent), c.Service, c.Target.String(), c.Reason, c.Object),
		Name:        c.Reason, Kind: jenner.AlertEvent, Service: c.Service, Target: c.Target,
		Status: jenner.Resolved, Severity: c.Severity, StartsAt: c.Since, SeenAt: o.engine.now(), Summary: c.Summary, Value: c.Value,
		Labels: map[string]string{"service": c.Service, labelObserver: o.observer},
	}
	if alert.Severity == "" {
		alert.Severity = jenner.SeverityPage
	}
	for name, value := range c.Labels {
		alert.Labels[name] = value
	}
	if c.Object != "" {
		alert.Labels["object"] = c.Object
	}
	if c.On {
		alert.Status = jenner.Firing
	}
	return alert
}

// Changed hands a change on.
func (o *Observed) Changed(event jenner.ChangeEvent) { o.record(event) }

// Synced resolves every alert of these subjects that this observer raised and has not told of since it began.
func (o *Observed) Synced(subjects ...jenner.Subject) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, alert := range o.engine.board.AllFiring() {
		if _, holds := o.on[alert.Fingerprint]; !holds && o.mine(alert) && among(subjects, alert) {
			alert.Status, alert.SeenAt = jenner.Resolved, o.engine.now()
			o.engine.board.Put(alert)
		}
	}
}

func (o *Observed) mine(alert jenner.Alert) bool {
	return alert.Kind == jenner.AlertEvent && alert.Labels[labelObserver] == o.observer
}

func among(subjects []jenner.Subject, alert jenner.Alert) bool {
	return len(subjects) == 0 || slices.Contains(subjects, jenner.Subject{Service: alert.Service, Target: alert.Target})
}

// Seen refreshes the alerts of all conditions of these subjects that hold. One that was withdrawn meanwhile, because
// the documents do not know its target any more, is not raised again.
func (o *Observed) Seen(subjects ...jenner.Subject) {
	o.engine.mu.RLock()
	defer o.engine.mu.RUnlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.engine.now()
	for fingerprint, alert := range o.on {
		switch {
		case !hasTarget(o.engine.docs, alert.Service, alert.Target):
			delete(o.on, fingerprint)
		case among(subjects, alert):
			alert.SeenAt = now
			o.on[fingerprint] = alert
			o.engine.board.Put(alert)
		}
	}
}

// Blind writes down what cannot be seen, and that it can be seen again, each once.
func (o *Observed) Blind(what string, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, was := o.blind[what]
	switch {
	case why == nil && was:
		delete(o.blind, what)
		o.engine.log.Info("detect: it can be observed again", "observer", o.observer, "what", what)
	case why != nil && before != why.Error():
		o.blind[what] = why.Error()
		o.engine.log.Warn("detect: it cannot be observed; what is known of it goes stale", "observer", o.observer, "what", what, "error", why)
	}
}

const (
	// changesKept is for how long a change is remembered, and changesOfService how many of one service at most.
	changesKept      = 24 * time.Hour
	changesOfService = 100
)

// Changes remembers what was changed lately, by service. It is safe for concurrent use, and starts empty.
type Changes struct {
	now func() time.Time

	mu        sync.Mutex
	byService map[string][]jenner.ChangeEvent // the newest last
}

// NewChanges makes an empty memory.
func NewChanges(now func() time.Time) *Changes {
	return &Changes{now: now, byService: map[string][]jenner.ChangeEvent{}}
}

// Record remembers a change. One that is known is not kept twice; one from long ago is passed over.
func (c *Changes) Record(event jenner.ChangeEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if event.At.IsZero() {
		event.At = now
	}
	old := func(e jenner.ChangeEvent) bool { return now.Sub(e.At) > changesKept }
	known := func(e jenner.ChangeEvent) bool {
		return e.Kind == event.Kind && e.Object == event.Object && e.Target == event.Target && e.At.Equal(event.At)
	}
	events := slices.DeleteFunc(c.byService[event.Service], old)
	if !old(event) && !slices.ContainsFunc(events, known) {
		events = append(events, event)
		slices.SortStableFunc(events, func(a, b jenner.ChangeEvent) int { return a.At.Compare(b.At) })
	}
	c.byService[event.Service] = events[max(0, len(events)-changesOfService):]
}

// Of are the changes of a service since a time, the newest first.
func (c *Changes) Of(service string, since time.Time) []jenner.ChangeEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	var events []jenner.ChangeEvent
	for _, event := range slices.Backward(c.byService[service]) {
		if !event.At.Before(since) {
			events = append(events, event)
		}
	}
	return events
}
