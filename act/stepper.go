package act

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

// Stepper runs a runbook, one step a call. It is safe for concurrent use.
type Stepper struct {
	Executor *Executor
	// Action finds an action by the written name and the target's kind, decodes the parameters into it, and gives its
	// full name.
	Action func(name, kind string, params jenner.Params) (full string, action Action, err error)
	Docs   func() *jenner.Documents
	Host   func(incident *jenner.Incident) Host
	// Chance gives numbers in [0,1) for the jitter of retries; math/rand where nil.
	Chance func() float64
}

// Move says where a run stands after a call.
type Move string

// The moves.
const (
	MoveOn     Move = "on"     // there is another step
	MoveWait   Move = "wait"   // the same step again, at the time given
	MoveDone   Move = "done"   // all steps are behind it
	MoveFailed Move = "failed" // a step failed; what the run changed is to be taken back
	MoveHuman  Move = "human"  // nobody but a person can tell how things stand
)

// Stepped is what one call did.
type Stepped struct {
	Move   Move
	At     time.Time          // with MoveWait
	Record *jenner.StepRecord // the step that ended, if one did
	Note   string             // with MoveWait: what for
}

// Next does the next step of the incident's present run, and changes the run accordingly.
func (s *Stepper) Next(ctx context.Context, incident *jenner.Incident) (Stepped, error) {
	return s.NextWith(ctx, incident, nil)
}

// NextWith is Next for a caller who writes down what the step's effect came to together with what follows from it: result
// is given that, also where an error follows, and the journal is not.
func (s *Stepper) NextWith(ctx context.Context, incident *jenner.Incident, result func(jenner.Intent)) (Stepped, error) {
	run := incident.Run()
	if run.Next >= len(run.Runbook.Steps) {
		return Stepped{Move: MoveDone}, nil
	}
	step := run.Runbook.Steps[run.Next]
	record := pending(run, step, s.Executor.Now())
	if record.Attempts > 0 && s.Executor.Now().Before(record.EndedAt) {
		return Stepped{Move: MoveWait, At: record.EndedAt, Note: again(step, record)}, nil // woken before its time
	}
	wanted, err := s.wanted(incident, step)
	if err != nil || !wanted {
		return s.skip(run, record, err), nil
	}
	order, err := s.order(ctx, incident, step, record)
	if err != nil {
		return s.ended(run, record, jenner.Intent{}, err), nil
	}
	order.Result = result
	return s.do(ctx, run, step, record, order)
}

// do carries the step at hand out.
func (s *Stepper) do(ctx context.Context, run *jenner.Run, step jenner.Step, record *jenner.StepRecord, order Order) (Stepped, error) {
	during, cancel := context.WithTimeout(ctx, step.Timeout.Or(patience(order.Action)))
	defer cancel()
	intent, err := s.Executor.Do(during, order)
	if errors.Is(err, ErrHeld) || errors.Is(err, ErrUnsettled) {
		return Stepped{Move: MoveWait, At: s.Executor.Now().Add(waitAgain(err)), Note: err.Error()}, nil
	}
	if ctx.Err() != nil {
		return Stepped{}, context.Cause(ctx)
	}
	if at, follows := s.retry(step, record, err); follows {
		record.EndedAt, record.Error, record.Changed = at, err.Error(), record.Changed || intent.Changed
		keep(run, *record)
		return Stepped{Move: MoveWait, At: at, Note: again(step, record)}, nil
	}
	return s.ended(run, record, intent, err), nil
}

func again(step jenner.Step, record *jenner.StepRecord) string {
	return fmt.Sprintf("step %s failed (%s); attempt %d follows", step.Name, record.Error, record.Attempts+1)
}

// waitAgain is how long until a step that could not begin is looked at again: a hold is a person's, the rest passes soon.
func waitAgain(err error) time.Duration {
	if errors.Is(err, ErrHeld) {
		return time.Second
	}
	return 100 * time.Millisecond
}

// patience is how long an action may take where its step does not say: one that only looks has a timeout of its own.
func patience(action Action) time.Duration {
	if _, ok := action.(Reader); ok {
		return 24 * time.Hour
	}
	return time.Minute
}

