package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// ErrHeld is why an effect was not begun, or was broken off: somebody stopped Jenner, or holds the service.
var ErrHeld = errors.New("held")

// ErrUnsettled is why an effect of before a restart has no result yet: its action cannot tell at this moment.
var ErrUnsettled = errors.New("nobody can tell yet")

// Journal keeps intents. It is safe for concurrent use.
type Journal interface {
	// Begin stores an intent, synced to disk, unless one with its key is there; that one is given with fresh false.
	Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error)
	// Finish stores how an intended effect ended.
	Finish(ctx context.Context, intent jenner.Intent) error
	// Intent is the stored one, or jenner.ErrNotFound.
	Intent(ctx context.Context, key string) (jenner.Intent, error)
}

// Executor is the one place through which things are changed. It is safe for concurrent use.
type Executor struct {
	Journal Journal
	Now     func() time.Time
	// Held tells whether acting on a service is forbidden at this moment. It is asked before each effect.
	Held func(service string) (jenner.Hold, bool)
	// Fence, where it is set, says why this process may change nothing at all at this moment, not even take something back:
	// another one may act in its place.
	Fence func() error
	// DryRun makes every effect a sentence that says what would happen. It can be set, never unset.
	DryRun bool
	// Expiry is how long an intent may wait to be carried out; 2m where not said.
	Expiry time.Duration

	mu       sync.Mutex
	inFlight map[*flight]bool
	// untouched are the keys of open intents of which this process knows that nothing was done: it prepared them, or a hold
	// came between the intent and the effect.
	untouched map[string]bool
}

// flight is an effect that is going on.
type flight struct {
	service string
	cancel  context.CancelCauseFunc
}

// Order is one effect that is wanted.
type Order struct {
	Name   string // the action's full name
	Action Action
	Params jenner.Params
	Call   Call
	By     string // incident or drill
	// Undoing marks an effect that takes an earlier one back: a hold does not stop it.
	Undoing bool
	// Result, where it is set, takes the result in the journal's place: whoever gives it writes it down with what follows.
	Result func(intent jenner.Intent)
}

// Halt breaks off the effects that are going on and that the hold covers; those that undo something go on.
func (e *Executor) Halt(hold jenner.Hold) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for f := range e.inFlight {
		if hold.Covers(f.service, e.Now()) {
			f.cancel(heldBy(hold))
		}
	}
}

