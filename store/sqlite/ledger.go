package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// PutLedger stores entries of the ledger, all or none; an entry replaces an earlier one with its id.
func (s *Store) PutLedger(ctx context.Context, entries ...jenner.LedgerEntry) error {
	return s.change(ctx, "writing the ledger", func(t *tx) error { return t.putLedger(entries) })
}

func (t *tx) putLedger(entries []jenner.LedgerEntry) error {
	for _, entry := range entries {
		if entry.ID == "" {
			return jenner.Permanent(errors.New("an entry of the ledger has no id"), "")
		}
		entry.At, entry.Until = entry.At.UTC(), entry.Until.UTC()
		body, err := text(entry)
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO ledger (id, service, at, until, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET service = excluded.service, at = excluded.at, until = excluded.until, body = excluded.body`,
			entry.ID, entry.Service, stamp(entry.At), stamp(entry.Until), body); err != nil {
			return err
		}
	}
	return nil
}

// Ledger gives the entries from since on, and every earlier one that is still held, the oldest first.
func (s *Store) Ledger(ctx context.Context, since time.Time) ([]jenner.LedgerEntry, error) {
	return bodies[jenner.LedgerEntry](ctx, s, "reading the ledger",
		"SELECT body FROM ledger WHERE at >= ? OR until = 0 ORDER BY at, rowid", from(since))
}

// LedgerOf gives the entries of one service from since on, and every entry that is still held, of whatever service, the
// oldest first. It is what a decision about that service needs, however much else the ledger holds.
func (s *Store) LedgerOf(ctx context.Context, service string, since time.Time) ([]jenner.LedgerEntry, error) {
	return bodies[jenner.LedgerEntry](ctx, s, "reading the ledger",
		"SELECT body FROM ledger WHERE (service = ? AND at >= ?) OR until = 0 ORDER BY at, rowid", service, from(since))
}

func (t *tx) putOutcomes(outcomes []jenner.Outcome) error {
	for _, outcome := range outcomes {
		outcome.At = outcome.At.UTC()
		body, err := text(outcome)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO outcomes (at, body) VALUES (?, ?)", stamp(outcome.At), body); err != nil {
			return err
		}
	}
	return nil
}

// Outcomes gives how incidents ended, from since on, the oldest first.
func (s *Store) Outcomes(ctx context.Context, since time.Time) ([]jenner.Outcome, error) {
	return bodies[jenner.Outcome](ctx, s, "reading the outcomes",
		"SELECT body FROM outcomes WHERE at >= ? ORDER BY at, n", from(since))
}

func (t *tx) putProofs(proofs []jenner.Proof) error {
	for _, proof := range proofs {
		proof.At = proof.At.UTC()
		body, err := text(proof)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO proofs (at, body) VALUES (?, ?)", stamp(proof.At), body); err != nil {
			return err
		}
	}
	return nil
}

// Proofs gives every verdict that was kept, the oldest first.
func (s *Store) Proofs(ctx context.Context) ([]jenner.Proof, error) {
	return bodies[jenner.Proof](ctx, s, "reading the proofs", "SELECT body FROM proofs ORDER BY at, n")
}

// bodies gives the values in the one column of a query.
func bodies[T any](ctx context.Context, s *Store, what, query string, args ...any) ([]T, error) {
	var values []T
	err := s.ask(ctx, s, what, func(row *sql.Rows) error {
		var body []byte
		if err := row.Scan(&body); err != nil {
			return err
		}
		var value T
		if err := json.Unmarshal(body, &value); err != nil {
			return fmt.Errorf("a stored %T is not the JSON that was written: %w", value, err)
		}
		values = append(values, value)
		return nil
	}, query, args...)
	return values, err
}

// from is the lower bound of a time column: the zero time, which is stored as a number in the middle, means 'from the
// beginning'.
func from(since time.Time) any {
	if since.IsZero() {
		return stamp(earliest)
	}
	return stamp(since)
}
