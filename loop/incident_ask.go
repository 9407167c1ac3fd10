package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/notify"
)

// hear adds what people said about the run at hand to the input of a decision.
func (w *World) hear(ctx context.Context, step *incidentStep, input *decide.Input) error {
	incident := step.State
	if request := incident.Request(); request != nil {
		if request.Runbook != input.Runbook.Name || request.Version != input.Version || request.Target != input.Target {
			w.withdraw(step, "something else is proposed now")
		} else {
			input.Request = *request
		}
	}
	votes, err := w.Store.Votes(ctx, input.Request.ID, input.Service.Name, input.Runbook.Name)
	if err != nil {
		return jenner.Retryable(err, "")
	}
	input.Votes = votes
	if request := incident.Request(); request != nil {
		noteVotes(step, request, votes)
	}
	return nil
}

// noteVotes keeps what people said, and tells what is new.
func noteVotes(step *incidentStep, request *jenner.Request, votes []jenner.Vote) {
	for _, vote := range votes {
		if slices.ContainsFunc(request.Votes, func(known jenner.Vote) bool { return known.Key() == vote.Key() && known.Yes == vote.Yes }) {
			continue
		}
		word := vote.Person + " says no"
		if vote.Yes {
			word = vote.Person + " agrees"
		}
		if vote.Reason != "" {
			word += ": " + vote.Reason
		}
		if len(request.By) > 0 && !slices.Contains(request.By, vote.Person) {
			word += "; only the word of " + anybody(request.By) + " counts"
		}
		step.Note("vote", word, vote)
	}
	request.Votes = votes
}

// ask opens a request, unless the same one is open already, and tells those who may agree.
func (w *World) ask(ctx context.Context, step *incidentStep, input decide.Input, decision jenner.Decision) {
	incident := step.State
	if incident.Request() != nil {
		return
	}
	var approval jenner.Approval
	if input.Policy.Approval != nil {
		approval = *input.Policy.Approval
	}
	request := jenner.Request{ID: fmt.Sprintf("%s/a%d", incident.ID, len(incident.Requests)+1), At: step.Now,
		Expires: step.Now.Add(approval.Expires.Or(decide.DefaultApprovalExpiry)), Service: input.Service.Name, Target: input.Target,
		Runbook: input.Runbook.Name, Version: input.Version, Need: decide.Need(input.Policy), By: input.Approvers}
	for _, guard := range decision.Guards {
		if guard.Outcome == jenner.DecideAsk {
			request.Asked = append(request.Asked, guard)
		}
	}
	incident.Requests = append(incident.Requests, request)
	step.Note("ask", fmt.Sprintf("%s: %d of %s must agree before %s", request.ID, request.Need, anybody(request.By),
		request.Expires.Format(time.TimeOnly)), request)
	step.Audit("approval.asked", request)
	w.page(ctx, step, fmt.Sprintf("ask: %s on %s; Jenner would run %s (%s); `jenner approve %s` lets it, `jenner reject %s` does not",
		input.Cause.Cause, where(input.Cause), request.Runbook, decision.Stopper().Reason, incident.ID, incident.ID))
}

func anybody(names []string) string {
	if len(names) == 0 {
		return "anybody"
	}
	return strings.Join(names, ", ")
}

// granted closes the request that was answered; a run that people agreed to in advance has none.
func (w *World) granted(step *incidentStep) {
	w.closeRequest(step, jenner.RequestGranted, "")
}

// withdraw closes the open request because nobody needs to answer any more.
func (w *World) withdraw(step *incidentStep, why string) {
	w.closeRequest(step, jenner.RequestWithdrawn, why)
}

func (w *World) closeRequest(step *incidentStep, end jenner.RequestEnd, why string) {
	incident := step.State
	request := incident.Request()
	if request == nil {
		return
	}
	request.Closed = end
	text := fmt.Sprintf("%s is %s", request.ID, end)
	if why != "" {
		text += ": " + why
	}
	step.Note("ask", text, request)
	step.Audit("approval."+string(end), request)
	if end == jenner.RequestRejected && incident.Foreseen != nil { // it is judged by what people said
		step.Judge(learn.JudgeRequest(*incident, *request, incident.Foreseen.Mode, step.Now))
		incident.Foreseen = nil
	}
}

