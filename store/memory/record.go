package memory

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// ListFilter narrows a list of records down. It is the same type as that of store/sqlite.
type ListFilter = struct {
	OpenOnly bool      // only those that have not ended
	Subject  string    // only those about this service; empty: all
	Since    time.Time // only those created then or later; zero: all
	Limit    int       // at most so many; 0: all
}

// kept is one record with its timeline.
type kept struct {
	jenner.Record
	timeline []jenner.Entry
	order    int64
	place    int // in the heap of what is due; -1 where it is not in it
}

// records are those of one line.
type records struct {
	byID map[string]*kept
	all  []*kept // by the time of their creation, the oldest first
	open []*kept // those that have not ended, in the same order
	due  dueHeap
}

func byCreation(a, b *kept) int { return earlier(a.Created, a.order, b.Created, b.order) }

func byDue(a, b *kept) int { return earlier(a.Due, a.order, b.Due, b.order) }

// dueHeap is a heap of the records that are due some time, the longest due on top.
type dueHeap []*kept

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return byDue(h[i], h[j]) < 0 }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *dueHeap) Push(one any) {
	one.(*kept).place = len(*h)
	*h = append(*h, one.(*kept))
}
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h, last.place = (*h)[:len(*h)-1], -1
	return last
}

// line gives the records of a line, which need not be there yet.
func (s *state) line(name string) *records {
	if s.lines[name] == nil {
		s.lines[name] = &records{byID: map[string]*kept{}}
	}
	return s.lines[name]
}

// Load gives a record; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Load(ctx context.Context, line, id string) (jenner.Record, error) {
	if err := s.enter(ctx); err != nil {
		return jenner.Record{}, err
	}
	defer s.mu.Unlock()
	stored, err := s.find(line, id)
	if err != nil {
		return jenner.Record{}, err
	}
	return stored.copied(), nil
}

func (s *state) find(line, id string) (*kept, error) {
	stored, known := s.line(line).byID[id]
	if !known {
		return nil, fmt.Errorf("%s %s: %w", line, id, jenner.ErrNotFound)
	}
	return stored, nil
}

func (k *kept) copied() jenner.Record {
	record := k.Record
	record.State = raw(record.State)
	return record
}

