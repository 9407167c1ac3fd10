package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
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
		// Mostly it is the end or the result that changes. The other columns stand in indexes that need not be written then.
		changed, err := t.count(`UPDATE ledger SET result = ?, until = ?, body = ?, sum = ?
			WHERE id = ? AND kind = ? AND service = ? AND policy = ? AND runbook = ? AND at = ?`, entry.Result, stamp(entry.Until), body, bodySum(body),
			entry.ID, string(entry.Kind), entry.Service, entry.Policy, entry.Runbook, stamp(entry.At))
		if err != nil {
			return err
		}
		if changed > 0 {
			continue
		}
		if err := t.exec(`INSERT INTO ledger (id, kind, service, policy, runbook, result, at, until, body, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, service = excluded.service, policy = excluded.policy,
				runbook = excluded.runbook, result = excluded.result, at = excluded.at, until = excluded.until, body = excluded.body, sum = excluded.sum`,
			entry.ID, string(entry.Kind), entry.Service, entry.Policy, entry.Runbook, entry.Result, stamp(entry.At), stamp(entry.Until), body, bodySum(body)); err != nil {
			return err
		}
	}
	return nil
}

// holding is what still holds its target at a time, as jenner.LedgerEntry.Holds says it. It is two conditions, for an
// index answers each of them and not both together. What is found is sorted by +at: without the plus SQLite would rather
// read the whole ledger in the order of its times than sort a few rows.
const holding = "(kind <> 'health' AND until = 0) OR (kind <> 'health' AND until > ?)"

// listed gives the sums and bodies of all entries that are asked for in one row, a line each: JSON has no line breaks. What
// is held is read at each decision about anything, and handing out row after row is most of what reading a body costs.
const listed = "SELECT group_concat(sum || ' ' || body, char(10) ORDER BY +at, rowid) FROM ledger WHERE "

// checkCaps refuses what would take more than is allowed. It counts within the transaction, which also sees the changes
// that are stored together with this one: two of them never pass each other.
func (t *tx) checkCaps(change jenner.Change) error {
	if len(change.Caps) == 0 {
		return nil
	}
	held, err := t.remembered.list(t.row(listed+holding, from(change.Record.Updated)))
	if err != nil {
		return err
	}
	taken := jenner.CheckCaps(change.Caps, held, change.Ledger, change.Record.Updated)
	if taken == nil {
		return nil
	}
	if stale := t.conflict(change.Record); stale != nil { // what was read is not what is stored, which comes first
		return stale
	}
	return taken
}

// Ledger gives the entries from since on, and every earlier one that held its target after since or still does, the
// oldest first.
func (s *Store) Ledger(ctx context.Context, since time.Time) ([]jenner.LedgerEntry, error) {
	return s.entries(ctx,
		"SELECT body, sum FROM ledger WHERE at >= ? OR "+holding+" ORDER BY +at, rowid", from(since), from(since))
}

// LedgerOf gives the entries of one service from since on, and every entry of whatever service that holds its target at
// now, the oldest first. It is what a decision about that service needs, however much else the ledger holds.
func (s *Store) LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error) {
	var found []jenner.LedgerEntry
	err := s.ask(ctx, s, "reading the ledger", func(row *sql.Rows) (err error) {
		found, err = s.remembered.list(row)
		return err
	}, listed+"(service = ? AND at >= ?) OR "+holding, service, from(since), from(now))
	return found, err
}

// LedgerOfRunbook gives the newest runs of a runbook that passed or failed, on whatever service, at most limit of them,
// the oldest first.
func (s *Store) LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error) {
	if limit < 0 {
		return nil, jenner.Permanent(fmt.Errorf("a limit of %d entries of the ledger", limit), "")
	}
	found, err := s.entries(ctx,
		"SELECT body, sum FROM ledger WHERE kind = 'action' AND result IN ('passed', 'failed') AND runbook = ? ORDER BY at DESC, rowid DESC LIMIT ?", runbook, limit)
	slices.Reverse(found)
	return found, err
}

// LedgerOfPolicy gives the entries of kinds action and touch of a policy from since on, and every earlier one that held
// its target after since or still does, the oldest first.
func (s *Store) LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error) {
	const of = "kind IN ('action', 'touch') AND policy = ?1"
	return s.entries(ctx, "SELECT body, sum FROM ledger WHERE ("+of+" AND at >= ?2) OR ("+
		of+" AND until = 0) OR ("+of+" AND until > ?2) ORDER BY +at, rowid", policy, from(since))
}

// entries gives the entries in the columns body and sum of a query.
func (s *Store) entries(ctx context.Context, query string, args ...any) ([]jenner.LedgerEntry, error) {
	var found []jenner.LedgerEntry
	err := s.ask(ctx, s, "reading the ledger", func(row *sql.Rows) error {
		entry, err := s.remembered.entry(row)
		found = append(found, entry)
		return err
	}, query, args...)
	return found, err
}

// remembered keeps entries of the ledger by their bodies. What somebody holds is read at each decision about anything, and
// reading JSON is most of what that costs. The sum is checked all the same.
type remembered struct {
	mu      sync.Mutex
	entries map[string]jenner.LedgerEntry
}

// maxRemembered is how many entries are kept. What is held at once is far less.
const maxRemembered = 4096

func (r *remembered) entry(row scanner) (jenner.LedgerEntry, error) {
	var body sql.RawBytes
	var sum int64
	if err := row.Scan(&body, &sum); err != nil {
		return jenner.LedgerEntry{}, err
	}
	return r.read(body, sum)
}

// list reads the row of a query that begins with listed.
func (r *remembered) list(row scanner) (found []jenner.LedgerEntry, err error) {
	var all []byte
	if err := row.Scan(&all); err != nil || len(all) == 0 {
		return nil, err
	}
	for one := range bytes.SplitSeq(all, []byte{'\n'}) {
		written, body, _ := bytes.Cut(one, []byte{' '})
		sum, err := strconv.ParseInt(string(written), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: an entry of the ledger: %w", errDamaged, err)
		}
		entry, err := r.read(body, sum)
		if err != nil {
			return nil, err
		}
		found = append(found, entry)
	}
	return found, nil
}

func (r *remembered) read(body []byte, sum int64) (jenner.LedgerEntry, error) {
	if sum != bodySum(body) {
		return jenner.LedgerEntry{}, fmt.Errorf("%w: an entry of the ledger", errDamaged)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if entry, known := r.entries[string(body)]; known {
		return entry, nil
	}
	var entry jenner.LedgerEntry
	if err := json.Unmarshal(body, &entry); err != nil {
		return entry, fmt.Errorf("a stored entry of the ledger is not the JSON that was written: %w", err)
	}
	if r.entries == nil || len(r.entries) >= maxRemembered {
		r.entries = map[string]jenner.LedgerEntry{}
	}
	r.entries[string(body)] = entry
	return entry, nil
}
