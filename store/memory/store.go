// Package memory keeps in memory what store/sqlite keeps on disk, with the same promises except the one that matters
// most: nothing of it survives the process.
//
// It is for simulations of very many incidents and for tests of what stands on a store; it passes the same conformance
// suite. It is not for production, and not for proving the audit log: entries are kept in their order, without a tree
// and without a signature.
package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
)

var errClosed = errors.New("the store is closed")

// Store is one opening of a store in memory. It is safe for concurrent use. What is given to it and what it gives are
// copies. A method whose context has ended returns the context's cause and changes nothing.
type Store struct {
	*state
	closed atomic.Bool
}

// state is what all openings of one store share.
type state struct {
	mu      sync.Mutex
	order   int64 // counts what was stored, so that what has the same time keeps the order of writing
	lines   map[string]*records
	ledger  ledger
	intents map[string]*intent
	opened  []*intent // those without a result, the oldest first
	votes   votes
	values  map[string][]byte

	outcomes   []timed[jenner.Outcome]
	proofs     []timed[[]byte] // as JSON
	judgements map[string][]timed[jenner.Judgement]
	entries    []jenner.AuditEntry
}

// New makes an empty store. The clock of the simulation is taken for symmetry with what else a simulation makes and is
// never asked: this store, as the one on disk, takes every time from what it is given.
func New(_ func() time.Time) *Store {
	return &Store{state: &state{lines: map[string]*records{}, ledger: newLedger(), intents: map[string]*intent{},
		votes: newVotes(), values: map[string][]byte{}, judgements: map[string][]timed[jenner.Judgement]{}}}
}

// Reopen gives another opening of the same store, also after this one was closed: what the next start of a crashed
// program finds, or a second process beside it.
func (s *Store) Reopen() *Store { return &Store{state: s.state} }

// Close ends this opening: whatever is called on it afterwards fails. Other openings go on.
func (s *Store) Close() error {
	s.mu.Lock() // what was begun is finished
	defer s.mu.Unlock()
	s.closed.Store(true)
	return nil
}

// enter begins a method; without an error the caller must unlock.
func (s *Store) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return errClosed
	}
	return nil
}

// next numbers what is stored.
func (s *state) next() int64 {
	s.order++
	return s.order
}

// PutValue keeps a value under a key, in place of an earlier one. An empty value is a value.
func (s *Store) PutValue(ctx context.Context, key string, value []byte) error {
	if key == "" {
		return jenner.Permanent(errors.New("a value has no key"), "")
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.values[key] = append([]byte{}, value...)
	return nil
}

// Value gives the value under a key; the error wraps jenner.ErrNotFound where there is none.
func (s *Store) Value(ctx context.Context, key string) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	value, known := s.values[key]
	if !known {
		return nil, fmt.Errorf("value %s: %w", key, jenner.ErrNotFound)
	}
	return bytes.Clone(value), nil
}

// AppendAudit adds entries to the audit log, all or none.
func (s *Store) AppendAudit(ctx context.Context, entries ...jenner.AuditEntry) error {
	mine, err := auditable(entries)
	if err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.entries = append(s.entries, mine...)
	return nil
}

// AuditEntries gives the whole audit log in its order, also after Close. It is no copy: do not change it.
func (s *Store) AuditEntries() []jenner.AuditEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[:len(s.entries):len(s.entries)]
}

// auditable copies entries, and refuses what the real log cannot write.
func auditable(entries []jenner.AuditEntry) ([]jenner.AuditEntry, error) {
	mine := make([]jenner.AuditEntry, len(entries))
	for i, entry := range entries {
		if _, err := audit.Encode(entry); err != nil {
			return nil, fmt.Errorf("an audit entry: %w", err)
		}
		entry.At, entry.Data = utc(entry.At), raw(entry.Data)
		mine[i] = entry
	}
	return mine, nil
}

// utc is a time as a database gives it back: in UTC, and without the reading of the monotonic clock.
func utc(t time.Time) time.Time { return t.Round(0).UTC() }

var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64)
)

// storable refuses the times that the real store refuses.
func storable(times ...time.Time) error {
	for _, t := range times {
		if !t.IsZero() && (t.Before(earliest) || t.After(latest)) {
			return fmt.Errorf("the time %s cannot be stored: the years 1678 to 2261 can", t.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// raw copies a message; an empty one is none.
func raw(message json.RawMessage) json.RawMessage {
	if len(message) == 0 {
		return nil
	}
	return bytes.Clone(message)
}
