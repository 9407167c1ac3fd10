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

	mu sync.Mutex
	on map[string]jenner.Alert // by fingerprint
}

// Observed is the sink of one observer. Changes are handed on to changed.
func (e *Engine) Observed(observer string, changed func(jenner.ChangeEvent)) *Observed {
	return &Observed{engine: e, observer: observer, record: changed, on: map[string]jenner.Alert{}}
}

// Condition raises or resolves the condition's alert. One of a service that the documents do not know is passed over.
func (o *Observed) Condition(condition jenner.Condition) {
	o.engine.mu.RLock()
	defer o.engine.mu.RUnlock()
	if _, known := o.engine.docs.Service(condition.Service); !known {
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

// Synced resolves every alert of this observer that it has not told of since it began.
func (o *Observed) Synced() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, alert := range o.engine.board.AllFiring() {
		if _, holds := o.on[alert.Fingerprint]; alert.Kind == jenner.AlertEvent && alert.Labels[labelObserver] == o.observer && !holds {
			alert.Status, alert.SeenAt = jenner.Resolved, o.engine.now()
			o.engine.board.Put(alert)
		}
	}
}

// Seen refreshes the alerts of all conditions that hold.
func (o *Observed) Seen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.engine.now()
	for _, alert := range o.on {
		alert.SeenAt = now
		o.engine.board.Put(alert)
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
