package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/notify"
)

// Memory is what was done and proved before a replayed incident.
type Memory interface {
	LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error)
	LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error)
	LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error)
	Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error)
	Proofs(ctx context.Context) ([]jenner.Proof, error)
}

// Replay runs what was seen of an incident through documents, and says what would be diagnosed and decided, without any
// effect. The scene takes the world's place, and Memory is read as it stood at the scene's time. Of the live world only the
// Stepper's actions are asked how much they would touch and who owns it; what the files look at today and nobody looked at
// then is missing evidence. What people did then is left out: holds, pauses and words on a request; so is what was left of
// error budgets, which nobody kept. The same scene, files and memory give the same answer. Run may be called concurrently.
type Replay struct {
	Docs    *jenner.Documents
	Memory  Memory // nil: nothing was done before
	Stepper *act.Stepper
	// Planned are the events of calendars that were on for a service; nil: there are no calendars.
	Planned func(service jenner.Service, now time.Time) (events []jenner.Planned, gaps []string)
	// Explains is the incident about a service that was open at a time; nil: there was none.
	Explains func(service string, at time.Time) (id string, known bool)
}

// Replayed is what a replay came to.
type Replayed struct {
	Incident jenner.Incident `json:"incident"` // with the diagnosis, policy and plan of the documents
	Decision jenner.Decision `json:"decision,omitzero"`
	// Nothing says why no decision came about; empty where one did.
	Nothing string `json:"nothing,omitempty"`
}

// Run replays one incident from its alerts. An error is that of the memory.
func (r Replay) Run(ctx context.Context, id, service string, scene jenner.Scene) (Replayed, error) {
	w := r.world(scene)
	incident := jenner.Incident{ID: id, Service: service, OpenedAt: scene.At, Alerts: w.Board.Firing(service)}
	step := &incidentStep{State: &incident, ID: id, Phase: jenner.PhaseDetected, Now: scene.At}
	if len(incident.Alerts) == 0 {
		return Replayed{Incident: incident, Nothing: "no alert of " + service + " fired"}, nil
	}
	w.rediagnose(ctx, step)
	_, known := incident.Diagnosis.Best()
	switch {
	case !known && incident.Diagnosis.Unsure != "":
		return Replayed{Incident: incident, Nothing: "too early to tell: " + incident.Diagnosis.Unsure}, nil
	case !known:
		return Replayed{Incident: incident, Nothing: "the cause is unknown: no signature fits what was seen"}, nil
	}
	if root := incident.Diagnosis.Root; root != service && r.Explains != nil {
		if other, open := r.Explains(root, scene.At); open && other != id {
			incident.SymptomOf = other
			return Replayed{Incident: incident, Nothing: symptomText(root, other)}, nil
		}
	}
	if _, err := w.plan(ctx, step); err != nil {
		return Replayed{}, err
	}
	if len(incident.Plan) == 0 {
		return Replayed{Incident: incident, Nothing: incident.Outcome}, nil
	}
	step.Phase = jenner.PhasePlanned
	input, _, err := w.decideInput(ctx, step)
	if err != nil {
		return Replayed{}, err
	}
	return Replayed{Incident: incident, Decision: decide.Decide(input)}, nil
}

// world is a world that is the scene, and in which nobody is told anything.
func (r Replay) world(scene jenner.Scene) *World {
	now := func() time.Time { return scene.At }
	board := detect.NewBoard(now)
	board.Restore(scene.Firing)
	telemetry := past{scene}
	memory := r.Memory
	if memory == nil {
		memory = nothing{}
	}
	return &World{Store: asOf{memory, scene.At}, Docs: func() *jenner.Documents { return r.Docs }, Telemetry: telemetry, Board: board,
		Stepper: r.Stepper, AskNow: func(string) {}, Holds: func() []jenner.Hold { return nil }, Planned: r.Planned,
		Budgets: budgetsThen, Changes: telemetry.changes, Observed: func(string) bool { return true },
		Steady:  func(context.Context, jenner.Service) []jenner.Check { return nil },
		Notify:  func(context.Context, string, notify.Message) error { return nil },
		Records: func(context.Context, string, time.Time) ([]jenner.Record, error) { return nil, nil },
		Now:     now, Started: scene.At, Logger: slog.New(slog.DiscardHandler)}
}

