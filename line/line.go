package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// Phase is one place on a line, with the stage that leads on from it. A final phase has none.
type Phase[S any] struct {
	Name  jenner.Phase
	Stage func(ctx context.Context, step *Step[S]) (Next, error)
	// Joins marks a stage that only looks and decides. It is run in the same call as the stage that leads to it, and
	// what came of both is committed together: doing it again after a crash does no harm, and every commit costs a sync.
	Joins bool
}

// Line is a list of phases that can be read aloud. S is the state that its records carry as JSON.
type Line[S any] struct {
	Name   string
	Phases []Phase[S]
	Store  Store
	Now    func() time.Time
	// Failed decides what follows when a stage failed for good, or needs a human. It may add to the step.
	Failed func(ctx context.Context, step *Step[S], err error) Next
	// Committed, where it is set, hears of each change after it is on disk. It must not block.
	Committed func(change jenner.Change)
	// Refused, where it is set, hears of the results that a step brought and that were not committed with it: the effects
	// are there all the same. ctx may have ended.
	Refused func(ctx context.Context, results []jenner.Intent)

	mu   sync.Mutex
	kept map[string]kept[S] // the open records, as they were committed last
}

// kept is a record whose state need not be read from its JSON again while the stored version is still the same.
type kept[S any] struct {
	record jenner.Record
	state  *S
	// on tells that the next step follows at once: then the record is not even loaded. Whether it is still as it was
	// committed a moment ago is checked when the next step is.
	on bool
}

// RetryDelay is how long a record rests after a stage failed for a passing reason.
const RetryDelay = time.Second

// atOnce is how long after a commit the next step may begin without looking whether the record is still as it was.
const atOnce = time.Second

// TakenDelay is how long a record rests that would have taken more than is allowed.
const TakenDelay = 100 * time.Millisecond

// Step is what a stage works on. Whatever it adds is committed together with the state, or not at all.
type Step[S any] struct {
	State *S
	ID    string
	Phase jenner.Phase
	Now   time.Time

	joined bool
	change jenner.Change
}

// Joined tells whether an earlier stage of the same call led here, so that what that one added is committed together
// with what this one adds.
func (s *Step[S]) Joined() bool { return s.joined }

// Note adds a line to the timeline. data may be nil.
func (s *Step[S]) Note(kind, text string, data any) {
	entry := jenner.Entry{At: s.Now, Phase: s.Phase, Kind: kind, Text: text}
	if data != nil {
		entry.Data = jenner.Raw(data)
	}
	s.change.Timeline = append(s.change.Timeline, entry)
}

// Audit adds a fact to the audit log.
func (s *Step[S]) Audit(kind string, data any) {
	s.change.Audit = append(s.change.Audit,
		jenner.AuditEntry{At: s.Now, Kind: kind, Subject: s.ID, Actor: "jenner", Data: jenner.Raw(data)})
}

// Ledger puts entries into the ledger of the guards. What a stage of the same step put there before under the same id is
// replaced at once.
func (s *Step[S]) Ledger(entries ...jenner.LedgerEntry) {
	for _, entry := range entries {
		same := func(other jenner.LedgerEntry) bool { return other.ID == entry.ID }
		if i := slices.IndexFunc(s.change.Ledger, same); i >= 0 {
			s.change.Ledger[i] = entry
			continue
		}
		s.change.Ledger = append(s.change.Ledger, entry)
	}
}

// Outcome keeps how an incident ended.
func (s *Step[S]) Outcome(outcome jenner.Outcome) {
	s.change.Outcomes = append(s.change.Outcomes, outcome)
}

// Judge keeps what became clear about a decision.
func (s *Step[S]) Judge(judgement jenner.Judgement) {
	s.change.Judgements = append(s.change.Judgements, judgement)
}

// Caps holds the commit to limits that are counted within the transaction. Where others hold too much, nothing of the
// step is kept, and it is made anew a moment later.
func (s *Step[S]) Caps(caps ...jenner.Cap) { s.change.Caps = append(s.change.Caps, caps...) }

// Result writes down what became of an effect, together with what follows from it.
func (s *Step[S]) Result(intent jenner.Intent) { s.change.Results = append(s.change.Results, intent) }