func heldBy(hold jenner.Hold) error {
	return jenner.Retryable(fmt.Errorf("%w: %s by %s since %s%s", ErrHeld, hold.Scope, hold.By,
		hold.At.Format(time.TimeOnly), because(hold.Reason)), "")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// Do carries an effect out once, however often it is asked with the same key: the intent is on disk before the effect
// begins, and an effect that has a result is not begun again. After a crash the action is asked whether it happened.
//
// The intent that is returned tells how it ended. The error is nil only for IntentDone; one that wraps ErrHeld means
// that nothing is settled and the same order may be given again later.
func (e *Executor) Do(ctx context.Context, order Order) (jenner.Intent, error) {
	if reader, ok := order.Action.(Reader); ok {
		reader.ReadOnly()
		return e.look(ctx, order)
	}
	stored, err := e.Journal.Intent(ctx, order.Call.Key)
	switch {
	case err == nil && stored.State != jenner.IntentIntended:
		return stored, asError(stored)
	case err == nil:
		return e.settle(ctx, order, stored)
	case !errors.Is(err, jenner.ErrNotFound):
		return jenner.Intent{}, err
	}
	intent, err := e.prepare(ctx, order)
	if err != nil {
		return intent, err
	}
	if e.DryRun {
		return rehearsed(ctx, order, intent)
	}
	stored, fresh, err := e.Journal.Begin(ctx, intent)
	if err != nil {
		return intent, err
	}
	if !fresh {
		return e.settle(ctx, order, stored)
	}
	return e.carryOut(ctx, order, stored)
}

func on(target jenner.Target) string {
	if target.Name == "" {
		return ""
	}
	return " on " + target.Ref().String()
}

// prepare looks at the live target and takes the checkpoint.
func (e *Executor) prepare(ctx context.Context, order Order) (jenner.Intent, error) {
	now := e.Now()
	expiry := e.Expiry
	if expiry == 0 {
		expiry = 2 * time.Minute
	}
	intent := jenner.Intent{Key: order.Call.Key, By: order.By, Run: order.Call.Run, Step: order.Call.Step,
		Action: order.Name, Service: order.Call.Service.Name, Target: order.Call.Target, Params: order.Params,
		At: now, Expires: now.Add(expiry), State: jenner.IntentIntended, Undo: undoOf(order)}
	if err := e.held(order); err != nil {
		return intent, err
	}
	if err := possible(ctx, order); err != nil {
		return intent, err
	}
	if keeper, ok := order.Action.(Checkpointer); ok {
		checkpoint, err := keeper.Checkpoint(ctx, order.Call)
		if err != nil {
			return intent, fmt.Errorf("cannot take the checkpoint before %s%s: %w", order.Name, on(order.Call.Target), err)
		}
		intent.Checkpoint = checkpoint
		order.Call.Checkpoint = checkpoint
	}
	intent.Before, _ = fingerprint(ctx, order) // nobody knows it where it cannot be read
	return intent, nil
}

// fingerprint names the target's present state; false where that cannot be had.
func fingerprint(ctx context.Context, order Order) (string, bool) {
	printer, ok := order.Action.(Fingerprinter)
	if !ok {
		return "", false
	}
	print, err := printer.Fingerprint(ctx, order.Call)
	return print, err == nil
}

// possible checks the precondition on the live target. It is asked right before each effect, also before one that was
// intended by an earlier process.
func possible(ctx context.Context, order Order) error {
	if checker, ok := order.Action.(Checker); ok {
		if err := checker.Check(ctx, order.Call); err != nil {
			return fmt.Errorf("%s%s is not possible now: %w", order.Name, on(order.Call.Target), err)
		}
	}
	return nil
}

func undoOf(order Order) string {
	if _, ok := order.Action.(Undoer); ok {
		return "the action's own undo"
	}
	return ""
}

// fenced is an error while another process may act.
func (e *Executor) fenced() error {
	if e.Fence == nil {
		return nil
	}
	if err := e.Fence(); err != nil {
		return jenner.Retryable(fmt.Errorf("%w: %w", ErrHeld, err), "")
	}
	return nil
}

func (e *Executor) held(order Order) error {
	if err := e.fenced(); err != nil {
		return err
	}
	if order.Undoing {
		return nil
	}
	if hold, yes := e.Held(order.Call.Service.Name); yes {
		return heldBy(hold)
	}
	return nil
}

// settle finds out what became of an intent that has no result: somebody died between the intent and the result.
func (e *Executor) settle(ctx context.Context, order Order, stored jenner.Intent) (jenner.Intent, error) {
	order.Call.Checkpoint = stored.Checkpoint
	answer := HappenedUnknown
	if resolver, ok := order.Action.(Resolver); e.isUntouched(stored.Key) {
		answer = HappenedNot
	} else if ok {
		var err error
		answer, err = resolver.Happened(ctx, order.Call)
		if err != nil && e.Now().Before(stored.Expires) {
			return stored, jenner.Retryable(fmt.Errorf("%w whether %s%s happened before the restart: %w", ErrUnsettled,
				order.Name, on(order.Call.Target), err), "")
		}
		if err != nil {
			answer = HappenedUnknown
		}
	}
	switch {
	case answer == HappenedDone:
		present, known := fingerprint(ctx, order)
		// What is as it was before is not changed, and must not be taken back.
		stored.Changed, stored.Summary = !known || stored.Before == "" || present != stored.Before, "it had happened before the restart"
		return e.finish(ctx, order, stored, nil)
	case answer == HappenedNot && e.Now().After(stored.Expires) && !order.Undoing:
		return e.finish(ctx, order, stored, jenner.Permanent(
			fmt.Errorf("the intent of %s expired before it was carried out", stored.At.Format(time.RFC3339)), ""))
	case answer == HappenedNot:
		if err := e.held(order); err != nil {
			return stored, err
		}
		if err := possible(ctx, order); err != nil {
			return e.finish(ctx, order, stored, err)
		}
		return e.carryOut(ctx, order, stored)
	}
	return e.finish(ctx, order, stored, jenner.ForHuman(
		fmt.Errorf("nobody can tell whether %s%s happened before the restart", order.Name, on(order.Call.Target)),
		"look at the target and decide"))
}

// carryOut begins the effect. A hold that comes while it goes on breaks it off and leaves the intent without a result:
// what has become of it is found out when the hold is gone.
func (e *Executor) carryOut(ctx context.Context, order Order, intent jenner.Intent) (jenner.Intent, error) {
	order.Call.Checkpoint = intent.Checkpoint
	during, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !order.Undoing {
		defer e.track(order, cancel)()
	}
	// A hold that came between the first look and the tracking is seen here; a later one cancels the flight.
	if err := e.held(order); err != nil {
		e.touch(intent.Key, false)
		return intent, err
	}
	e.touch(intent.Key, true)
	result, err := order.Action.Do(during, order.Call)
	if err != nil && during.Err() != nil && ctx.Err() == nil {
		return intent, context.Cause(during)
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return intent, context.Cause(ctx) // the program stops; the next start asks what happened
	}
	if err != nil && order.Undoing && jenner.NextAfter(err) == jenner.TryAgain {
		return intent, err // the intent stays open: a result would be the answer to every later try
	}
	intent.Summary, intent.Changed = result.Summary, result.Changed && err == nil
	if err != nil && !order.Undoing {
		intent.Changed = halfway(ctx, order)
	}
	if result.Output != nil {
		intent.Output = jenner.Raw(result.Output)
	}
	return e.finish(ctx, order, intent, err)
}

// touch notes whether the effect of an open intent was begun.
func (e *Executor) touch(key string, begun bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if begun {
		delete(e.untouched, key)
		return
	}
	if e.untouched == nil {
		e.untouched = map[string]bool{}
	}
	e.untouched[key] = true
}

func (e *Executor) isUntouched(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.untouched[key]
}

// halfwayPatience is how long an action that failed may take to tell whether it has changed something all the same.
const halfwayPatience = 5 * time.Second

// halfway tells whether an effect that failed, or took too long, is there all the same, so that it is taken back with
// the rest.
func halfway(ctx context.Context, order Order) bool {
	resolver, ok := order.Action.(Resolver)
	if !ok {
		return false
	}
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), halfwayPatience)
	defer cancel()
	answer, err := resolver.Happened(during, order.Call)
	return err == nil && answer == HappenedDone
}

