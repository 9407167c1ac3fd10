package sqlite

import (
	"context"
	"fmt"
	"time"
)

// pruneBatch is how many things of one kind go in one transaction, records with their timelines. Commits wait for one
// batch, some milliseconds, and never for all of it.
const pruneBatch = 100

// ends are the records that are over, the oldest first.
const ends = "SELECT n FROM records WHERE ended = 1 AND updated < ?1 ORDER BY updated, n LIMIT ?2"

// prunings are what is over before a time: the statements of one transaction, whose first argument is the time and whose
// second is the number. The last one of them says how much it was.
var prunings = []struct {
	what       string
	statements []string
}{
	{"records", []string{
		"DELETE FROM timeline WHERE record IN (" + ends + ")",
		"DELETE FROM records WHERE n IN (" + ends + ")"}},
	{"the ledger", []string{`DELETE FROM ledger WHERE rowid IN (SELECT rowid FROM ledger
		WHERE (kind <> 'health' AND until <> 0 AND until < ?1) OR (kind = 'health' AND at < ?1) LIMIT ?2)`}},
	// An incident that is still open may ask again what became of its effects.
	{"intents", []string{`DELETE FROM intents WHERE rowid IN (SELECT i.rowid FROM intents i WHERE i.ended <> 0 AND i.ended < ?1
		AND NOT EXISTS (SELECT 1 FROM records r WHERE r.id = i.by AND r.ended = 0) LIMIT ?2)`}},
	{"outcomes", []string{"DELETE FROM outcomes WHERE n IN (SELECT n FROM outcomes WHERE at < ?1 LIMIT ?2)"}},
	// A word given ahead is needed for as long as it holds.
	{"votes", []string{`DELETE FROM votes WHERE rowid IN (SELECT rowid FROM votes
		WHERE at < ?1 AND (until = 0 OR until < ?1) LIMIT ?2)`}},
}

// Prune deletes what was over before a time: records that ended and were not changed since, with their timelines;
// entries of the ledger that gave their target back; intents with a result, unless what they were done for is still
// open; outcomes; and votes, unless they were given ahead and still held then. Judgements, proofs, values and the audit
// log stay. The file does not become smaller: what comes next takes the room.
//
// It gives how many things it deleted, timelines counted with their records. It does so in batches of 100, between which
// changes of others are stored; where it fails, earlier batches stay deleted and are counted.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for _, kind := range prunings {
		for deleted := int64(pruneBatch); deleted == pruneBatch; total += int(deleted) {
			err := s.change(ctx, fmt.Sprintf("pruning %s of before %s", kind.what, before.Format(time.DateTime)), func(t *tx) (err error) {
				for _, statement := range kind.statements {
					if deleted, err = t.count(statement, from(before), pruneBatch); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}
