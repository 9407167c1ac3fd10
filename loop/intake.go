package loop

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/line"
)

// Intake opens an incident for each service that has a firing alert, one at a time for one service, and wakes the
// incident of a service when something about it changes. It is safe for concurrent use.
type Intake struct {
	world *World
	line  *line.Line[jenner.Incident]
	wake  func(line, id string)

	changes <-chan jenner.Alert
	stop    func() // ends the subscription

	openers chan struct{} // bounds how many incidents are being opened at the same time

	mu      sync.Mutex
	opening map[string]bool    // services whose incident is being opened
	open    map[string]string  // service to the open incident
	closed  map[string]episode // fingerprint to the incident that dealt with it
	ended   map[string]ending  // by incident
	sick    map[string]string  // service to the incident that it last was a symptom of
}

// episode is one time that an alert fired. An alert that fires on, after its incident has ended, is not a new one.
type episode struct {
	incident string
	startsAt time.Time
	phase    jenner.Phase
	endedAt  time.Time
	rootOf   string // for a symptom, the incident that explains it
}

// ending is when an incident ended, and which service it was about.
type ending struct {
	at      time.Time
	service string
}

// symptomGrace is how long a symptom may outlast the incident that explains it before it counts by itself.
const symptomGrace = 5 * time.Second

// NewIntake makes an intake over the records that are open or were opened within the last day. It is made before the
// detectors look for the first time.
func NewIntake(ctx context.Context, w *World, incidents *line.Line[jenner.Incident], wake func(line, id string)) (*Intake, error) {
	intake := &Intake{world: w, line: incidents, wake: wake, openers: make(chan struct{}, maxOpeners), opening: map[string]bool{}, open: map[string]string{}, closed: map[string]episode{},
		ended: map[string]ending{}, sick: map[string]string{}}
	// From now on, and not from when Run begins: an alert in between would have to wait for the look at all of them.
	intake.changes, intake.stop = w.Board.Subscribe(1024)
	records, err := w.Records(ctx, IncidentLine, w.Now().Add(-ledgerWindow))
	if err != nil {
		intake.stop()
		return nil, err
	}
	for _, record := range records {
		intake.keep(record)
		intake.remember(record)
	}
	return intake, nil
}

// remember puts the alerts back on the board that a person was told about and that still fired then. Otherwise a restart
// would make a new episode of each of them, and act and wake people once more.
func (in *Intake) remember(record jenner.Record) {
	incident, err := incidentOf(record)
	if err != nil || record.Phase != jenner.PhaseEscalated {
		return
	}
	for _, alert := range incident.Alerts {
		if _, newer := in.world.Board.Get(alert.Fingerprint); alert.Status == jenner.Firing && !newer {
			in.world.Board.Restore([]jenner.Alert{alert})
		}
	}
}

// Committed follows what the line commits, so that the intake need not ask the store.
func (in *Intake) Committed(change jenner.Change) { in.keep(change.Record) }

func (in *Intake) keep(record jenner.Record) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !record.Ended {
		// Of two commits that follow each other at once, the word of the first may come last; what has ended stays so.
		if _, over := in.ended[record.ID]; !over {
			in.open[record.Subject] = record.ID
		}
		return
	}
	if in.open[record.Subject] == record.ID {
		delete(in.open, record.Subject)
	}
	// Of the whole incident, which may be long, only what is asked for later.
	var incident struct {
		Alerts []struct {
			Fingerprint string    `json:"fingerprint"`
			StartsAt    time.Time `json:"starts_at"`
		} `json:"alerts"`
		SymptomOf string `json:"symptom_of"`
	}
	if err := json.Unmarshal(record.State, &incident); err != nil {
		return
	}
	in.ended[record.ID] = ending{record.Updated, record.Subject}
	if incident.SymptomOf != "" {
		in.sick[record.Subject] = incident.SymptomOf
	}
	for _, alert := range incident.Alerts {
		if in.closed[alert.Fingerprint].endedAt.After(record.Updated) {
			continue // at a start they come in any order
		}
		in.closed[alert.Fingerprint] = episode{incident: record.ID, startsAt: alert.StartsAt, phase: record.Phase,
			endedAt: record.Updated, rootOf: incident.SymptomOf}
	}
}

// maxOpeners is how many incidents are opened at the same time: they share the syncs of the store.
const maxOpeners = 64

// Run takes alerts until ctx ends, and returns when the last one is dealt with. Besides the changes it looks at all
// firing alerts every second, so that none is lost, whatever happened to the message about it.
func (in *Intake) Run(ctx context.Context) {
	defer in.stop()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var taking sync.WaitGroup
	defer taking.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case alert := <-in.changes:
			in.offer(ctx, alert, &taking)
		case <-ticker.C:
			in.forget()
			for _, alert := range in.world.Board.AllFiring() {
				in.offer(ctx, alert, &taking)
			}
		}
	}
}

// offer passes over what needs no incident at once, and takes the rest beside what is being taken already.
func (in *Intake) offer(ctx context.Context, alert jenner.Alert, taking *sync.WaitGroup) {
	in.mu.Lock()
	id, open := in.open[alert.Service]
	wanted := !open && in.wanted(alert)
	in.mu.Unlock()
	if open {
		in.wake(IncidentLine, id)
	}
	if !wanted {
		return
	}
	select {
	case in.openers <- struct{}{}:
	case <-ctx.Done():
		return
	}
	taking.Go(func() {
		in.take(ctx, alert)
		<-in.openers
	})
}

// wanted tells whether an alert needs an incident of its own. The lock is held.
func (in *Intake) wanted(alert jenner.Alert) bool {
	return alert.Status == jenner.Firing && alert.Service != "" && !in.opening[alert.Service] && !in.dealtWith(alert) &&
		!in.handedOver(alert)
}

