package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	mu   sync.Mutex
	kept map[string]kept[S] // the states of open records, as they were committed last
}

// kept is a state that need not be read from its JSON again while the stored version is still the same.
type kept[S any] struct {
	version int64
	state   *S
}

// RetryDelay is how long a record rests after a stage failed for a passing reason.
const RetryDelay = time.Second

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

// Ledger puts entries into the ledger of the guards.
func (s *Step[S]) Ledger(entries ...jenner.LedgerEntry) {
	s.change.Ledger = append(s.change.Ledger, entries...)
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
	record, err := l.Store.Load(ctx, l.Name, id)
	if err != nil {
		return time.Time{}, fmt.Errorf("load %s %s: %w", l.Name, id, err)
	}
	if record.Ended {
		return time.Time{}, nil
	}
	state, err := l.state(record)
	if err != nil {
		return time.Time{}, fmt.Errorf("the stored state of %s %s cannot be read: %w", l.Name, id, err)
	}
	step := &Step[S]{State: state, ID: id, Phase: record.Phase, Now: l.Now()}
	for {
		next, err := l.run(ctx, step)
		if ctx.Err() != nil {
			// The program is stopping: what the stage saw may be a consequence of that, so it is not a result.
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

// state reads the state of a record. Where it is as this line committed it, the value from then serves: it is taken, so
// that what a step that fails has changed in it is never seen again.
func (l *Line[S]) state(record jenner.Record) (*S, error) {
	l.mu.Lock()
	known, is := l.kept[record.ID]
	delete(l.kept, record.ID)
	l.mu.Unlock()
	if is && known.version == record.Version {
		return known.state, nil
	}
	state := new(S)
	return state, json.Unmarshal(record.State, state)
}

func (l *Line[S]) keep(id string, version int64, state *S) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil {
		l.kept = map[string]kept[S]{}
	}
	l.kept[id] = kept[S]{version, state}
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
	change := step.change
	change.Record = record
	err := l.Store.Commit(ctx, change)
	if errors.Is(err, jenner.ErrTaken) {
		return l.wait(ctx, before, err)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("commit %s %s: %w", l.Name, step.ID, err)
	}
	if !next.end {
		l.keep(step.ID, record.Version+1, step.State)
	}
	if l.Committed != nil {
		change.Record.Version++
		l.Committed(change)
	}
	return due, nil
}

// WaitTaken is what a record waits for whose step would have taken more than is allowed.
const WaitTaken = "others to give back what they hold"

// wait lets the record rest where it stood before the step. Why is told once.
func (l *Line[S]) wait(ctx context.Context, record jenner.Record, why error) (time.Time, error) {
	now := l.Now()
	change := jenner.Change{Record: record}
	if record.Wait != WaitTaken {
		change.Timeline = []jenner.Entry{{At: now, Phase: record.Phase, Kind: "wait", Text: why.Error()}}
	}
	change.Record.Wait, change.Record.Due, change.Record.Updated = WaitTaken, now.Add(TakenDelay), now
	if err := l.Store.Commit(ctx, change); err != nil {
		return time.Time{}, fmt.Errorf("commit %s %s: %w", l.Name, record.ID, err)
	}
	if l.Committed != nil {
		change.Record.Version++
		l.Committed(change)
	}
	return change.Record.Due, nil
}

// Create stores a new record, due at once. Something of the same id stays as it is and gives jenner.ErrConflict.
func (l *Line[S]) Create(ctx context.Context, id, subject string, state S, notes ...jenner.Entry) error {
	now := l.Now()
	change := jenner.Change{
		Record: jenner.Record{Line: l.Name, ID: id, Subject: subject, Phase: l.Phases[0].Name, State: jenner.Raw(state),
			Due: now, Created: now, Updated: now},
		Timeline: notes,
		Audit:    []jenner.AuditEntry{{At: now, Kind: l.Name + ".opened", Subject: id, Actor: "jenner", Data: jenner.Raw(state)}},
	}
	if err := l.Store.Commit(ctx, change); err != nil {
		return err
	}
	if l.Committed != nil {
		change.Record.Version++
		l.Committed(change)
	}
	return nil
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