// pending is the record of the step at hand: a new one, or the one that an earlier attempt left. Between two attempts its
// EndedAt is when the next one may begin, so that neither a restart nor a wake of the line makes it begin sooner.
func pending(run *jenner.Run, step jenner.Step, now time.Time) *jenner.StepRecord {
	if len(run.Steps) > run.Next {
		record := run.Steps[run.Next]
		return &record
	}
	return &jenner.StepRecord{Name: step.Name, Action: step.Action, StartedAt: now}
}

func keep(run *jenner.Run, record jenner.StepRecord) {
	if len(run.Steps) > run.Next {
		run.Steps[run.Next] = record
		return
	}
	run.Steps = append(run.Steps, record)
}

func (s *Stepper) wanted(incident *jenner.Incident, step jenner.Step) (bool, error) {
	if step.Condition == "" {
		return true, nil
	}
	run := incident.Run()
	condition, err := runbook.Compile(step.Condition, runbook.StepNames(run.Runbook))
	if err != nil {
		return false, err
	}
	return condition.Eval(runbook.Env{Steps: Outcomes(run), Telemetry: s.Host(incident).Telemetry,
		Now: s.Executor.Now(), Service: incident.Service})
}

// Outcomes are what a run's steps came to, as conditions see them.
func Outcomes(run *jenner.Run) map[string]runbook.StepOutcome {
	outcomes := map[string]runbook.StepOutcome{}
	if run == nil {
		return outcomes
	}
	for _, record := range run.Steps {
		outcomes[record.Name] = runbook.StepOutcome{Status: record.Status, Output: record.Output}
	}
	return outcomes
}

// Unbegun gives the intent of the step at hand where it was written and nothing was done about it, as this process knows or,
// after a restart, its action says; false where something was done, or where nobody can tell.
func (s *Stepper) Unbegun(ctx context.Context, incident *jenner.Incident) (jenner.Intent, bool, error) {
	run := incident.Run()
	if run.Next >= len(run.Runbook.Steps) || len(run.Steps) > run.Next {
		return jenner.Intent{}, false, nil // an attempt at this step has ended
	}
	intent, err := s.Executor.Journal.Intent(ctx, Key(run, run.Next, 0))
	if errors.Is(err, jenner.ErrNotFound) || err == nil && intent.State != jenner.IntentIntended {
		return intent, false, nil
	}
	if err != nil {
		return intent, false, err
	}
	if s.Executor.isUntouched(intent.Key) {
		return intent, true, nil
	}
	happened := s.happened(ctx, incident, jenner.ForeseenStep{Step: intent.Step, Action: intent.Action, Service: intent.Service,
		Target: intent.Target, Params: intent.Params, Checkpoint: intent.Checkpoint}, intent.Key)
	return intent, happened == HappenedNot, nil
}

// Drop gives up an unbegun effect: what has passed meanwhile needs nothing any more.
func (s *Stepper) Drop(ctx context.Context, intent jenner.Intent, why string) error {
	s.Executor.touch(intent.Key, true)
	intent.State, intent.EndedAt, intent.Error, intent.Next = jenner.IntentFailed, s.Executor.Now(), why, jenner.NeverMind
	return s.Executor.Journal.Finish(ctx, intent)
}

func (s *Stepper) skip(run *jenner.Run, record *jenner.StepRecord, err error) Stepped {
	if err != nil {
		return s.ended(run, record, jenner.Intent{}, jenner.Permanent(fmt.Errorf("condition: %w", err), ""))
	}
	record.Status, record.EndedAt, record.Summary = jenner.StepSkipped, s.Executor.Now(), "its condition is false"
	keep(run, *record)
	run.Next++
	return Stepped{Move: MoveOn, Record: record}
}

// Key names one attempt of one step of a run for ever; attempts count from 0.
func Key(run *jenner.Run, step, attempt int) string {
	return fmt.Sprintf("%s/%d-%s#%d", run.ID, step, run.Runbook.Steps[step].Name, attempt)
}

