package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/line"
)

// How long people are waited for. Looking at the trouble goes on meanwhile.
const (
	lookForVotes   = 500 * time.Millisecond
	personPatience = 24 * time.Hour // for somebody to do something about what was only recommended
)

// decide: may it be done, now, by itself? Looking does not stop while it waits.
func (w *World) decide(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	asked := w.confirm(ctx, incident)
	if !step.Joined() || asked { // the diagnosis is of this very call otherwise
		if next, changed, err := w.lookAgain(ctx, step); changed || err != nil {
			return next, err
		}
	}
	input, surveyed, err := w.decideInput(ctx, step)
	if err != nil {
		return line.Next{}, err
	}
	decision := decide.Decide(input)
	if decision.Outcome == jenner.DecideAsk { // only now it matters what people said
		if err := w.hear(ctx, step, &input); err != nil {
			return line.Next{}, err
		}
		decision = decide.Decide(input)
	}
	w.noteDecision(step, decision)
	switch decision.Outcome {
	case jenner.DecideAct:
		w.granted(step)
		w.take(step, input, surveyed)
		return line.Go(jenner.PhaseDecided), nil
	case jenner.DecideAsk:
		w.foresee(ctx, step, input, decision, surveyed)
		w.ask(ctx, step, input, decision)
		return line.WaitFor("approval", step.Now.Add(lookForVotes)), nil
	case jenner.DecideRecommend:
		w.foresee(ctx, step, input, decision, surveyed)
		w.page(ctx, step, fmt.Sprintf("recommend: %s on %s; Jenner would run %s (%s)", input.Cause.Cause, where(input.Cause),
			decision.Runbook, decision.Stopper().Reason))
		return w.untilSomebodyActs(step), nil
	case jenner.DecideWait:
		if step.Now.Sub(incident.OpenedAt) > waitPatience && decision.Stopper().Guard != "hold" {
			w.page(ctx, step, fmt.Sprintf("%s is sick and Jenner waits: guard %s: %s", incident.Service,
				decision.Stopper().Guard, decision.Stopper().Reason))
		}
		return line.Later(soon(decision.RetryAt, step.Now)), nil
	}
	if input.Standing.Level == jenner.ModeShadow && decision.Stopper().Guard == "mode" {
		w.foresee(ctx, step, input, decision, surveyed)
		return w.untilSomebodyActs(step), nil
	}
	return w.refused(ctx, step, decision), nil
}

// lookAgain brings alerts and diagnosis up to date, and the plan where the files changed. What has changed leads elsewhere.
func (w *World) lookAgain(ctx context.Context, step *incidentStep) (next line.Next, changed bool, err error) {
	incident := step.State
	switch w.look(incident) {
	case allClear:
		return w.cleared(step), true, nil
	case notKnown:
		return w.blind(ctx, step), true, nil
	}
	before, _ := incident.Diagnosis.Best()
	w.rediagnose(ctx, step)
	if now, known := incident.Diagnosis.Best(); !known || now.Cause != before.Cause || now.Service != before.Service {
		step.Note("diagnosis", "the evidence changed; the diagnosis is made anew", nil)
		w.withdraw(step, "the evidence changed")
		return line.Go(jenner.PhaseDetected), true, nil
	}
	if w.planChanged(incident) {
		step.Note("plan", "the files changed; the plan is made anew", nil)
		w.withdraw(step, "the policy changed")
		return line.Go(jenner.PhaseDiagnosed), true, nil
	}
	return line.Next{}, false, nil
}

