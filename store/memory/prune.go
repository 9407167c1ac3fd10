package memory

import (
	"context"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// Prune deletes what was over before a time: records that ended and were not changed since, with their timelines;
// entries of the ledger that gave their target back; intents with a result, unless what they were done for is still
// open; outcomes; and votes, unless they were given ahead and still held then. Judgements, proofs, values and the audit
// log stay. It gives how many things it deleted, timelines counted with their records.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	total := s.pruneRecords(before) + s.pruneLedger(before) + s.pruneIntents(before)
	kept := since(s.outcomes, before, func(one timed[jenner.Outcome]) time.Time { return one.at })
	total += len(s.outcomes) - len(kept)
	s.outcomes = slices.Clone(kept)
	for _, one := range s.votes.byKey {
		if one.At.Before(before) && one.Until.Before(before) {
			s.votes.take(one)
			total++
		}
	}
	return total, nil
}

func (s *state) pruneRecords(before time.Time) int {
	total := 0
	for _, line := range s.lines {
		was := len(line.all)
		line.all = slices.DeleteFunc(line.all, func(one *kept) bool {
			over := one.Ended && one.Updated.Before(before)
			if over {
				delete(line.byID, one.ID)
			}
			return over
		})
		total += was - len(line.all)
	}
	return total
}

func (s *state) pruneLedger(before time.Time) int {
	var over []*entry
	for _, e := range s.ledger.all {
		gone := !e.Until.IsZero() && e.Until.Before(before)
		if e.Kind == jenner.LedgerHealth {
			gone = e.At.Before(before)
		}
		if gone {
			over = append(over, e)
		}
	}
	if len(over) == 0 {
		return 0
	}
	whole := s.ledger.byID
	for _, e := range over {
		delete(whole, e.ID)
	}
	s.ledger = newLedger() // taking them out one by one would move the lists each time
	for _, e := range sortedByAt(whole) {
		s.ledger.byID[e.ID] = e
		s.ledger.change(e, insert)
	}
	return len(over)
}

func sortedByAt(entries map[string]*entry) []*entry {
	list := make([]*entry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, byAt)
	return list
}

func (s *state) pruneIntents(before time.Time) int {
	total := 0
	for key, one := range s.intents {
		if one.state != jenner.IntentIntended && one.ended.Before(before) && !s.isOpen(one.by) {
			delete(s.intents, key)
			total++
		}
	}
	return total
}

// isOpen tells whether a record of that id, on whatever line, has not ended.
func (s *state) isOpen(id string) bool {
	for _, line := range s.lines {
		if one, known := line.byID[id]; known && !one.Ended {
			return true
		}
	}
	return false
}