// order makes the effect of a step, with the key that names this attempt for ever.
func (s *Stepper) order(ctx context.Context, incident *jenner.Incident, step jenner.Step, record *jenner.StepRecord) (Order, error) {
	run, docs := incident.Run(), s.Docs()
	service, target, err := s.target(incident, step.Target)
	if err != nil {
		return Order{}, jenner.Permanent(err, "the files changed since the run began")
	}
	full, action, err := s.Action(step.Action, target.Kind, step.Params)
	if err != nil {
		return Order{}, jenner.Permanent(err, "")
	}
	subject := service
	if service.Name != incident.Service {
		subject, _ = docs.Service(incident.Service)
	}
	record.Action, record.Service, record.Target = full, service.Name, target.Ref()
	record.Key = Key(run, run.Next, record.Attempts)
	order := Order{Name: full, Action: action, Params: step.Params, By: incident.ID, Call: Call{
		Key: record.Key, Incident: incident.ID, Run: run.ID, Step: step.Name, Service: service, Target: target,
		Subject: subject, Host: s.Host(incident)}}
	order.Call.Allowed, err = Allowed(ctx, order, step.BlastRadius)
	return order, err
}

// target is the service and target a step acts on: the one it names, or the one that the run is for.
func (s *Stepper) target(incident *jenner.Incident, written string) (jenner.Service, jenner.Target, error) {
	return s.targetOf(incident, incident.Run().Target, written)
}

// targetOf is the same for a run that is not begun yet.
func (s *Stepper) targetOf(incident *jenner.Incident, ref jenner.TargetRef, written string) (jenner.Service, jenner.Target, error) {
	docs := s.Docs()
	root := incident.Diagnosis.Root
	if root == "" {
		root = incident.Service
	}
	service, known := docs.Service(root)
	if !known {
		return jenner.Service{}, jenner.Target{}, fmt.Errorf("there is no service %q any more", root)
	}
	if written != "" {
		return docs.Target(written, service)
	}
	target, known := service.TargetNamed(ref.Name)
	if !known && ref != (jenner.TargetRef{}) {
		return jenner.Service{}, jenner.Target{}, fmt.Errorf("service %s has no target %s any more", root, ref)
	}
	return service, target, nil
}

// Allowed turns a step's blast radius into counts, by unit. A limit in a unit that the action does not work in is an
// error, for it would limit nothing.
func Allowed(ctx context.Context, order Order, radius jenner.BlastRadius) (map[string]int, error) {
	if len(radius) == 0 {
		return nil, nil
	}
	size := Size{Unit: "targets", Want: 1, Total: max(1, len(order.Call.Service.Targets))}
	if sizer, ok := order.Action.(Sizer); ok {
		var err error
		if size, err = sizer.Size(ctx, order.Call); err != nil {
			return nil, fmt.Errorf("cannot tell how much %s would touch: %w", order.Name, err)
		}
	}
	limit, known := radius["max_"+size.Unit]
	if !known {
		return nil, jenner.Permanent(fmt.Errorf("%s works in %s, but the blast radius limits %v", order.Name, size.Unit,
			radius.Units()), "write max_"+size.Unit)
	}
	allowed := limit.Of(size.Total)
	if allowed == 0 && size.Want > 0 {
		return nil, jenner.Permanent(fmt.Errorf("%s would touch %d %s and the blast radius allows none of %d", order.Name,
			size.Want, size.Unit, size.Total), "")
	}
	return map[string]int{size.Unit: allowed}, nil
}

// retry tells whether and when a failed attempt is followed by another one. Both the number of attempts and the time are
// kept with the run, so that a restart loses neither.
func (s *Stepper) retry(step jenner.Step, record *jenner.StepRecord, err error) (time.Time, bool) {
	record.Attempts++
	if err == nil || step.Retry == nil || jenner.NextAfter(err) != jenner.TryAgain || record.Attempts >= step.Retry.Attempts {
		return time.Time{}, false
	}
	return s.Executor.Now().Add(backOff(*step.Retry, record.Attempts, s.chance())), true
}

func (s *Stepper) chance() float64 {
	if s.Chance == nil {
		return rand.Float64()
	}
	return s.Chance()
}

// backOff doubles the delay with each attempt up to the most, and takes a chance share of its upper half: equal
// jitter, as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
func backOff(retry jenner.Retry, attempts int, chance float64) time.Duration {
	delay := float64(retry.Delay.Or(500*time.Millisecond)) * float64(int64(1)<<min(attempts-1, 30))
	delay = min(delay, float64(retry.MaxDelay.Or(30*time.Second)))
	return time.Duration(delay/2 + delay/2*chance)
}