func (e *Executor) track(order Order, cancel context.CancelCauseFunc) func() {
	f := &flight{service: order.Call.Service.Name, cancel: cancel}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inFlight == nil {
		e.inFlight = map[*flight]bool{}
	}
	e.inFlight[f] = true
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.inFlight, f)
	}
}

// finish writes the result down even when ctx has just ended, for the effect is there.
func (e *Executor) finish(ctx context.Context, order Order, intent jenner.Intent, effect error) (jenner.Intent, error) {
	ctx = context.WithoutCancel(ctx)
	e.touch(intent.Key, true)
	intent.EndedAt = e.Now()
	switch {
	case effect == nil:
		intent.State = jenner.IntentDone
	case jenner.NextAfter(effect) == jenner.TellHuman:
		intent.State, intent.Error = jenner.IntentUnknown, effect.Error()
	default:
		intent.State, intent.Error, intent.Next = jenner.IntentFailed, effect.Error(), jenner.NextAfter(effect)
	}
	if intent.State == jenner.IntentDone || intent.Changed {
		if print, known := fingerprint(ctx, order); known {
			intent.Fingerprint = print
		}
	}
	if order.Result != nil {
		order.Result(intent)
		return intent, effect
	}
	if err := e.Journal.Finish(ctx, intent); err != nil {
		return intent, fmt.Errorf("cannot write down the result of %s: %w", order.Name, err)
	}
	return intent, effect
}

// asError is the error of an intent that has ended.
func asError(intent jenner.Intent) error {
	switch intent.State {
	case jenner.IntentFailed:
		return &jenner.Error{Err: errors.New(intent.Error), Next: intent.Next}
	case jenner.IntentUnknown:
		return jenner.ForHuman(errors.New(intent.Error), "")
	}
	return nil
}

// look runs an action that changes nothing. A hold breaks it off, so that a wait does not outlive a stop.
func (e *Executor) look(ctx context.Context, order Order) (jenner.Intent, error) {
	intent := jenner.Intent{Key: order.Call.Key, Action: order.Name, At: e.Now(), State: jenner.IntentFailed}
	if e.DryRun {
		intent.State, intent.Summary = jenner.IntentDone, would(order)
		return intent, nil
	}
	if err := e.held(order); err != nil {
		return intent, err
	}
	during, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer e.track(order, cancel)()
	result, err := order.Action.Do(during, order.Call)
	if err != nil && during.Err() != nil && ctx.Err() == nil {
		return intent, context.Cause(during)
	}
	intent.EndedAt, intent.Summary = e.Now(), result.Summary
	if result.Output != nil {
		intent.Output = json.RawMessage(jenner.Raw(result.Output))
	}
	if err != nil {
		intent.Error = err.Error()
		return intent, err
	}
	intent.State = jenner.IntentDone
	return intent, nil
}