// Intent writes down an effect that is to follow.
func (s *Step[S]) Intent(intent jenner.Intent) { s.change.Intents = append(s.change.Intents, intent) }

// Proof keeps a verdict.
func (s *Step[S]) Proof(proofs ...jenner.Proof) {
	s.change.Proofs = append(s.change.Proofs, proofs...)
}

// Next is how a stage ended: go on, come back later, wait for something named, or finish.
type Next struct {
	phase jenner.Phase
	due   time.Time
	wait  string
	end   bool
}

// Go goes on to a phase at once.
func Go(phase jenner.Phase) Next { return Next{phase: phase} }

// Later comes back to the same phase at a time.
func Later(at time.Time) Next { return Next{due: at} }

// WaitFor waits for something named, but looks again at the time until; a Runner's Wake ends the wait sooner.
func WaitFor(name string, until time.Time) Next { return Next{due: until, wait: name} }

// End finishes in a final phase. Nothing follows, ever.
func End(phase jenner.Phase) Next { return Next{phase: phase, end: true} }

// Reconcile runs one stage of one record, and those after it that join it, and commits what came of it. It returns when
// the record is due again; the zero time where it has ended. Its errors are those of the store: jenner.ErrConflict means
// that somebody else moved the record meanwhile, and that nothing of this step was kept.
func (l *Line[S]) Reconcile(ctx context.Context, id string) (time.Time, error) {
	record, state, err := l.load(ctx, id)
	if err != nil || record.Ended {
		return time.Time{}, err
	}
	step := &Step[S]{State: state, ID: id, Phase: record.Phase, Now: l.Now()}
	for {
		next, err := l.run(ctx, step)
		if ctx.Err() != nil {
			// The program is stopping: what the stage saw may be a consequence of that, so it is not a result.
			l.refused(ctx, step)
			return time.Time{}, context.Cause(ctx)
		}
		if err != nil {
			next = l.failed(ctx, step, err)
		}
		if !l.joins(step, next) {
			return l.commit(ctx, record, step, next)
		}
		step.move(next.phase)
		step.joined = true
	}
}

// refused saves what is known of effects from a step that is not kept.
func (l *Line[S]) refused(ctx context.Context, step *Step[S]) {
	if l.Refused != nil && len(step.change.Results) > 0 {
		l.Refused(ctx, step.change.Results)
	}
}

// load gives a record with its state. What this line committed a moment ago is taken as it was, and so is a state that is
// still the stored one: taken, so that what a step that fails has changed in it is never seen again.
func (l *Line[S]) load(ctx context.Context, id string) (jenner.Record, *S, error) {
	l.mu.Lock()
	known, is := l.kept[id]
	delete(l.kept, id)
	l.mu.Unlock()
	if is && known.on && ctx.Err() == nil && l.Now().Sub(known.record.Updated) < atOnce {
		return known.record, known.state, nil
	}
	record, err := l.Store.Load(ctx, l.Name, id)
	if err != nil {
		return record, nil, fmt.Errorf("load %s %s: %w", l.Name, id, err)
	}
	if record.Ended || is && known.record.Version == record.Version {
		return record, known.state, nil
	}
	state := new(S)
	if err := json.Unmarshal(record.State, state); err != nil {
		return record, nil, fmt.Errorf("the stored state of %s %s cannot be read: %w", l.Name, id, err)
	}
	return record, state, nil
}

// keep remembers a record as it was committed.
func (l *Line[S]) keep(record jenner.Record, state *S) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil {
		l.kept = map[string]kept[S]{}
	}
	l.kept[record.ID] = kept[S]{record, state, !record.Due.After(record.Updated)}
}

// joins tells whether the next stage is run in the same call. A phase that leads back to itself is a step of its own.
func (l *Line[S]) joins(step *Step[S], next Next) bool {
	if next.end || next.phase == "" || next.phase == step.Phase {
		return false
	}
	for _, phase := range l.Phases {
		if phase.Name == next.phase {
			return phase.Joins
		}
	}
	return false
}

