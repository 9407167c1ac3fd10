package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/runbook"
	"github.com/jenner-heal/jenner/verify"
)

// act does one step of the runbook a call.
func (w *World) act(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	run := incident.Run()
	if run == nil {
		return line.Next{}, jenner.ForHuman(errNoRun, "")
	}
	renew(step, run)
	standing := w.look(incident)
	at, begun, err := w.begun(ctx, run)
	if err != nil {
		return line.Next{}, err
	}
	if begun && standing != stillFiring && untouched(run) {
		intent, unbegun, err := w.Stepper.Unbegun(ctx, incident)
		if unbegun && standing == allClear {
			err = w.Stepper.Drop(ctx, intent, "not carried out: the trouble had passed before it was begun")
		}
		if err != nil {
			return line.Next{}, jenner.Retryable(err, "")
		}
		begun = !unbegun
	}
	if !begun {
		if w.confirm(ctx, incident) {
			standing = w.look(incident)
		}
		// This run has touched nothing yet. What has cleared meanwhile needs nothing; what is not known is no reason to
		// act. Once it has, it goes on: the alert may have cleared because of it.
		switch standing {
		case allClear:
			run.State = jenner.RunCompleted
			return w.cleared(step), nil
		case notKnown:
			return w.blind(ctx, step), nil
		}
	}
	stepped, err := w.Stepper.NextWith(ctx, incident, step.Result)
	if err != nil {
		return line.Next{}, err
	}
	step.Now = w.Now()
	if err := w.acted(ctx, incident, at); err != nil {
		return line.Next{}, err
	}
	return w.stepped(ctx, step, stepped), nil
}

// confirm asks about the incident's alerts right before something is done because of them.
func (w *World) confirm(ctx context.Context, incident *jenner.Incident) bool {
	return w.Confirm != nil && w.Confirm(ctx, incident.Alerts)
}

// intend writes the intent of the step that comes next down together with what led to it, where that can be said now.
func (w *World) intend(ctx context.Context, step *incidentStep) {
	if intent, ready := w.Stepper.Prepare(ctx, step.State); ready {
		step.Intent(intent)
	}
}

// keepResults writes down what effects came to whose step was not kept.
func (w *World) keepResults(ctx context.Context, results []jenner.Intent) {
	for _, result := range results {
		if err := w.Stepper.Executor.Journal.Finish(context.WithoutCancel(ctx), result); err != nil {
			w.Logger.Error("the result of an effect cannot be written down; its action will be asked", "intent", result.Key, "error", err)
		}
	}
}

// untouched tells whether no step of the run that has ended changed anything; one may be under way.
func untouched(run *jenner.Run) bool {
	return !slices.ContainsFunc(run.Steps, func(record jenner.StepRecord) bool { return record.Changed })
}

// stepped follows what a step came to.
func (w *World) stepped(ctx context.Context, step *incidentStep, stepped act.Stepped) line.Next {
	incident, run := step.State, step.State.Run()
	if stepped.Record != nil {
		step.Note("step", describe(*stepped.Record), stepped.Record)
		step.Audit("step", stepped.Record)
	}
	switch stepped.Move {
	case act.MoveOn:
		run.Error = ""
		w.intend(ctx, step)
		return line.Go(jenner.PhaseActing)
	case act.MoveWait:
		if run.Error != stepped.Note { // a wait that goes on for the same reason says nothing new
			run.Error = stepped.Note
			step.Note("wait", stepped.Note, nil)
		}
		return line.Later(stepped.At)
	case act.MoveDone:
		run.State, run.EndedAt, run.Error = jenner.RunCompleted, step.Now, ""
		w.AskNow(incident.Service)
		return line.Go(jenner.PhaseVerifying)
	case act.MoveFailed:
		run.EndedAt = step.Now
		w.failed(ctx, step, run, jenner.Failed)
		step.Note("run", "the run failed and is taken back: "+run.Error, nil)
		return line.Go(jenner.PhaseUndoing)
	}
	return w.escalate(ctx, step, "a step is in an unknown state: "+run.Error)
}

// begun is when the run's first effect was intended; false where it has touched nothing yet. The journal knows that also
// where the process died before the incident did. Steps that only look have no intent.
func (w *World) begun(ctx context.Context, run *jenner.Run) (time.Time, bool, error) {
	for i := range min(run.Next+1, len(run.Runbook.Steps)) {
		attempts := 0
		if i < len(run.Steps) {
			attempts = run.Steps[i].Attempts
		}
		for attempt := range attempts + 1 {
			intent, err := w.Stepper.Executor.Journal.Intent(ctx, act.Key(run, i, attempt))
			switch {
			case err == nil:
				return intent.At, true, nil
			case !errors.Is(err, jenner.ErrNotFound):
				return time.Time{}, false, jenner.Retryable(fmt.Errorf("the journal cannot be read: %w", err), "")
			}
		}
	}
	return time.Time{}, false, nil
}