// take opens an incident for a firing alert, or wakes the open one.
func (in *Intake) take(ctx context.Context, alert jenner.Alert) {
	in.mu.Lock()
	id, open := in.open[alert.Service]
	wanted := !open && in.wanted(alert)
	if wanted {
		in.opening[alert.Service] = true
	}
	in.mu.Unlock()
	switch {
	case open:
		in.wake(IncidentLine, id)
	case wanted:
		in.begin(ctx, alert)
		in.mu.Lock()
		delete(in.opening, alert.Service)
		in.mu.Unlock()
	}
}

// begin puts a new incident on the line.
func (in *Intake) begin(ctx context.Context, alert jenner.Alert) {
	now := in.world.Now()
	id := in.world.newID("i", now)
	incident := jenner.Incident{ID: id, Service: alert.Service, OpenedAt: now, Alerts: []jenner.Alert{alert}}
	note := jenner.Entry{At: now, Phase: jenner.PhaseDetected, Kind: "alert",
		Text: alert.Name + " on " + alert.Service + ": " + alert.Summary, Data: jenner.Raw(alert)}
	if err := in.line.Create(ctx, id, alert.Service, incident, note); err != nil {
		if ctx.Err() == nil && !errors.Is(err, jenner.ErrConflict) {
			in.world.Logger.Error("cannot open an incident", "service", alert.Service, "alert", alert.Name, "error", err)
		}
		return // the alert fires on, so the next look tries again
	}
	in.wake(IncidentLine, id)
	for _, dependency := range in.world.dependenciesOf(alert.Service) {
		in.world.AskNow(dependency) // the diagnosis needs to know how they are since the alert
	}
}

// dealtWith tells whether an incident that has ended dealt with this very episode of the alert, or whether the service
// is known as a symptom of one that goes on.
func (in *Intake) dealtWith(alert jenner.Alert) bool {
	if root, symptom := in.sick[alert.Service]; symptom {
		if in.explained(alert, root) {
			return true
		}
		delete(in.sick, alert.Service)
	}
	past, known := in.closed[alert.Fingerprint]
	if !known || !past.startsAt.Equal(alert.StartsAt) {
		return false
	}
	if past.phase != jenner.PhaseSuppressed {
		return true
	}
	return in.explained(alert, past.rootOf)
}

// handedOver tells whether a person has the alert's trouble already: an incident about the service was escalated, and an alert
// of it fires on. What else fires meanwhile is the same trouble, and nobody is woken twice for it. But who was told of
// something for the morning was not told of what wakes people.
func (in *Intake) handedOver(alert jenner.Alert) bool {
	return slices.ContainsFunc(in.world.Board.Firing(alert.Service), func(firing jenner.Alert) bool {
		_, has := in.handedBy(firing)
		return has && (firing.Severity != jenner.SeverityTicket || alert.Severity == jenner.SeverityTicket)
	})
}

// handed is the incident about a service that a person has.
func (in *Intake) handed(service string) (incident string, has bool) {
	for _, firing := range in.world.Board.Firing(service) {
		if incident, has := in.handedBy(firing); has {
			return incident, true
		}
	}
	return "", false
}

// handedBy is the incident that a person has of this very episode of an alert.
func (in *Intake) handedBy(firing jenner.Alert) (incident string, has bool) {
	past, known := in.closed[firing.Fingerprint]
	return past.incident, known && past.phase == jenner.PhaseEscalated && past.startsAt.Equal(firing.StartsAt)
}

// Told tells whether a person has this very episode of an alert.
func (in *Intake) Told(alert jenner.Alert) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, has := in.handedBy(alert)
	return has
}

// Handed are the incidents that a person has and whose alerts fire on.
func (in *Intake) Handed() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var ids []string
	for _, firing := range in.world.Board.AllFiring() {
		if incident, has := in.handedBy(firing); has && !slices.Contains(ids, incident) {
			ids = append(ids, incident)
		}
	}
	return ids
}

// Explains gives the incident that explains why a service is in trouble: the open one about it, or the one that a person
// has and whose alerts fire on.
func (in *Intake) Explains(service string) (id string, known bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if id, open := in.open[service]; open {
		return id, true
	}
	return in.handed(service)
}

// explained tells whether an alert is still no more than a symptom of that incident, which goes on or which a person has.
// A process that is gone is so only while the other service is sick. A probe needs a moment longer, to see that all is
// well again. Of an incident that ended long ago nothing is kept, and the zero time is long ago.
func (in *Intake) explained(alert jenner.Alert, root string) bool {
	for service, id := range in.open {
		if id == root {
			return alert.Kind != jenner.AlertGone || len(in.world.Board.Firing(service)) > 0
		}
	}
	past := in.ended[root]
	if id, has := in.handed(past.service); has && id == root {
		return true
	}
	return alert.Kind != jenner.AlertGone && in.world.Now().Sub(past.at) < symptomGrace
}

// forget drops what is too old to matter.
func (in *Intake) forget() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for fingerprint, past := range in.closed {
		if alert, onBoard := in.world.Board.Get(fingerprint); in.world.Now().Sub(past.endedAt) > time.Hour &&
			(!onBoard || alert.Status != jenner.Firing) {
			delete(in.closed, fingerprint)
		}
	}
	for id, past := range in.ended {
		if in.world.Now().Sub(past.at) > 2*time.Hour {
			delete(in.ended, id)
		}
	}
}

// Open is the open incident of a service.
func (in *Intake) Open(service string) (string, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	id, open := in.open[service]
	return id, open
}

// OpenCount is how many incidents are open.
func (in *Intake) OpenCount() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.open)
}
