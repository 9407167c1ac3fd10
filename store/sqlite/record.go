package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// ListFilter narrows a list of records down. It is an alias, so that whoever declares an interface of a store can name
// the same type without importing this package.
type ListFilter = struct {
	OpenOnly bool      // only those that have not ended
	Subject  string    // only those about this service; empty: all
	Since    time.Time // only those created then or later; zero: all
	Limit    int       // at most so many; 0: all
}

const recordColumns = "line, id, subject, phase, version, due, wait, ended, created, updated, state, sum"

func scanRecord(row scanner) (jenner.Record, error) {
	var r jenner.Record
	var sum int64
	if err := row.Scan(&r.Line, &r.ID, &r.Subject, &r.Phase, &r.Version, (*stamp)(&r.Due), &r.Wait, &r.Ended,
		(*stamp)(&r.Created), (*stamp)(&r.Updated), (*[]byte)(&r.State), &sum); err != nil {
		return r, err
	}
	written, err := recordSum(r)
	if err == nil && sum != written {
		err = fmt.Errorf("%w: the record %s %s", errDamaged, r.Line, r.ID)
	}
	return r, err
}

// Load gives a record; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Load(ctx context.Context, line, id string) (jenner.Record, error) {
	var found []jenner.Record
	err := s.ask(ctx, s, "loading "+line+" "+id, func(row *sql.Rows) error {
		record, err := scanRecord(row)
		found = append(found, record)
		return err
	}, "SELECT "+recordColumns+" FROM records WHERE line = ? AND id = ?", line, id)
	if err != nil {
		return jenner.Record{}, err
	}
	if len(found) == 0 {
		return jenner.Record{}, fmt.Errorf("%s %s: %w", line, id, jenner.ErrNotFound)
	}
	return found[0], nil
}

// Commit stores all of a change or nothing; when it returns without an error the change is synced to disk. The error
// wraps jenner.ErrConflict where the record's version is not the stored one, and where the stored record has ended:
// nothing changes an ended record any more. It wraps jenner.ErrTaken where the change's ledger entries, together with
// what others hold at Record.Updated, would come to more than its caps allow. When a record was created is kept from its
// first commit.
//
// After an error of the disk itself (not of the context, and not a conflict) the change was not acknowledged, but may
// be found after a crash; Load tells.
func (s *Store) Commit(ctx context.Context, change jenner.Change) error {
	record := change.Record
	if record.Line == "" || record.ID == "" || record.Version < 0 {
		return jenner.Permanent(fmt.Errorf("a record needs a line, an id and a version from 0 on; this one has %q, %q and %d",
			record.Line, record.ID, record.Version), "")
	}
	// What can be made ready beside the one writer is.
	ready, err := prepared(change)
	if err != nil {
		return fmt.Errorf("committing %s %s: %w", record.Line, record.ID, err)
	}
	return s.change(ctx, "committing "+record.Line+" "+record.ID, func(t *tx) error { return t.commit(ready) })
}

// written is a change whose parts are as they will be stored, as far as that can be said beforehand.
type written struct {
	jenner.Change
	sum     int64  // of the record
	entries []byte // of the timeline; nil where there are none
	audit   []told
}

func prepared(change jenner.Change) (ready written, err error) {
	ready.Change = change
	next := change.Record
	next.Version++
	if ready.sum, err = recordSum(next); err != nil {
		return ready, err
	}
	if ready.audit, err = encoded(change.Audit); err != nil || len(change.Timeline) == 0 {
		return ready, err
	}
	entries := slices.Clone(change.Timeline)
	for i := range entries {
		if _, err := stamp(entries[i].At).Value(); err != nil {
			return ready, err
		}
		entries[i].At = entries[i].At.UTC()
	}
	ready.entries, err = text(entries)
	return ready, err
}

func (t *tx) commit(change written) error {
	// Before anything is written: who takes too much is refused often, and then there is nothing to take back.
	if err := t.checkCaps(change.Change); err != nil {
		return err
	}
	row, err := t.putRecord(change.Record, change.sum)
	if err != nil {
		return err
	}
	// One after the other, and no further after an error: SQLite may have rolled the transaction back by itself, and a
	// statement after that would be stored alone.
	if change.entries != nil {
		if err := t.exec("INSERT INTO timeline (record, entries, sum) VALUES (?, ?, ?)", row, change.entries, bodySum(change.entries)); err != nil {
			return err
		}
	}
	if err := t.finish(change.Results...); err != nil {
		return err
	}
	if err := t.putLedger(change.Ledger); err != nil {
		return err
	}
	if err := t.putOutcomes(change.Outcomes); err != nil {
		return err
	}
	if err := t.putProofs(change.Proofs); err != nil {
		return err
	}
	if err := t.putJudgements(change.Judgements); err != nil {
		return err
	}
	t.told = append(t.told, change.audit...)
	return t.begins(change.Intents)
}