// untilSomebodyActs waits for what a person does, or for the trouble to pass.
func (w *World) untilSomebodyActs(step *incidentStep) line.Next {
	if step.Now.Sub(step.State.Foreseen.At) > personPatience {
		return w.end(step, jenner.PhaseEscalated, fmt.Sprintf("nobody did anything about it within %s", jenner.Duration(personPatience)))
	}
	return line.WaitFor("person", step.Now.Add(idle))
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

// noteDecision keeps a decision that says something new; a wait that goes on for the same reason says nothing new. The
// whole of it stands in the timeline and in the audit log. The incident, which is written anew at each step, carries only
// the guards that did not agree.
func (w *World) noteDecision(step *incidentStep, decision jenner.Decision) {
	incident, stopper := step.State, decision.Stopper()
	if n := len(incident.Decisions); n > 0 {
		last := incident.Decisions[n-1]
		if last.Outcome == decision.Outcome && last.Runbook == decision.Runbook && last.Stopper().Guard == stopper.Guard {
			return
		}
	}
	text := fmt.Sprintf("%s: %s on %s", decision.Outcome, decision.Runbook, decision.Target)
	if stopper.Guard != "" {
		text += fmt.Sprintf("; guard %s: %s", stopper.Guard, stopper.Reason)
	}
	if !step.Joined() { // otherwise the diagnosis of this very call has noted it
		noteScene(step)
	}
	step.Note(jenner.EntryDecision, text, decision)
	step.Audit("decision", decision)
	decision.Guards = slices.DeleteFunc(slices.Clone(decision.Guards), func(guard jenner.GuardResult) bool {
		return guard.Outcome == jenner.DecideAct
	})
	incident.Decisions = append(incident.Decisions, decision)
	if len(incident.Decisions) > maxDecisions {
		incident.Decisions = incident.Decisions[len(incident.Decisions)-maxDecisions:]
	}
}

// maxDecisions is how many decisions an incident carries; the timeline has all.
const maxDecisions = 20

// refused hands over what may not be done. Where people were asked, what they said, or that they said nothing, is told.
func (w *World) refused(ctx context.Context, step *incidentStep, decision jenner.Decision) line.Next {
	stopper := decision.Stopper()
	why := fmt.Sprintf("guard %s refuses %s: %s", stopper.Guard, decision.Runbook, stopper.Reason)
	if request := step.State.Request(); request != nil && stopper.Guard == "approval" {
		ended := jenner.RequestRejected
		if !step.Now.Before(request.Expires) {
			ended = jenner.RequestExpired
			w.tell(ctx, step, "expired", fmt.Sprintf("%s: nobody agreed to %s in time, so nothing was done", step.State.Service, decision.Runbook))
		}
		w.closeRequest(step, ended, stopper.Reason)
	}
	return w.escalate(ctx, step, why)
}

// begin opens the run. From here on the runbook is the one in the run, whatever the files say.
func (w *World) begin(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	if !step.Joined() || incident.Taking == nil {
		return line.Go(jenner.PhasePlanned), nil // what was decided in another call was not taken in this one
	}
	incident.Verification, incident.HealthySince = jenner.Verification{}, time.Time{}
	run := *incident.Taking
	incident.Plan, incident.Taking, incident.Foreseen = incident.Plan[1:], nil, nil
	incident.Runs = append(incident.Runs, run)
	step.Ledger(run.Taken...)
	step.Note("run", "runbook "+run.Runbook.Name+" begins", nil)
	w.intend(ctx, step)
	return line.Go(jenner.PhaseActing), nil
}

// runLease is how long a run holds its targets without a word of it. It is far longer than a run takes between two
// commits, and ends what a run that is never finished would hold for ever.
const runLease = time.Hour

// take makes the run that was decided on, with all that it holds from now on. The commit is held to the same limits as
// the decision, since others decide at the same time.
func (w *World) take(step *incidentStep, input decide.Input, surveyed []act.Surveyed) {
	incident := step.State
	run := jenner.Run{ID: fmt.Sprintf("%s/%d", incident.ID, len(incident.Runs)+1), Runbook: input.Runbook,
		Policy: incident.Policy.Name, Target: input.Target, State: jenner.RunActive, StartedAt: step.Now, Mode: input.Standing.Level}
	entry := jenner.LedgerEntry{ID: run.ID, Kind: jenner.LedgerAction, At: step.Now, Until: step.Now.Add(runLease), By: incident.ID,
		Service: input.Service.Name, Target: input.Target, Policy: run.Policy, Runbook: run.Runbook.Name, Cause: input.Cause.Cause}
	for _, one := range run.Runbook.Steps {
		entry.Cost += float64(one.Cost)
	}
	run.Taken = []jenner.LedgerEntry{entry}
	known := map[string]bool{entry.Place(): true}
	for _, one := range surveyed {
		touch := entry
		touch.ID, touch.Kind, touch.Cost = fmt.Sprintf("%s/%s", run.ID, one.Step), jenner.LedgerTouch, 0
		touch.Service, touch.Target = one.Service.Name, one.Target.Ref()
		if !one.Reads && one.Target.Name != "" && !known[touch.Place()] {
			known[touch.Place()] = true
			run.Taken = append(run.Taken, touch)
		}
	}
	incident.Taking = &run
	step.Caps(decide.Caps(input)...)
}

// renew lets a run that goes on hold its targets for longer.
func renew(step *incidentStep, run *jenner.Run) {
	if len(run.Taken) == 0 || run.Taken[0].Until.Sub(step.Now) > runLease/2 {
		return
	}
	for i := range run.Taken {
		run.Taken[i].Until = step.Now.Add(runLease)
	}
	step.Ledger(run.Taken...)
}

// settle writes what a run came to beside what it holds.
func settle(run *jenner.Run, result string) {
	for i := range run.Taken {
		if run.Taken[i].Kind == jenner.LedgerAction {
			run.Taken[i].Result = result
		}
	}
}

// giveBack ends what a run holds. Doing it twice is as doing it once.
func giveBack(step *incidentStep, run *jenner.Run) {
	for i := range run.Taken {
		if run.Taken[i].Until.After(step.Now) {
			run.Taken[i].Until = step.Now
		}
	}
	step.Ledger(run.Taken...)
}

var errNoRun = errors.New("the incident stands in a phase that needs a run, and has none")
