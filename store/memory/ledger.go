package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// entry is one entry of the ledger; it is replaced and never changed.
type entry struct {
	jenner.LedgerEntry
	order int64
}

func byAt(a, b *entry) int    { return earlier(a.At, a.order, b.At, b.order) }
func byUntil(a, b *entry) int { return earlier(a.Until, a.order, b.Until, b.order) }

func atOf(e *entry) time.Time { return e.At }

// ledger is all entries, and the lists in which they are looked for. Those by time are sorted by when an entry began.
type ledger struct {
	byID      map[string]*entry
	all       []*entry
	ofService map[string][]*entry
	ofRunbook map[string][]*entry // of kind action
	ofPolicy  map[string][]*entry // of kinds action and touch
	holders   []*entry            // all but verified health, by when they end; those without an end come first
}

func newLedger() ledger {
	return ledger{byID: map[string]*entry{}, ofService: map[string][]*entry{}, ofRunbook: map[string][]*entry{}, ofPolicy: map[string][]*entry{}}
}

// change applies how to every list that the entry belongs into.
func (l *ledger) change(e *entry, how func(list []*entry, one *entry, compare func(a, b *entry) int) []*entry) {
	l.all = how(l.all, e, byAt)
	l.ofService[e.Service] = how(l.ofService[e.Service], e, byAt)
	if e.Kind == jenner.LedgerAction {
		l.ofRunbook[e.Runbook] = how(l.ofRunbook[e.Runbook], e, byAt)
	}
	if e.Kind == jenner.LedgerAction || e.Kind == jenner.LedgerTouch {
		l.ofPolicy[e.Policy] = how(l.ofPolicy[e.Policy], e, byAt)
	}
	if e.Kind != jenner.LedgerHealth {
		l.holders = how(l.holders, e, byUntil)
	}
}

func (s *state) putLedger(entries []jenner.LedgerEntry) {
	for _, given := range entries {
		given.At, given.Until = utc(given.At), utc(given.Until)
		mine := &entry{LedgerEntry: given}
		if before, known := s.ledger.byID[given.ID]; known {
			s.ledger.change(before, remove)
			mine.order = before.order
		} else {
			mine.order = s.next()
		}
		s.ledger.byID[given.ID] = mine
		s.ledger.change(mine, insert)
	}
}

func checkLedger(entries []jenner.LedgerEntry) error {
	for _, entry := range entries {
		if entry.ID == "" {
			return jenner.Permanent(errors.New("an entry of the ledger has no id"), "")
		}
		if err := storable(entry.At, entry.Until); err != nil {
			return err
		}
	}
	return nil
}

// holding gives the entries that hold their target at a time.
func (l *ledger) holding(now time.Time) []jenner.LedgerEntry {
	var held []jenner.LedgerEntry
	for _, e := range l.holders {
		if !e.Until.IsZero() {
			break
		}
		held = append(held, e.LedgerEntry)
	}
	for _, e := range slices.Backward(l.holders) {
		if e.Until.IsZero() || !e.Until.After(now) {
			break
		}
		held = append(held, e.LedgerEntry)
	}
	return held
}

// PutLedger stores entries of the ledger, all or none; an entry replaces an earlier one with its id.
func (s *Store) PutLedger(ctx context.Context, entries ...jenner.LedgerEntry) error {
	if err := checkLedger(entries); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.putLedger(entries)
	return nil
}

// recent gives what began at since or later in a list, and those of the others that hold at a time and match.
func (l *ledger) recent(list []*entry, from, now time.Time, matches func(*entry) bool) []jenner.LedgerEntry {
	var found []*entry
	for _, held := range l.holding(now) {
		e := l.byID[held.ID]
		if matches(e) {
			found = append(found, e)
		}
	}
	for _, e := range since(list, from, atOf) {
		if !slices.Contains(found, e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, byAt)
	entries := make([]jenner.LedgerEntry, len(found))
	for i, e := range found {
		entries[i] = e.LedgerEntry
	}
	return entries
}

// Ledger gives the entries from since on, and every earlier one that held its target after since or still does, the
// oldest first.
func (s *Store) Ledger(ctx context.Context, since time.Time) ([]jenner.LedgerEntry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.ledger.recent(s.ledger.all, since, since, func(*entry) bool { return true }), nil
}

// LedgerOf gives the entries of one service from since on, and every entry of whatever service that holds its target at
// now, the oldest first.
func (s *Store) LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.ledger.recent(s.ledger.ofService[service], since, now, func(*entry) bool { return true }), nil
}

// LedgerOfRunbook gives the newest runs of a runbook that passed or failed, on whatever service, at most limit of them,
// the oldest first.
func (s *Store) LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error) {
	if limit < 0 {
		return nil, jenner.Permanent(fmt.Errorf("a limit of %d entries of the ledger", limit), "")
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var entries []jenner.LedgerEntry
	for _, e := range slices.Backward(s.ledger.ofRunbook[runbook]) {
		if len(entries) == limit {
			break
		}
		if e.Result == string(jenner.Passed) || e.Result == string(jenner.Failed) {
			entries = append(entries, e.LedgerEntry)
		}
	}
	slices.Reverse(entries)
	return entries, nil
}

// LedgerOfPolicy gives the entries of kinds action and touch of a policy from since on, and every earlier one that held
// its target after since or still does, the oldest first.
func (s *Store) LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.ledger.recent(s.ledger.ofPolicy[policy], since, since, func(e *entry) bool {
		return e.Policy == policy && (e.Kind == jenner.LedgerAction || e.Kind == jenner.LedgerTouch)
	}), nil
}
