// Package loop is where the stages meet: the line of an incident and the line of a drill, each a list of phases that
// can be read aloud.
//
// It is for handing what one stage found to the next one, and for nothing else: what counts as trouble, as a cause, as
// allowed, as healed or as proven is said by the stages themselves. It is not for effects either; they go through
// package act, and faults through package chaos.
package loop

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/notify"
)

// Store is what the two lines keep and read.
type Store interface {
	line.Store
	// LedgerOf gives the entries of a service from since on, and all that hold something now; LedgerOfRunbook the last
	// runs of a runbook that passed or failed; LedgerOfPolicy those of a policy from since on. The oldest come first.
	LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error)
	LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error)
	LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error)
	// Votes are those on a request, and those given in advance for a runbook on a service.
	Votes(ctx context.Context, request, service, runbook string) ([]jenner.Vote, error)
	Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error)
	Proofs(ctx context.Context) ([]jenner.Proof, error)
}

// World is all that the stages are given. Its fields are set once, before anything runs.
type World struct {
	Store     Store
	Docs      func() *jenner.Documents
	Telemetry jenner.Telemetry
	Board     *detect.Board
	// Steady holds a service's SLIs against their bounds.
	Steady  func(ctx context.Context, service jenner.Service) []jenner.Check
	Stepper *act.Stepper
	// AskNow asks the probes of a service out of turn, since a stage waits for their answers.
	AskNow func(service string)
	// Heard is when the newest number was taken that answered a question about a service which a server is asked about, and for
	// how long its numbers are believed; nil, or zero: no server is asked about the service.
	Heard func(service jenner.Service) (newest time.Time, believed time.Duration)
	// Holds are those in force: the kill switch, and services that nobody may act on for a while.
	Holds func() []jenner.Hold
	// Planned are the events of calendars that are on for a service, and the calendars that cannot be read; nil: there
	// are no calendars.
	Planned func(service jenner.Service, now time.Time) (events []jenner.Planned, gaps []string)
	// Budgets are what is left of a service's error budgets.
	Budgets func(ctx context.Context, service jenner.Service) []decide.Budget
	// Changes are what others changed of a service since a time, the newest first; nil: nothing tells of changes.
	Changes func(service string, since time.Time) []jenner.ChangeEvent
	// Observed tells whether something tells of the conditions of targets of that kind; nil: of none.
	Observed func(kind string) bool
	// Confirm asks whoever sent alerts whether they still fire, where there is somebody to ask, and brings the board up to
	// date; it tells whether anybody was asked. Nil: there is nobody.
	Confirm func(ctx context.Context, alerts []jenner.Alert) bool
	Notify  func(ctx context.Context, channel string, message notify.Message) error
	// Records gives the records of a line that are still open, and those that ended since.
	Records func(ctx context.Context, line string, since time.Time) ([]jenner.Record, error)
	// Explains is the incident that explains why a service is in trouble, as the intake knows it. Where nil, the open one
	// that Records gives.
	Explains func(service string) (id string, known bool)
	// Told tells whether a person has this very episode of an alert, from an incident that was escalated; nil: nobody has any.
	Told    func(alert jenner.Alert) bool
	Now     func() time.Time
	Started time.Time // of this process
	// NewID makes the id of an incident or a drill; one of time and chance where nil.
	NewID  func(prefix string, now time.Time) string
	Logger *slog.Logger

	known atomic.Pointer[graph]
}

// How long stages wait for what they need. Each wait ends: what cannot be found out is told to a human.
const (
	lookAgain        = 20 * time.Millisecond  // for something that will be known within moments
	waitPatience     = time.Minute            // for a guard to agree, before a human is told that it does not
	poll             = 100 * time.Millisecond // for health
	idle             = time.Second            // for somebody else to do something
	diagnosePatience = 15 * time.Second       // for evidence that makes the cause known
	unsurePatience   = 10 * time.Second       // for a look at a dependency
	restartPatience  = 30 * time.Second       // for somebody to look at an alert again, after a start or a silence
	ledgerWindow     = 24 * time.Hour         // how far back the guards count
)

// patiently looks again soon at first, and less and less often the longer it has waited: each look costs a commit, and in
// a storm there are thousands who wait.
func patiently(soonest, waited time.Duration) time.Duration {
	return min(max(soonest, waited/5), idle/2)
}