// putRecord creates or replaces a record whose version is the stored one, and gives its row number.
func (t *tx) putRecord(r jenner.Record, sum int64) (row int64, err error) {
	if r.Version == 0 {
		err = t.row("INSERT INTO records ("+recordColumns+") VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING n",
			r.Line, r.ID, r.Subject, string(r.Phase), stamp(r.Due), r.Wait, r.Ended, stamp(r.Created), stamp(r.Updated), blob(r.State), sum).Scan(&row)
	} else {
		ends := "" // ended stands in indexes, and whatever is set is written to all of them
		if r.Ended {
			ends = "ended = 1, "
		}
		err = t.row("UPDATE records SET "+ends+`subject = ?, phase = ?, version = version + 1, due = ?, wait = ?, updated = ?, state = ?, sum = ?
			WHERE line = ? AND id = ? AND version = ? AND ended = 0 RETURNING n`,
			r.Subject, string(r.Phase), stamp(r.Due), r.Wait, stamp(r.Updated), blob(r.State), sum, r.Line, r.ID, r.Version).Scan(&row)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, t.conflict(r)
	}
	t.wrote = true
	return row, err
}

// conflict says what is stored instead of the version that was read; nil where it is that version.
func (t *tx) conflict(r jenner.Record) error {
	var version int64
	var ended bool
	err := t.row("SELECT version, ended FROM records WHERE line = ? AND id = ?", r.Line, r.ID).Scan(&version, &ended)
	switch {
	case errors.Is(err, sql.ErrNoRows) && r.Version == 0:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: there is no such record, and version %d was read", jenner.ErrConflict, r.Version)
	case err != nil:
		return err
	case ended && version == r.Version:
		return fmt.Errorf("%w: it has ended, and what has ended is not changed", jenner.ErrConflict)
	case version == r.Version:
		return nil
	}
	return fmt.Errorf("%w: version %d is stored, and version %d was read", jenner.ErrConflict, version, r.Version)
}

// Due gives the ids of at most limit records that have not ended and whose time has come, the longest due first, and
// when the first of all the others is due: a moment that has passed where limit cut them off, zero where there is none.
func (s *Store) Due(ctx context.Context, line string, now time.Time, limit int) (ids []string, next time.Time, err error) {
	if limit < 0 {
		return nil, time.Time{}, jenner.Permanent(fmt.Errorf("a limit of %d records", limit), "")
	}
	err = s.ask(ctx, s, "looking for what is due", func(row *sql.Rows) error {
		var id string
		var due stamp
		if err := row.Scan(&id, &due); err != nil {
			return err
		}
		switch at := time.Time(due); {
		case !next.IsZero(): // rows are in order, so the first that is not taken is the next one
		case at.After(now) || len(ids) == limit:
			next = at
		default:
			ids = append(ids, id)
		}
		return nil
	}, `SELECT id, due FROM records WHERE line = ? AND due <> 0 AND ended = 0 ORDER BY due, n LIMIT ?`, line, limit+1)
	return ids, next, err
}

// List gives the records of a line that the filter lets through, the newest first.
func (s *Store) List(ctx context.Context, line string, filter ListFilter) ([]jenner.Record, error) {
	query, args := "SELECT "+recordColumns+" FROM records WHERE line = ?", []any{line}
	if filter.OpenOnly {
		query += " AND ended = 0"
	}
	if filter.Subject != "" {
		query, args = query+" AND subject = ?", append(args, filter.Subject)
	}
	if !filter.Since.IsZero() {
		query, args = query+" AND created >= ?", append(args, stamp(filter.Since))
	}
	query += " ORDER BY created DESC, n DESC"
	if filter.Limit < 0 {
		return nil, jenner.Permanent(fmt.Errorf("a limit of %d records", filter.Limit), "leave it at 0 for all of them")
	}
	if filter.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, filter.Limit)
	}
	var records []jenner.Record
	err := s.ask(ctx, s, "listing "+line+" records", func(row *sql.Rows) error {
		record, err := scanRecord(row)
		records = append(records, record)
		return err
	}, query, args...)
	return records, err
}

// Timeline gives the whole timeline of a record in the order in which it was written; the error wraps
// jenner.ErrNotFound where there is no such record.
func (s *Store) Timeline(ctx context.Context, line, id string) ([]jenner.Entry, error) {
	if _, err := s.Load(ctx, line, id); err != nil {
		return nil, err
	}
	var entries []jenner.Entry
	err := s.ask(ctx, s, "reading the timeline of "+line+" "+id, func(row *sql.Rows) error {
		more, err := scanBody[[]jenner.Entry](row)
		entries = append(entries, more...)
		return err
	}, `SELECT t.entries, t.sum FROM timeline t JOIN records r ON r.n = t.record WHERE r.line = ? AND r.id = ? ORDER BY t.n`, line, id)
	return entries, err
}