// foresee keeps what would be done, and the state of the targets before, so that it can be told afterwards whether it
// would have been right.
func (w *World) foresee(ctx context.Context, step *incidentStep, input decide.Input, decision jenner.Decision, surveyed []act.Surveyed) {
	incident := step.State
	if seen := incident.Foreseen; seen != nil && seen.Runbook == input.Runbook.Name && seen.Version == input.Version {
		return
	}
	incident.Foreseen = &jenner.Foreseen{At: step.Now, Policy: decision.Policy, Service: input.Service.Name,
		Runbook: input.Runbook.Name, Version: input.Version, Mode: input.Standing.Level, Outcome: decision.Outcome,
		Steps: w.Stepper.Foresee(ctx, incident, surveyed)}
}

// judgeForeseen holds what was proposed and never done against what happened without it.
func (w *World) judgeForeseen(step *incidentStep, phase jenner.Phase) {
	incident := step.State
	if incident.Foreseen == nil || phase == jenner.PhaseSuppressed {
		return
	}
	alike := w.Stepper.Alike(context.Background(), incident, incident.Foreseen.Steps)
	judgement := learn.JudgeForeseen(*incident.Foreseen, alike, *incident, phase, step.Now)
	step.Note("judged", fmt.Sprintf("%s by policy %s would have been %s: %s", judgement.Runbook, judgement.Policy, judgement.Right,
		judgement.Why), judgement)
	step.Judge(judgement)
}

// judgeRun keeps whether what was done was right.
func (w *World) judgeRun(step *incidentStep, run *jenner.Run, verification jenner.CheckOutcome) {
	step.Judge(learn.JudgeRun(*step.State, *run, run.Mode, verification, step.Now))
}

// breaker tells people when a failed run has opened the circuit breaker of its runbook. The guard of that name reads the
// same ledger; nothing else is kept about a breaker.
func (w *World) breaker(ctx context.Context, step *incidentStep, run *jenner.Run) {
	runs, err := w.Store.LedgerOfRunbook(ctx, run.Runbook.Name, breakerRuns)
	if err != nil || len(run.Taken) == 0 {
		return // the guard will say so at the next decision
	}
	var breaker jenner.Breaker
	if step.State.Policy.CircuitBreaker != nil {
		breaker = *step.State.Policy.CircuitBreaker
	}
	was, _, _ := decide.BreakerOf(breaker, runs, step.Now)
	is, until, failures := decide.BreakerOf(breaker, append(runs, run.Taken[0]), step.Now)
	if is != decide.BreakerOpen || was == decide.BreakerOpen {
		return
	}
	why := fmt.Sprintf("the circuit breaker of runbook %s is open until %s: it failed %d times in a row", run.Runbook.Name,
		until.Format(time.DateTime), failures)
	step.Note("breaker", why, nil)
	step.Audit("breaker.opened", map[string]any{"runbook": run.Runbook.Name, "failures": failures, "until": until})
	w.tell(ctx, step, "breaker", why)
}

// breakerRuns is how many of the last runs of a runbook are looked at.
const breakerRuns = 20

// tell tells people something more about an incident that they may have been told about already.
func (w *World) tell(ctx context.Context, step *incidentStep, about, title string) {
	incident := step.State
	message := notify.Message{Key: incident.ID + "/" + about, At: step.Now, Severity: jenner.SeverityPage, Incident: incident.ID,
		Service: incident.Service, Title: title, Body: Context(incident)}
	if err := w.Notify(ctx, incident.Policy.EscalationChannel, message); err != nil {
		step.Note("page", "not everybody could be told: "+err.Error(), nil)
	}
	step.Note("page", "told a human: "+title, message)
	step.Audit("page", message)
}
