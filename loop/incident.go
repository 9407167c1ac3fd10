package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/diagnose"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/runbook"
)

// IncidentLine is the name of the incidents' line in the store.
const IncidentLine = "incident"

// Incidents is the line of an incident. Each phase has one stage that leads on from it.
func Incidents(w *World) *line.Line[jenner.Incident] {
	return &line.Line[jenner.Incident]{
		Name: IncidentLine,
		Phases: []line.Phase[jenner.Incident]{
			{Name: jenner.PhaseDetected, Stage: w.diagnose},
			{Name: jenner.PhaseDiagnosed, Stage: w.plan},
			{Name: jenner.PhasePlanned, Stage: w.decide},
			{Name: jenner.PhaseDecided, Stage: w.begin},
			{Name: jenner.PhaseActing, Stage: w.act},
			{Name: jenner.PhaseVerifying, Stage: w.verify},
			{Name: jenner.PhaseMitigated, Stage: w.watch},
			{Name: jenner.PhaseUndoing, Stage: w.undo},
			{Name: jenner.PhaseResolved},
			{Name: jenner.PhaseEscalated},
			{Name: jenner.PhaseSuppressed},
		},
		Store: w.Store,
		Now:   w.Now,
		Failed: func(ctx context.Context, step *line.Step[jenner.Incident], err error) line.Next {
			return w.escalate(ctx, step, err.Error())
		},
	}
}

type incidentStep = line.Step[jenner.Incident]

// diagnose: what is it? An alert that has cleared needs nothing any more; a dependant's alert is a symptom and belongs
// to the incident of the service it depends on.
func (w *World) diagnose(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	switch w.look(incident) {
	case allClear:
		return w.cleared(step), nil
	case notKnown:
		return w.blind(ctx, step), nil
	}
	w.rediagnose(ctx, step)
	waited := step.Now.Sub(incident.OpenedAt)
	if incident.Diagnosis.Unsure != "" && waited < unsurePatience {
		return line.Later(step.Now.Add(lookAgain)), nil
	}
	if root := incident.Diagnosis.Root; root != incident.Service {
		if next, symptom, err := w.symptomOf(ctx, step, root); symptom || err != nil {
			return next, err
		}
		if waited < unsurePatience {
			return line.Later(step.Now.Add(lookAgain)), nil
		}
	}
	cause, known := incident.Diagnosis.Best()
	if !known {
		if waited < diagnosePatience {
			return line.Later(step.Now.Add(poll)), nil
		}
		return w.escalate(ctx, step, "the cause is unknown: no signature fits what was seen"), nil
	}
	step.Note("diagnosis", fmt.Sprintf("%s on %s, confidence %.2f", cause.Cause, where(cause), float64(cause.Confidence)),
		incident.Diagnosis)
	step.Audit("diagnosis", incident.Diagnosis)
	return line.Go(jenner.PhaseDiagnosed), nil
}

func where(cause jenner.RankedCause) string {
	if cause.Target == (jenner.TargetRef{}) {
		return cause.Service
	}
	return cause.Service + " (" + cause.Target.String() + ")"
}

func (w *World) rediagnose(ctx context.Context, step *incidentStep) {
	docs := w.Docs()
	var triggers []jenner.Runbook
	for _, book := range docs.Runbooks {
		if book.Trigger != nil {
			triggers = append(triggers, book)
		}
	}
	step.State.Symptoms = w.symptoms(step.State.Service)
	step.State.Diagnosis = diagnose.Diagnose(ctx, diagnose.Input{Now: step.Now, Service: step.State.Service,
		Services: w.services(), Signatures: docs.Signatures, Triggers: triggers,
		Firing: w.Board.Firing, Telemetry: w.Telemetry})
}