func (w *World) newID(prefix string, now time.Time) string {
	if w.NewID != nil {
		return w.NewID(prefix, now)
	}
	return newID(prefix, now)
}

func newID(prefix string, now time.Time) string {
	var chance [3]byte
	_, _ = rand.Read(chance[:]) // never fails, says its documentation
	return prefix + "-" + now.UTC().Format("0102-150405") + "-" + hex.EncodeToString(chance[:])
}

func incidentOf(record jenner.Record) (jenner.Incident, error) {
	var incident jenner.Incident
	err := json.Unmarshal(record.State, &incident)
	return incident, err
}

// standing says how an incident's alerts stand now.
type standing string

const (
	stillFiring standing = "firing"
	allClear    standing = "clear"
	notKnown    standing = "unknown" // none is known to fire, but nobody looks after one, or has since the program started
)

// look brings the incident's alerts up to date with the board, takes in those that came since, and says how they stand.
// An alert that is not on the board any more is not looked for any more, which is not firing. One that a person has already is
// not this incident's: it may fire for days, and nothing would ever be healed.
func (w *World) look(incident *jenner.Incident) standing {
	known, firing, unseen := map[string]bool{}, false, false
	for i, alert := range incident.Alerts {
		known[alert.Fingerprint] = true
		current, onBoard := w.Board.Get(alert.Fingerprint)
		switch {
		case onBoard:
			incident.Alerts[i] = current
		case alert.Status == jenner.Firing:
			incident.Alerts[i].Status, incident.Alerts[i].EndsAt = jenner.Resolved, w.Now()
		}
	}
	for _, alert := range w.Board.Firing(incident.Service) {
		if known[alert.Fingerprint] || len(incident.Alerts) >= maxAlerts || w.Told != nil && w.Told(alert) {
			continue
		}
		incident.Alerts = append(incident.Alerts, alert)
	}
	for _, alert := range incident.Alerts {
		seen := !alert.SeenAt.Before(w.Started) && alert.Vouched(w.Now())
		firing = firing || (alert.Status == jenner.Firing && seen)
		unseen = unseen || (alert.Status == jenner.Firing && !seen)
	}
	switch {
	case firing:
		return stillFiring
	case unseen:
		return notKnown
	}
	return allClear
}

// blind is what follows when nobody can see how the alerts stand: a wait, and after a while a human.
func (w *World) blind(ctx context.Context, step *line.Step[jenner.Incident]) line.Next {
	why, until := "its alerts could not be looked at since Jenner was started, so nothing was done", w.Started.Add(restartPatience)
	for _, alert := range step.State.Alerts {
		// Whoever vouched for it until then says so again by then.
		if said := alert.ValidUntil.Add(restartPatience); alert.Status == jenner.Firing && said.After(until) {
			until = said
			why = fmt.Sprintf("nobody says any more whether alert %s still fires: %s was last heard of it at %s, so nothing was done", alert.Name,
				alert.From, alert.SeenAt.Format(time.RFC3339))
		}
	}
	if step.Now.Before(until) {
		return line.Later(step.Now.Add(poll))
	}
	return w.escalate(ctx, step, why)
}

// maxAlerts bounds what one incident carries.
const maxAlerts = 100

// symptoms are the firing alerts of the services that depend on the incident's service.
func (w *World) symptoms(service string) []jenner.Alert {
	var found []jenner.Alert
	for _, dependant := range w.dependantsOf(service) {
		found = append(found, w.Board.Firing(dependant)...)
	}
	return found[:min(len(found), maxAlerts)]
}

// page tells a human once about an incident, with everything that is known. Not being able to tell is no reason to
// stop: it is written down, and the router has tried every other way.
func (w *World) page(ctx context.Context, step *line.Step[jenner.Incident], title string) {
	incident := step.State
	if incident.Paged {
		return
	}
	incident.Paged = true
	message := notify.Message{Key: incident.ID, At: step.Now, Severity: incident.Severity(), Incident: incident.ID,
		Service: incident.Service, Title: title, Body: Context(incident)}
	if err := w.Notify(ctx, incident.Policy.EscalationChannel, message); err != nil {
		step.Note("page", "not everybody could be told: "+err.Error(), nil)
	}
	step.Note("page", fmt.Sprintf("told a human: %s", title), message)
	step.Audit("page", message)
}