// Undone says how an undo went.
type Undone struct {
	Kept bool   // somebody else changed the target since, so it was left alone
	Note string // one line for the timeline
}

// Undo takes back what one done intent changed, if the target is still as the effect left it. It is not stopped by any
// hold, and doing it twice is as doing it once.
func (e *Executor) Undo(ctx context.Context, order Order, done jenner.Intent) (Undone, error) {
	undoer, ok := order.Action.(Undoer)
	if !ok {
		return Undone{Kept: true, Note: order.Name + " has nothing to take back"}, nil
	}
	order.Call.Checkpoint, order.Undoing = done.Checkpoint, true
	before := order.Call.Key
	order.Call.Key += "/undo"
	stored, err := e.Journal.Intent(ctx, order.Call.Key)
	if err == nil && stored.State == jenner.IntentDone {
		return Undone{Note: stored.Summary}, nil
	}
	if errors.Is(err, jenner.ErrNotFound) {
		if note, foreign := e.foreign(ctx, order, done); foreign {
			return Undone{Kept: true, Note: note}, nil
		}
	} else if err == nil {
		if undone, settled, err := e.settleUndo(ctx, order, done, stored); settled || err != nil {
			return undone, err
		}
	}
	if e.DryRun {
		return Undone{Note: "dry run: would take " + before + " back"}, nil
	}
	now := e.Now()
	stored, _, err = e.Journal.Begin(ctx, jenner.Intent{Key: order.Call.Key, By: order.By, Run: done.Run, Step: done.Step,
		Action: order.Name, Service: done.Service, Target: done.Target, Params: done.Params, Checkpoint: done.Checkpoint,
		At: now, Expires: now.Add(24 * time.Hour), State: jenner.IntentIntended, Undo: "this is an undo"})
	if err != nil {
		return Undone{}, err
	}
	if err := e.fenced(); err != nil {
		return Undone{}, err
	}
	result, err := undoer.Undo(ctx, order.Call)
	if err != nil {
		// The intent stays open: an undo is tried again until it is done or a human takes over.
		return Undone{}, fmt.Errorf("cannot undo %s%s: %w", order.Name, on(done.Target), err)
	}
	stored.Summary, stored.Changed = result.Summary, result.Changed
	if _, err := e.finish(ctx, order, stored, nil); err != nil {
		return Undone{}, err
	}
	return Undone{Note: result.Summary}, nil
}

// settleUndo finds out what became of an undo that was begun and has no result. Where the target is as it was before the
// effect, the undo is done. Where it is neither that nor as the effect left it, somebody else has changed it since.
func (e *Executor) settleUndo(ctx context.Context, order Order, done, stored jenner.Intent) (Undone, bool, error) {
	present, known := fingerprint(ctx, order)
	if !known || done.Before == "" || done.Fingerprint == "" || present == done.Fingerprint || e.DryRun {
		return Undone{}, false, nil
	}
	undone := Undone{Note: "it had been taken back before the restart"}
	if present != done.Before {
		undone = Undone{Kept: true, Note: "left alone: somebody else changed it since"}
	}
	stored.Summary = undone.Note
	_, err := e.finish(ctx, order, stored, nil)
	return undone, true, err
}

// Foreign tells whether a done effect may not be taken back, because somebody else changed the target since, and says
// so in one line. An undo that was begun before is ours: it has changed the target itself.
func (e *Executor) Foreign(ctx context.Context, order Order, done jenner.Intent) (string, bool, error) {
	_, err := e.Journal.Intent(ctx, done.Key+"/undo")
	if err == nil || !errors.Is(err, jenner.ErrNotFound) {
		return "", false, err
	}
	order.Call.Checkpoint = done.Checkpoint
	note, foreign := e.foreign(ctx, order, done)
	return note, foreign, nil
}

// foreign tells whether the target is not any more as the effect left it.
func (e *Executor) foreign(ctx context.Context, order Order, done jenner.Intent) (string, bool) {
	printer, ok := order.Action.(Fingerprinter)
	if !ok || done.Fingerprint == "" {
		return "", false
	}
	print, err := printer.Fingerprint(ctx, order.Call)
	if err == nil && print == done.Fingerprint {
		return "", false
	}
	if err != nil {
		return fmt.Sprintf("left alone: its present state cannot be read (%v)", err), true
	}
	return "left alone: somebody else changed it since", true
}