// symptomOf ends the incident where another one, about the root, is open: one page and one action for one cause.
func (w *World) symptomOf(ctx context.Context, step *incidentStep, root string) (line.Next, bool, error) {
	records, err := w.Records(ctx, IncidentLine, step.Now)
	if err != nil {
		return line.Next{}, false, jenner.Retryable(err, "")
	}
	for _, record := range records {
		if record.Subject != root || record.Ended || record.ID == step.ID {
			continue
		}
		step.State.SymptomOf = record.ID
		return w.end(step, jenner.PhaseSuppressed,
			fmt.Sprintf("a symptom of %s, which %s explains", root, record.ID)), true, nil
	}
	return line.Next{}, false, nil
}

// plan: which policy is it for, and which runbooks may help?
func (w *World) plan(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident, docs := step.State, w.Docs()
	cause, _ := incident.Diagnosis.Best()
	service, known := docs.Service(cause.Service)
	if !known {
		return w.escalate(ctx, step, "service "+cause.Service+" is not in the files any more"), nil
	}
	triggers := map[string]jenner.Runbook{}
	for _, book := range docs.Runbooks {
		if book.Trigger != nil {
			triggers[book.Name] = book
		}
	}
	policy, books, found := runbook.Choose(docs.Policies, cause, service, triggers)
	if !found || len(books) == 0 {
		return w.escalate(ctx, step, fmt.Sprintf("no policy says what to do about %s on %s", cause.Cause, service.Name)), nil
	}
	incident.Policy, incident.Plan = policy, books
	step.Note("plan", fmt.Sprintf("policy %s, mode %s, runbooks %v", policy.Name, policy.EffectiveMode(), books), nil)
	return line.Go(jenner.PhasePlanned), nil
}

// decide: may it be done, now, by itself? Looking does not stop while it waits.
func (w *World) decide(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	switch w.look(incident) {
	case allClear:
		return w.cleared(step), nil
	case notKnown:
		return w.blind(ctx, step), nil
	}
	before, _ := incident.Diagnosis.Best()
	w.rediagnose(ctx, step)
	if now, known := incident.Diagnosis.Best(); !known || now.Cause != before.Cause || now.Service != before.Service {
		step.Note("diagnosis", "the evidence changed; the diagnosis is made anew", nil)
		return line.Go(jenner.PhaseDetected), nil
	}
	input, err := w.decideInput(ctx, step)
	if err != nil {
		return line.Next{}, err
	}
	decision := decide.Decide(input)
	w.noteDecision(step, decision)
	switch decision.Outcome {
	case jenner.DecideAct:
		return line.Go(jenner.PhaseDecided), nil
	case jenner.DecideAsk, jenner.DecideRecommend:
		w.page(ctx, step, fmt.Sprintf("%s: %s on %s; Jenner would run %s (%s)", decision.Outcome, before.Cause,
			where(before), decision.Runbook, decision.Stopper().Reason))
		return line.WaitFor("person", step.Now.Add(idle)), nil
	case jenner.DecideWait:
		if step.Now.Sub(incident.OpenedAt) > waitPatience && decision.Stopper().Guard != "hold" {
			w.page(ctx, step, fmt.Sprintf("%s is sick and Jenner waits: guard %s: %s", incident.Service,
				decision.Stopper().Guard, decision.Stopper().Reason))
		}
		return line.Later(soon(decision.RetryAt, step.Now)), nil
	}
	if incident.Policy.EffectiveMode() == jenner.ModeShadow && decision.Stopper().Guard == "mode" {
		return line.WaitFor("person", step.Now.Add(idle)), nil
	}
	return w.escalate(ctx, step, fmt.Sprintf("guard %s refuses %s: %s", decision.Stopper().Guard, decision.Runbook,
		decision.Stopper().Reason)), nil
}

// soon bounds a wait, so that an incident that clears by itself is noticed.
func soon(at, now time.Time) time.Time {
	if limit := now.Add(idle); at.IsZero() || at.After(limit) {
		return limit
	}
	if soonest := now.Add(20 * time.Millisecond); at.Before(soonest) {
		return soonest
	}
	return at
}