// ended closes a step.
func (s *Stepper) ended(run *jenner.Run, record *jenner.StepRecord, intent jenner.Intent, err error) Stepped {
	record.EndedAt, record.Summary, record.Output = s.Executor.Now(), intent.Summary, intent.Output
	record.Changed = record.Changed || intent.Changed // also by an earlier attempt, which failed halfway
	record.Status, record.Error = jenner.StepPassed, ""
	move := MoveOn
	if err != nil {
		record.Status, record.Error = jenner.StepFailed, err.Error()
		switch {
		case jenner.NextAfter(err) == jenner.TellHuman:
			run.State, run.Error, move = jenner.RunUnknown, err.Error(), MoveHuman
		case !runbook.Handled(run.Runbook, run.Next):
			run.State, run.Error, move = jenner.RunFailed, fmt.Sprintf("step %s: %v", record.Name, err), MoveFailed
		}
	}
	keep(run, *record)
	run.Next++
	if move == MoveOn && run.Next >= len(run.Runbook.Steps) {
		move = MoveDone
	}
	return Stepped{Move: move, Record: record}
}

// UndoNext takes back the last step that the run changed something with and that is not taken back yet. It gives nil
// when nothing is left to undo.
func (s *Stepper) UndoNext(ctx context.Context, incident *jenner.Incident) (*jenner.StepRecord, error) {
	run := incident.Run()
	for i := len(run.Steps) - 1; i >= 0; i-- {
		record := &run.Steps[i]
		if !record.Changed || record.Status == jenner.StepUndone || record.Status == jenner.StepKept {
			continue
		}
		undone, err := s.undo(ctx, incident, i)
		if err != nil {
			return record, err
		}
		record.Status, record.UndoNote = jenner.StepUndone, undone.Note
		if undone.Kept {
			record.Status = jenner.StepKept
		}
		return record, nil
	}
	return nil, nil
}

// undo takes back what the attempts at one step changed, the last one first.
func (s *Stepper) undo(ctx context.Context, incident *jenner.Incident, i int) (Undone, error) {
	run := incident.Run()
	step, record := run.Runbook.Steps[i], run.Steps[i]
	during, cancel := context.WithTimeout(ctx, step.Timeout.Or(time.Minute))
	defer cancel()
	var whole Undone
	for attempt := max(record.Attempts, 1) - 1; attempt >= 0; attempt-- {
		done, err := s.Executor.Journal.Intent(ctx, Key(run, i, attempt))
		if err != nil {
			return Undone{}, fmt.Errorf("cannot find what step %s did: %w", record.Name, err)
		}
		if !done.Changed {
			continue
		}
		undone, err := s.undoOne(during, incident, step, done)
		if err != nil || undone.Kept || step.Undo != nil { // what the runbook says instead is said once for all attempts
			return undone, err
		}
		whole = undone
	}
	return whole, nil
}

func (s *Stepper) undoOne(ctx context.Context, incident *jenner.Incident, step jenner.Step, done jenner.Intent) (Undone, error) {
	service, _ := s.Docs().Service(done.Service)
	call := Call{Key: done.Key, Incident: incident.ID, Run: incident.Run().ID, Step: step.Name, Service: service,
		Target: done.Target, Host: s.Host(incident)}
	_, action, err := s.Action(done.Action, done.Target.Kind, done.Params)
	if err != nil {
		return Undone{}, err
	}
	order := Order{Name: done.Action, Action: action, Params: done.Params, By: incident.ID, Call: call}
	if step.Undo == nil {
		return s.Executor.Undo(ctx, order, done)
	}
	if note, foreign, err := s.Executor.Foreign(ctx, order, done); err != nil || foreign {
		return Undone{Kept: foreign, Note: note}, err
	}
	return s.explicitUndo(ctx, incident, *step.Undo, call)
}

// explicitUndo does what the runbook says instead of the action's own undo.
func (s *Stepper) explicitUndo(ctx context.Context, incident *jenner.Incident, undo jenner.UndoStep, call Call) (Undone, error) {
	if undo.Target != "" {
		var err error
		if call.Service, call.Target, err = s.target(incident, undo.Target); err != nil {
			return Undone{}, err
		}
	}
	full, action, err := s.Action(undo.Action, call.Target.Kind, undo.Params)
	if err != nil {
		return Undone{}, err
	}
	call.Key += "/undo"
	intent, err := s.Executor.Do(ctx, Order{Name: full, Action: action, Params: undo.Params, By: incident.ID, Call: call, Undoing: true})
	return Undone{Note: intent.Summary}, err
}