// move notes that the record goes on to another phase.
func (s *Step[S]) move(phase jenner.Phase) {
	if phase != "" && phase != s.Phase {
		s.Note("phase", fmt.Sprintf("%s → %s", s.Phase, phase), nil)
		s.Phase = phase
	}
}

func (l *Line[S]) run(ctx context.Context, step *Step[S]) (Next, error) {
	for _, phase := range l.Phases {
		if phase.Name == step.Phase {
			return phase.Stage(ctx, step)
		}
	}
	return Next{}, jenner.ForHuman(fmt.Errorf("%s %s stands in the unknown phase %q", l.Name, step.ID, step.Phase),
		"it was written by another version of jenner")
}

func (l *Line[S]) failed(ctx context.Context, step *Step[S], err error) Next {
	if jenner.NextAfter(err) == jenner.TryAgain {
		step.Note("error", err.Error(), nil)
		return Later(l.Now().Add(RetryDelay))
	}
	return l.Failed(ctx, step, err)
}

func (l *Line[S]) commit(ctx context.Context, record jenner.Record, step *Step[S], next Next) (time.Time, error) {
	now := l.Now()
	due, before := next.due, record
	step.move(next.phase)
	if due.IsZero() && !next.end {
		due = now
	}
	record.Phase, record.State = step.Phase, jenner.Raw(step.State)
	record.Due, record.Wait, record.Ended, record.Updated = due, next.wait, next.end, now
	step.change.Record = record
	err := l.put(ctx, step.change)
	if err != nil {
		l.refused(ctx, step)
	}
	if errors.Is(err, jenner.ErrTaken) {
		return l.wait(ctx, before, err)
	}
	if err != nil {
		return time.Time{}, err
	}
	if record.Version++; !next.end {
		l.keep(record, step.State)
	}
	return due, nil
}

// put commits a change and tells of it.
func (l *Line[S]) put(ctx context.Context, change jenner.Change) error {
	if err := l.Store.Commit(ctx, change); err != nil {
		return fmt.Errorf("commit %s %s: %w", l.Name, change.Record.ID, err)
	}
	if l.Committed != nil {
		change.Record.Version++
		l.Committed(change)
	}
	return nil
}

// WaitTaken is what a record waits for whose step would have taken more than is allowed.
const WaitTaken = "others to give back what they hold"

// wait lets the record rest where it stood before the step. Why is told once.
func (l *Line[S]) wait(ctx context.Context, record jenner.Record, why error) (time.Time, error) {
	now := l.Now()
	change := jenner.Change{}
	if record.Wait != WaitTaken {
		change.Timeline = []jenner.Entry{{At: now, Phase: record.Phase, Kind: "wait", Text: why.Error()}}
	}
	record.Wait, record.Due, record.Updated = WaitTaken, now.Add(TakenDelay), now
	change.Record = record
	return record.Due, l.put(ctx, change)
}

// Create stores a new record, due at once. Something of the same id stays as it is and gives jenner.ErrConflict.
func (l *Line[S]) Create(ctx context.Context, id, subject string, state S, notes ...jenner.Entry) error {
	now := l.Now()
	record := jenner.Record{Line: l.Name, ID: id, Subject: subject, Phase: l.Phases[0].Name, State: jenner.Raw(state),
		Due: now, Created: now, Updated: now}
	err := l.put(ctx, jenner.Change{Record: record, Timeline: notes,
		Audit: []jenner.AuditEntry{{At: now, Kind: l.Name + ".opened", Subject: id, Actor: "jenner", Data: record.State}}})
	if err == nil {
		record.Version++
		l.keep(record, &state)
	}
	return err
}

// LineName is the line's name; with Reconcile and DueIDs it makes a line something that a Runner can run.
func (l *Line[S]) LineName() string { return l.Name }

// DueIDs gives the ids that are due and the time of the next one.
func (l *Line[S]) DueIDs(ctx context.Context, limit int) ([]string, time.Time, error) {
	return l.Store.Due(ctx, l.Name, l.Now(), limit)
}

// conflict tells whether somebody else moved the record, which is no failure.
func conflict(err error) bool {
	return errors.Is(err, jenner.ErrConflict) || errors.Is(err, jenner.ErrNotFound)
}