// noteDecision keeps a decision that says something new; a wait that goes on for the same reason says nothing new.
func (w *World) noteDecision(step *incidentStep, decision jenner.Decision) {
	incident := step.State
	if n := len(incident.Decisions); n > 0 {
		last := incident.Decisions[n-1]
		if last.Outcome == decision.Outcome && last.Runbook == decision.Runbook && last.Stopper().Guard == decision.Stopper().Guard {
			decision.At = last.At // it stands since then
			incident.Decisions[n-1] = decision
			return
		}
	}
	incident.Decisions = append(incident.Decisions, decision)
	if len(incident.Decisions) > 50 {
		incident.Decisions = incident.Decisions[len(incident.Decisions)-50:]
	}
	text := fmt.Sprintf("%s: %s on %s", decision.Outcome, decision.Runbook, decision.Target)
	if stopper := decision.Stopper(); stopper.Guard != "" {
		text += fmt.Sprintf("; guard %s: %s", stopper.Guard, stopper.Reason)
	}
	step.Note("decision", text, decision)
	step.Audit("decision", decision)
}

// begin opens the run. From here on the runbook is the one in the run, whatever the files say.
func (w *World) begin(_ context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	cause, _ := incident.Diagnosis.Best()
	book, known := w.Docs().Runbook(incident.Plan[0])
	if !known {
		return line.Next{}, jenner.Permanent(fmt.Errorf("runbook %q is not in the files any more", incident.Plan[0]), "")
	}
	incident.Plan = incident.Plan[1:]
	incident.Verification, incident.HealthySince = jenner.Verification{}, time.Time{}
	run := jenner.Run{ID: fmt.Sprintf("%s/%d", incident.ID, len(incident.Runs)+1), Runbook: book,
		Policy: incident.Policy.Name, Target: cause.Target, State: jenner.RunActive, StartedAt: step.Now}
	incident.Runs = append(incident.Runs, run)
	step.Ledger(w.ledgerEntry(incident, run, ""))
	step.Note("run", "runbook "+book.Name+" begins", nil)
	return line.Go(jenner.PhaseActing), nil
}

func (w *World) ledgerEntry(incident *jenner.Incident, run jenner.Run, result string) jenner.LedgerEntry {
	cause, _ := incident.Diagnosis.Best()
	return jenner.LedgerEntry{ID: run.ID, Kind: jenner.LedgerAction, At: run.StartedAt, By: incident.ID,
		Service: cause.Service, Target: run.Target, Runbook: run.Runbook.Name, Cause: cause.Cause, Result: result}
}

// escalate hands the incident to a human, with everything that was learned, and ends it.
func (w *World) escalate(ctx context.Context, step *incidentStep, why string) line.Next {
	w.page(ctx, step, fmt.Sprintf("%s needs a human: %s", step.State.Service, why))
	return w.end(step, jenner.PhaseEscalated, why)
}

// cleared ends an incident whose alerts have all gone.
func (w *World) cleared(step *incidentStep) line.Next {
	why := "the alerts cleared by themselves; nothing was done"
	if len(step.State.Runs) > 0 {
		why = "the alerts cleared"
	}
	return w.end(step, jenner.PhaseResolved, why)
}

// end writes down how it ended, for people, for the guards and for learning.
func (w *World) end(step *incidentStep, phase jenner.Phase, why string) line.Next {
	incident := step.State
	incident.Outcome = why
	if run := incident.Run(); run != nil && run.EndedAt.IsZero() {
		run.EndedAt = step.Now
		entry := w.ledgerEntry(incident, *run, string(incident.Verification.Outcome))
		entry.Until = step.Now
		step.Ledger(entry)
	}
	step.Note("end", fmt.Sprintf("%s: %s", phase, why), nil)
	step.Audit("incident."+string(phase), map[string]string{"why": why})
	step.Outcome(learn.FromIncident(*incident, phase, step.Now))
	return line.End(phase)
}

var errNoRun = errors.New("the incident stands in a phase that needs a run, and has none")