// symptomText says of what an incident was a symptom.
func symptomText(root, id string) string {
	return fmt.Sprintf("a symptom of %s, which %s explains", root, id)
}

// budgetsThen are the error budgets as far as they are known of the past.
func budgetsThen(_ context.Context, service jenner.Service) []decide.Budget {
	var budgets []decide.Budget
	for _, slo := range service.SLOs {
		budgets = append(budgets, decide.Budget{SLO: slo.Name, Why: "nobody kept how much of it was left then"})
	}
	return budgets
}

// asOf is a memory as it stood at a time, as a store that nothing can be put into.
type asOf struct {
	Memory
	at time.Time
}

func before[T any](all []T, err error, at time.Time, when func(T) time.Time) ([]T, error) {
	var kept []T
	for _, one := range all {
		if when(one).Before(at) {
			kept = append(kept, one)
		}
	}
	return kept, err
}

// entries are those of before, as they stood: what a run came to was not known while it still held its target.
func (a asOf) entries(all []jenner.LedgerEntry, err error) ([]jenner.LedgerEntry, error) {
	kept, err := before(all, err, a.at, func(entry jenner.LedgerEntry) time.Time { return entry.At })
	for i := range kept {
		if kept[i].Kind != jenner.LedgerHealth && kept[i].Until.After(a.at) {
			kept[i].Result = ""
		}
	}
	return kept, err
}

func (a asOf) LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error) {
	return a.entries(a.Memory.LedgerOf(ctx, service, since, now))
}

// LedgerOfRunbook asks for more and more until the last runs before that time are among them, for the newest of all may
// have come after it.
func (a asOf) LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error) {
	for ask := max(1, limit); ; ask *= 4 {
		all, err := a.Memory.LedgerOfRunbook(ctx, runbook, ask)
		kept, err := a.entries(all, err)
		kept = slices.DeleteFunc(kept, func(entry jenner.LedgerEntry) bool { return entry.Result == "" })
		if err != nil || len(kept) >= limit || len(all) < ask {
			return kept[max(0, len(kept)-limit):], err
		}
	}
}

func (a asOf) LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error) {
	return a.entries(a.Memory.LedgerOfPolicy(ctx, policy, since))
}

func (a asOf) Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error) {
	all, err := a.Memory.Judgements(ctx, policy, since)
	return before(all, err, a.at, func(j jenner.Judgement) time.Time { return j.At })
}

func (a asOf) Proofs(ctx context.Context) ([]jenner.Proof, error) {
	all, err := a.Memory.Proofs(ctx)
	return before(all, err, a.at, func(p jenner.Proof) time.Time { return p.At })
}

func (asOf) Votes(context.Context, string, string, string) ([]jenner.Vote, error) { return nil, nil }

var errReplay = errors.New("a replay keeps nothing")

func (asOf) Load(context.Context, string, string) (jenner.Record, error) {
	return jenner.Record{}, errReplay
}
func (asOf) Commit(context.Context, jenner.Change) error { return errReplay }
func (asOf) Due(context.Context, string, time.Time, int) ([]string, time.Time, error) {
	return nil, time.Time{}, errReplay
}

// nothing is the memory of somebody who has seen nothing before.
type nothing struct{}

func (nothing) LedgerOf(context.Context, string, time.Time, time.Time) ([]jenner.LedgerEntry, error) {
	return nil, nil
}
func (nothing) LedgerOfRunbook(context.Context, string, int) ([]jenner.LedgerEntry, error) {
	return nil, nil
}
func (nothing) LedgerOfPolicy(context.Context, string, time.Time) ([]jenner.LedgerEntry, error) {
	return nil, nil
}
func (nothing) Judgements(context.Context, string, time.Time) ([]jenner.Judgement, error) {
	return nil, nil
}
func (nothing) Proofs(context.Context) ([]jenner.Proof, error) { return nil, nil }