// Commit stores all of a change or nothing. The error wraps jenner.ErrConflict where the record's version is not the
// stored one, and where the stored record has ended; and jenner.ErrTaken where the change's ledger entries, together with
// what others hold at Record.Updated, would come to more than its caps allow.
func (s *Store) Commit(ctx context.Context, change jenner.Change) error {
	if err := check(change); err != nil {
		return fmt.Errorf("committing %s %s: %w", change.Record.Line, change.Record.ID, err)
	}
	entries, err := auditable(change.Audit)
	if err != nil {
		return fmt.Errorf("committing %s %s: %w", change.Record.Line, change.Record.ID, err)
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	stored, err := s.admit(change)
	var ended, begun []*intent
	if err == nil {
		ended, begun, err = s.effects(change)
	}
	if err != nil {
		return fmt.Errorf("committing %s %s: %w", change.Record.Line, change.Record.ID, err)
	}
	s.putRecord(stored, change)
	for _, one := range ended {
		s.finish(one)
	}
	s.putFacts(change)
	s.entries = append(s.entries, entries...)
	for _, one := range begun {
		s.begin(one)
	}
	return nil
}

// effects are the intents that a change ends and begins, before it does.
func (s *state) effects(change jenner.Change) (ended, begun []*intent, err error) {
	for _, result := range change.Results {
		one, err := s.ending(result)
		if err != nil {
			return nil, nil, err
		}
		ended = append(ended, one)
	}
	for _, intent := range change.Intents {
		one, err := beginning(intent)
		if _, known := s.intents[intent.Key]; err == nil && known {
			err = fmt.Errorf("%w: intent %s was begun before", jenner.ErrConflict, intent.Key)
		}
		if err != nil {
			return nil, nil, err
		}
		begun = append(begun, one)
	}
	return ended, begun, nil
}

// check refuses what could not be stored, before anything is.
func check(change jenner.Change) error {
	r := change.Record
	if r.Line == "" || r.ID == "" || r.Version < 0 {
		return jenner.Permanent(fmt.Errorf("a record needs a line, an id and a version from 0 on; this one has %q, %q and %d",
			r.Line, r.ID, r.Version), "")
	}
	errs := []error{storable(r.Due, r.Created, r.Updated), checkLedger(change.Ledger)}
	for _, entry := range change.Timeline {
		errs = append(errs, storable(entry.At))
	}
	for _, outcome := range change.Outcomes {
		errs = append(errs, storable(outcome.At))
	}
	for _, proof := range change.Proofs {
		errs = append(errs, storable(proof.At))
	}
	for _, judgement := range change.Judgements {
		errs = append(errs, storable(judgement.At))
	}
	return errors.Join(errs...)
}

// admit gives the stored record that a change is for, nil for a new one, unless it conflicts or takes too much.
func (s *state) admit(change jenner.Change) (*kept, error) {
	r := change.Record
	stored := s.line(r.Line).byID[r.ID]
	switch {
	case stored == nil && r.Version != 0:
		return nil, fmt.Errorf("%w: there is no such record, and version %d was read", jenner.ErrConflict, r.Version)
	case stored != nil && stored.Version != r.Version:
		return nil, fmt.Errorf("%w: version %d is stored, and version %d was read", jenner.ErrConflict, stored.Version, r.Version)
	case stored != nil && stored.Ended:
		return nil, fmt.Errorf("%w: it has ended, and what has ended is not changed", jenner.ErrConflict)
	case len(change.Caps) == 0:
		return stored, nil
	}
	return stored, jenner.CheckCaps(change.Caps, s.ledger.holding(r.Updated), change.Ledger, r.Updated)
}

func (s *state) putRecord(stored *kept, change jenner.Change) {
	r, line := change.Record, s.line(change.Record.Line)
	r.Version++
	r.State, r.Due, r.Created, r.Updated = raw(r.State), utc(r.Due), utc(r.Created), utc(r.Updated)
	if stored == nil {
		stored = &kept{Record: r, order: s.next(), place: -1}
		line.byID[r.ID] = stored
		line.all = insert(line.all, stored, byCreation)
		line.open = insert(line.open, stored, byCreation)
	}
	r.Created = stored.Created
	stored.Record = r
	for _, entry := range change.Timeline {
		entry.At, entry.Data = utc(entry.At), raw(entry.Data)
		stored.timeline = append(stored.timeline, entry)
	}
	if r.Ended {
		line.open = remove(line.open, stored, byCreation)
	}
	switch waits := !r.Ended && !r.Due.IsZero(); {
	case waits && stored.place < 0:
		heap.Push(&line.due, stored)
	case waits:
		heap.Fix(&line.due, stored.place)
	case stored.place >= 0:
		heap.Remove(&line.due, stored.place)
	}
}

// Due gives the ids of at most limit records that have not ended and whose time has come, the longest due first, and
// when the first of all the others is due: a moment that has passed where limit cut them off, zero where there is none.
func (s *Store) Due(ctx context.Context, line string, now time.Time, limit int) (ids []string, next time.Time, err error) {
	if limit < 0 {
		return nil, time.Time{}, jenner.Permanent(fmt.Errorf("a limit of %d records", limit), "")
	}
	if err := s.enter(ctx); err != nil {
		return nil, time.Time{}, err
	}
	defer s.mu.Unlock()
	// In a heap nobody comes before the one above him: the next in order is always among those right below the ones taken.
	due := s.line(line).due
	var below []*kept
	add := func(place int) {
		if place < len(due) {
			below = insert(below, due[place], byDue)
		}
	}
	for add(0); len(below) > 0; {
		first := below[0]
		if len(ids) == limit || first.Due.After(now) {
			return ids, first.Due, nil
		}
		ids, below = append(ids, first.ID), below[1:]
		add(2*first.place + 1)
		add(2*first.place + 2)
	}
	return ids, time.Time{}, nil
}

// List gives the records of a line that the filter lets through, the newest first.
func (s *Store) List(ctx context.Context, line string, filter ListFilter) ([]jenner.Record, error) {
	if filter.Limit < 0 {
		return nil, jenner.Permanent(fmt.Errorf("a limit of %d records", filter.Limit), "leave it at 0 for all of them")
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	list := s.line(line).all
	if filter.OpenOnly {
		list = s.line(line).open
	}
	var found []jenner.Record
	for _, one := range slices.Backward(since(list, filter.Since, func(k *kept) time.Time { return k.Created })) {
		if filter.Limit > 0 && len(found) == filter.Limit {
			break
		}
		if filter.Subject == "" || one.Subject == filter.Subject {
			found = append(found, one.copied())
		}
	}
	return found, nil
}

// Timeline gives the whole timeline of a record in the order in which it was written; the error wraps
// jenner.ErrNotFound where there is no such record.
func (s *Store) Timeline(ctx context.Context, line, id string) ([]jenner.Entry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	stored, err := s.find(line, id)
	if err != nil {
		return nil, err
	}
	entries := slices.Clone(stored.timeline)
	for i := range entries {
		entries[i].Data = raw(entries[i].Data)
	}
	return entries, nil
}
