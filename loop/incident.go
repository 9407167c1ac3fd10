package loop

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
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
			{Name: jenner.PhaseDiagnosed, Stage: w.plan, Joins: true},
			{Name: jenner.PhasePlanned, Stage: w.decide, Joins: true},
			{Name: jenner.PhaseDecided, Stage: w.begin, Joins: true},
			{Name: jenner.PhaseActing, Stage: w.act},
			{Name: jenner.PhaseVerifying, Stage: w.verify, Joins: true},
			{Name: jenner.PhaseMitigated, Stage: w.watch},
			{Name: jenner.PhaseUndoing, Stage: w.undo},
			{Name: jenner.PhaseResolved},
			{Name: jenner.PhaseEscalated},
			{Name: jenner.PhaseSuppressed},
		},
		Store:   w.Store,
		Now:     w.Now,
		Refused: w.keepResults,
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
	if incident.OpenedAt.After(step.Now) { // the clock was set back; waits count from now
		incident.OpenedAt = step.Now
	}
	waited := step.Now.Sub(incident.OpenedAt)
	if incident.Diagnosis.Unsure != "" && waited < unsurePatience {
		return line.Later(step.Now.Add(patiently(lookAgain, waited))), nil
	}
	if root := incident.Diagnosis.Root; root != incident.Service {
		if next, symptom, err := w.symptomOf(ctx, step, root); symptom || err != nil {
			return next, err
		}
		if waited < unsurePatience {
			return line.Later(step.Now.Add(patiently(lookAgain, waited))), nil
		}
	}
	cause, known := incident.Diagnosis.Best()
	if !known {
		if waited < diagnosePatience {
			return line.Later(step.Now.Add(patiently(poll, waited))), nil
		}
		if w.look(incident) == allClear { // it cleared between the look and the diagnosis
			return w.cleared(step), nil
		}
		return w.escalate(ctx, step, "the cause is unknown: no signature fits what was seen"), nil
	}
	step.Note("diagnosis", fmt.Sprintf("%s on %s, confidence %.2f", cause.Cause, where(cause), float64(cause.Confidence)), nil)
	noteScene(step)
	step.Audit("diagnosis", incident.Diagnosis)
	return line.Go(jenner.PhaseDiagnosed), nil
}

func where(cause jenner.RankedCause) string {
	if cause.Target == (jenner.TargetRef{}) {
		return cause.Service
	}
	return cause.Service + " (" + cause.Target.String() + ")"
}

// rediagnose makes the diagnosis, and keeps for this step what it was made from.
func (w *World) rediagnose(ctx context.Context, step *incidentStep) {
	g := w.graph()
	seen := newWatcher(w.Telemetry, step.Now)
	step.State.Symptoms = w.symptoms(step.State.Service)
	step.State.Diagnosis = diagnose.Diagnose(ctx, diagnose.Input{Now: step.Now, Service: step.State.Service,
		Services: g.services, Signatures: g.docs.Signatures, Triggers: g.triggers,
		Firing: seen.firing(w.Board.Firing), Telemetry: seen, Observed: w.Observed, Changes: seen.changes(w.Changes)})
	step.State.Seen = seen.scene
}

// noteScene keeps what was seen, so that the incident can be replayed.
func noteScene(step *incidentStep) {
	step.Note(jenner.EntryScene, describeScene(step.State.Seen), step.State.Seen)
}

// symptomOf ends the incident where another one, about the root, is open or with a person: one page and one action for
// one cause.
func (w *World) symptomOf(ctx context.Context, step *incidentStep, root string) (line.Next, bool, error) {
	id, known, err := w.explains(ctx, root)
	if err != nil {
		return line.Next{}, false, jenner.Retryable(err, "")
	}
	if !known || id == step.ID {
		return line.Next{}, false, nil
	}
	noteScene(step)
	step.State.SymptomOf = id
	return w.end(step, jenner.PhaseSuppressed, fmt.Sprintf("a symptom of %s, which %s explains", root, id)), true, nil
}

// explains is the incident that explains why a service is in trouble.
func (w *World) explains(ctx context.Context, service string) (string, bool, error) {
	if w.Explains != nil {
		id, known := w.Explains(service)
		return id, known, nil
	}
	records, err := w.Records(ctx, IncidentLine, w.Now())
	for _, record := range records {
		if record.Subject == service && !record.Ended {
			return record.ID, true, err
		}
	}
	return "", false, err
}

// plan: which policy is it for, and which runbooks may help?
func (w *World) plan(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	cause, _ := incident.Diagnosis.Best()
	service, known := w.graph().services[cause.Service]
	if !known {
		return w.escalate(ctx, step, "service "+cause.Service+" is not in the files any more"), nil
	}
	policy, books := w.choose(cause, service)
	if len(books) == 0 {
		return w.escalate(ctx, step, fmt.Sprintf("no policy says what to do about %s on %s", cause.Cause, service.Name)), nil
	}
	incident.Policy, incident.Plan, incident.PlannedBy = policy, books, jenner.Hash(policy)
	step.Note("plan", fmt.Sprintf("policy %s, mode %s, runbooks %v", policy.Name, policy.ModeFor(service.Environment), books), nil)
	return line.Go(jenner.PhasePlanned), nil
}

// choose is the policy for a cause as the files say now, and the runbooks it names; none where there is no policy.
func (w *World) choose(cause jenner.RankedCause, service jenner.Service) (jenner.Policy, []string) {
	g, triggers := w.graph(), map[string]jenner.Runbook{}
	for _, book := range g.triggers {
		triggers[book.Name] = book
	}
	policy, books, found := runbook.Choose(g.docs.Policies, cause, service, triggers)
	if !found {
		return jenner.Policy{}, nil
	}
	return policy, books
}

// planChanged tells whether the files have come to say something else since the plan was made. What waits, or was only
// recommended, is decided by what they say now: bolder or, above all, less bold.
func (w *World) planChanged(incident *jenner.Incident) bool {
	cause, _ := incident.Diagnosis.Best()
	policy, _ := w.choose(cause, w.graph().services[cause.Service])
	return incident.PlannedBy != "" && incident.PlannedBy != jenner.Hash(policy)
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
	if run := incident.Run(); run != nil {
		if run.EndedAt.IsZero() {
			run.EndedAt = step.Now
			settle(run, string(incident.Verification.Outcome))
		}
		giveBack(step, run)
	}
	w.withdraw(step, why)
	w.judgeForeseen(step, phase)
	step.Note("end", fmt.Sprintf("%s: %s", phase, why), nil)
	step.Audit("incident."+string(phase), map[string]string{"why": why})
	step.Outcome(learn.FromIncident(*incident, phase, step.Now))
	return line.End(phase)
}