// acted keeps when the incident's first effect was intended: at, or, where nothing was intended before this step, in it.
func (w *World) acted(ctx context.Context, incident *jenner.Incident, at time.Time) (err error) {
	if !incident.ActedAt.IsZero() {
		return nil
	}
	if at.IsZero() {
		at, _, err = w.begun(ctx, incident.Run())
	}
	incident.ActedAt = at
	return err
}

func describe(record jenner.StepRecord) string {
	parts := []string{"step " + record.Name, string(record.Status)}
	for _, part := range []string{record.Action, record.Target.String(), record.Summary, record.Error} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " · ")
}

// failed writes down that a run did not help. It holds its targets on until what it changed is taken back.
func (w *World) failed(ctx context.Context, step *incidentStep, run *jenner.Run, outcome jenner.CheckOutcome) {
	settle(run, string(outcome))
	step.Ledger(run.Taken...)
	w.judgeRun(step, run, outcome)
	if outcome == jenner.Failed {
		w.breaker(ctx, step, run)
	}
}

// verify: did the service really recover, and does it stay so?
func (w *World) verify(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	run := incident.Run()
	if run == nil {
		return line.Next{}, jenner.ForHuman(errNoRun, "")
	}
	renew(step, run)
	w.look(incident)
	service := w.graph().services[incident.Service]
	incident.Verification = verify.Verify(ctx, verify.Input{Now: step.Now, Service: service, Alerts: incident.Alerts,
		ActionEnded: run.EndedAt, Telemetry: w.Telemetry, Steady: w.Steady})
	if incident.Verification.Outcome != jenner.Passed {
		incident.HealthySince = time.Time{}
		if step.Now.Sub(w.watchedSince(run.EndedAt)) < incident.Policy.VerificationWindow.Or(time.Minute) {
			return line.Later(step.Now.Add(patiently(poll, step.Now.Sub(run.EndedAt)))), nil
		}
		if unmeasured(incident.Verification) {
			return w.unmeasured(step), nil
		}
		return w.notHealed(ctx, step), nil
	}
	if incident.HealthySince.IsZero() {
		incident.HealthySince = step.Now
		step.Note("check", "all checks pass; now they must stay so", incident.Verification)
	}
	stable := incident.HealthySince.Add(incident.Policy.StableFor.Or(time.Second))
	if step.Now.Before(stable) {
		return line.Later(earlier(step.Now.Add(poll), stable)), nil
	}
	return w.healed(step), nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// unmeasured tells whether all that could be looked at is well, and only SLIs have no numbers, as those of a service that
// nobody calls.
func unmeasured(verification jenner.Verification) bool {
	proven := false
	for _, check := range verification.Checks {
		proven = proven || check.Outcome == jenner.Passed
		if check.Outcome != jenner.Passed && check.Kind != jenner.CheckSLI {
			return false
		}
	}
	return proven && verification.Outcome == jenner.Inconclusive
}

// unmeasured ends without a claim: the trouble is gone, but health was not verified, so it resets no attempts and
// proves nothing.
func (w *World) unmeasured(step *incidentStep) line.Next {
	incident, run := step.State, step.State.Run()
	settle(run, string(jenner.Inconclusive))
	w.judgeRun(step, run, jenner.Inconclusive)
	step.Audit("verification", incident.Verification)
	return w.end(step, jenner.PhaseResolved, fmt.Sprintf("the trouble is gone after %s, but health could not be verified: %s",
		run.Runbook.Name, failing(incident.Verification)))
}

// watchedSince is since when this process could see what came of something: while no process ran, nobody looked.
func (w *World) watchedSince(at time.Time) time.Time {
	if w.Started.After(at) {
		return w.Started
	}
	return at
}

// notHealed takes back what did not help, and lets the next runbook try.
func (w *World) notHealed(ctx context.Context, step *incidentStep) line.Next {
	incident, run := step.State, step.State.Run()
	run.State = jenner.RunFailed
	run.Error = fmt.Sprintf("verification %s: %s", incident.Verification.Outcome, failing(incident.Verification))
	w.failed(ctx, step, run, incident.Verification.Outcome)
	step.Note("check", run.Error, incident.Verification)
	step.Audit("verification", incident.Verification)
	if incident.Policy.RollbackIfFailed {
		return line.Go(jenner.PhaseUndoing)
	}
	return w.nextRunbook(ctx, step)
}

func failing(verification jenner.Verification) string {
	var names []string
	for _, check := range verification.Checks {
		if check.Outcome != jenner.Passed {
			names = append(names, fmt.Sprintf("%s %s (%s)", check.Name, check.Outcome, check.Saw))
		}
	}
	return strings.Join(names, ", ")
}

// healed: verified health is what resets the attempts, and what a proof is made of.
func (w *World) healed(step *incidentStep) line.Next {
	incident, run := step.State, step.State.Run()
	incident.RecoveredAt = incident.HealthySince
	settle(run, string(jenner.Passed))
	giveBack(step, run)
	w.judgeRun(step, run, jenner.Passed)
	if len(run.Taken) > 0 {
		health := run.Taken[0]
		health.ID, health.Kind, health.At, health.Until, health.Cost = run.ID+"/health", jenner.LedgerHealth, step.Now, step.Now, 0
		step.Ledger(health)
	}
	step.Note("check", "verified: healthy since "+incident.HealthySince.Format("15:04:05.000"), incident.Verification)
	step.Audit("verification", incident.Verification)
	if run.Runbook.RevertWhen != "" {
		step.Note("mitigated", "healthy thanks to a mitigation; it is taken back when "+run.Runbook.RevertWhen, nil)
		return line.Go(jenner.PhaseMitigated)
	}
	return w.end(step, jenner.PhaseResolved, run.Runbook.Name+" healed it; verified")
}

// watch waits until a mitigation is not needed any more, or does not help any more.
func (w *World) watch(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	run := incident.Run()
	if run == nil {
		return line.Next{}, jenner.ForHuman(errNoRun, "")
	}
	condition, err := runbook.Compile(run.Runbook.RevertWhen, runbook.StepNames(run.Runbook))
	if err != nil {
		return line.Next{}, jenner.Permanent(fmt.Errorf("revert_when: %w", err), "")
	}
	over, err := condition.Eval(runbook.Env{Steps: act.Outcomes(run), Telemetry: w.Telemetry, Now: step.Now, Service: incident.Service})
	if err != nil {
		return line.Next{}, jenner.Retryable(fmt.Errorf("revert_when: %w", err), "")
	}
	if over {
		step.Note("mitigated", "it is not needed any more: "+run.Runbook.RevertWhen, nil)
		return line.Go(jenner.PhaseUndoing), nil
	}
	if w.look(incident) == stillFiring && sickFor(incident, step.Now) > mitigationPatience {
		run.State, run.Error = jenner.RunFailed, "the service is sick again in spite of the mitigation"
		step.Note("mitigated", run.Error, nil)
		return line.Go(jenner.PhaseUndoing), nil
	}
	if step.Now.Sub(run.EndedAt) > run.Runbook.RevertAfter.Or(24*time.Hour) {
		w.page(ctx, step, fmt.Sprintf("%s still runs on the mitigation %s since %s", incident.Service, run.Runbook.Name,
			run.EndedAt.Format(time.DateTime)))
	}
	return line.Later(step.Now.Add(idle)), nil
}

// mitigationPatience is how long a service may be sick while a mitigation is on before it is taken back as useless.
const mitigationPatience = 10 * time.Second

func sickFor(incident *jenner.Incident, now time.Time) time.Duration {
	var longest time.Duration
	for _, alert := range incident.Alerts {
		if alert.Status == jenner.Firing {
			longest = max(longest, now.Sub(alert.StartsAt))
		}
	}
	return longest
}

// undo takes back one step a call, the last one first. No hold stops it.
func (w *World) undo(ctx context.Context, step *incidentStep) (line.Next, error) {
	incident := step.State
	run := incident.Run()
	if run == nil {
		return line.Next{}, jenner.ForHuman(errNoRun, "")
	}
	renew(step, run)
	record, err := w.Stepper.UndoNext(ctx, incident)
	if err != nil {
		if jenner.NextAfter(err) == jenner.TryAgain {
			// It is tried on, for as long as it takes; but what was changed is still there, and somebody must know.
			w.page(ctx, step, fmt.Sprintf("%s: what %s changed could not be taken back yet: %v", incident.Service, run.Runbook.Name, err))
			return line.Next{}, err
		}
		return w.escalate(ctx, step, "what "+run.Runbook.Name+" changed could not be taken back: "+err.Error()), nil
	}
	step.Now = w.Now()
	if record != nil {
		step.Note("undo", fmt.Sprintf("step %s %s: %s", record.Name, record.Status, record.UndoNote), record)
		step.Audit("undo", record)
		return line.Go(jenner.PhaseUndoing), nil
	}
	if run.State == jenner.RunCompleted { // a mitigation that has done its work
		run.State = jenner.RunUndone
		return w.end(step, jenner.PhaseResolved, run.Runbook.Name+" kept it healthy until it could be taken back; verified"), nil
	}
	for _, record := range run.Steps {
		if record.Status == jenner.StepUndone {
			run.State = jenner.RunUndone
		}
	}
	return w.nextRunbook(ctx, step), nil
}

// nextRunbook goes on with the next runbook of the policy, or hands over to a human.
func (w *World) nextRunbook(ctx context.Context, step *incidentStep) line.Next {
	incident := step.State
	giveBack(step, incident.Run())
	if len(incident.Plan) > 0 {
		step.Note("plan", "next, "+incident.Plan[0], nil)
		return line.Go(jenner.PhasePlanned)
	}
	return w.escalate(ctx, step, incident.Run().Runbook.Name+" did not help: "+incident.Run().Error)
}
