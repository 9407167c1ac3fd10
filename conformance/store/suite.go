// Package storetest is the conformance suite of stores: what every store of Jenner's durable state must do, whatever
// keeps it.
//
// It is for the tests of the packages under store/. It is not for what only one of them can do (files, locks, damage),
// which that one tests itself.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"github.com/jenner-heal/jenner/line"
)

// ListFilter narrows a list of records down; the zero filter lets all through.
type ListFilter = struct {
	OpenOnly bool      // only those that have not ended
	Subject  string    // only those about this service
	Since    time.Time // only those created then or later
	Limit    int       // at most so many; 0: all
}

// Store is everything that is asked of a store.
type Store interface {
	line.Store
	List(ctx context.Context, line string, filter ListFilter) ([]jenner.Record, error)
	Timeline(ctx context.Context, line, id string) ([]jenner.Entry, error)

	Ledger(ctx context.Context, since time.Time) ([]jenner.LedgerEntry, error)
	LedgerOf(ctx context.Context, service string, since, now time.Time) ([]jenner.LedgerEntry, error)
	LedgerOfRunbook(ctx context.Context, runbook string, limit int) ([]jenner.LedgerEntry, error)
	LedgerOfPolicy(ctx context.Context, policy string, since time.Time) ([]jenner.LedgerEntry, error)
	PutLedger(ctx context.Context, entries ...jenner.LedgerEntry) error
	Outcomes(ctx context.Context, since time.Time) ([]jenner.Outcome, error)
	Proofs(ctx context.Context) ([]jenner.Proof, error)
	Judgements(ctx context.Context, policy string, since time.Time) ([]jenner.Judgement, error)
	PutVote(ctx context.Context, vote jenner.Vote) error
	Votes(ctx context.Context, request, service, runbook string) ([]jenner.Vote, error)

	Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error)
	Finish(ctx context.Context, intent jenner.Intent) error
	Intent(ctx context.Context, key string) (jenner.Intent, error)
	OpenIntents(ctx context.Context) ([]jenner.Intent, error)

	AppendAudit(ctx context.Context, entries ...jenner.AuditEntry) error
	AuditEntries(ctx context.Context, from int64, limit int) ([]jenner.AuditEntry, error)

	PutValue(ctx context.Context, key string, value []byte) error
	Value(ctx context.Context, key string) ([]byte, error)

	Prune(ctx context.Context, before time.Time) (int, error)
	Close() error
}

// Prover is a store whose audit log can be proved. One that is for tests need not; all the others must.
type Prover interface {
	VerifyAudit(ctx context.Context) (audit.Report, error)
	AuditProof(ctx context.Context, index int64) (audit.Proof, error)
}

// Run runs the suite. open opens the store that dir names, with what was stored in it before; a new dir names an empty
// one. The same dir is also opened twice at a time, as two processes do.
func Run(t *testing.T, open func(t *testing.T, dir string) Store) {
	parts := []part{
		{"records come back as they were committed", recordsComeBack},
		{"an unknown record is not found", unknownRecord},
		{"a version that is not the stored one is a conflict", versionConflicts},
		{"an ended record is final", endedIsFinal},
		{"a change is stored whole or not at all", allOrNothing},
		{"due records come in order", dueInOrder},
		{"lists are filtered and the newest comes first", lists},
		{"timelines keep their order", timelines},
		{"the ledger gives what is recent or held", ledger},
		{"the ledger gives what holds at a time", ledgerHolds},
		{"the ledger of a runbook gives its newest runs", ledgerOfRunbook},
		{"the ledger of a policy gives its runs", ledgerOfPolicy},
		{"caps refuse what others have taken", capsRefuse},
		{"caps count remediation and faults together", capsCountBoth},
		{"caps pass over deadlines that are over", capsAndDeadlines},
		{"an entry that is put again counts once", capsAndReplaced},
		{"of two that fit alone one wins", capsRace},
		{"judgements are kept", judgements},
		{"a person has one word", votesAreOne},
		{"votes are audited once", votesAudited},
		{"votes that say too little are refused", votesRefused},
		{"pruning takes what is over and leaves the rest", pruning},
		{"pruning takes much in parts", pruningMuch},
		{"outcomes and proofs are kept", outcomesAndProofs},
		{"an intent is begun once", intentBegunOnce},
		{"an intent is finished once", intentFinishedOnce},
		{"intents and results are audited", intentsAudited},
		{"a change brings results and intents", effectsWithChange},
		{"an effect that is refused refuses the change", effectsRefused},
		{"the audit log keeps everything in order", auditLog},
		{"values are kept", values},
		{"times come back equal", times},
		{"everything survives closing", survivesClosing},
		{"concurrent changes lose nothing", concurrentChanges},
		{"two openings share one store", twoOpenings},
		{"one of many begins an intent", oneBegins},
		{"a context that has ended stores nothing", endedContext},
		{"closing waits for what was begun", closingWaits},
	}
	if _, proves := opened(t, open, filepath.Join(t.TempDir(), "data")).(Prover); proves {
		parts = append(parts, part{"the audit log proves its entries", auditProofs})
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			part.test(t, &bench{Store: opened(t, open, dir), open: func() Store { return opened(t, open, dir) }})
		})
	}
}

type part struct {
	name string
	test func(*testing.T, *bench)
}

// entriesOf is how many entries the audit log has; where the store can, it verifies the log.
func entriesOf(t *testing.T, store Store) int64 {
	t.Helper()
	if b, is := store.(*bench); is {
		store = b.Store
	}
	if prover, proves := store.(Prover); proves {
		return must[audit.Report](t)(prover.VerifyAudit(t.Context())).Entries
	}
	return int64(len(must[[]jenner.AuditEntry](t)(store.AuditEntries(t.Context(), 0, 1_000_000))))
}

// bench is one part's store, and the means to open it once more.
type bench struct {
	Store
	open func() Store
}

func opened(t *testing.T, open func(*testing.T, string) Store, dir string) Store {
	t.Helper()
	store := open(t, dir)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return store
}

// start is the time that tests count from. It has nanoseconds, which a store must not lose.
var start = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// record is an incident about checkout, created at that second, that was not committed yet.
func record(id string, second int) jenner.Record {
	return jenner.Record{Line: "incident", ID: id, Subject: "checkout", Phase: jenner.PhaseDetected,
		State: jenner.Raw(map[string]string{"id": id}), Created: at(second), Updated: at(second)}
}

func mustCommit(t *testing.T, store Store, change jenner.Change) jenner.Record {
	t.Helper()
	if err := store.Commit(t.Context(), change); err != nil {
		t.Fatalf("committing %s: %v", change.Record.ID, err)
	}
	change.Record.Version++
	return change.Record
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func wantError(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: wanted the error %q, it is %v", what, want, err)
	}
}

// same compares, and takes no entries and nil for the same.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-wanted +found):\n%s", what, diff)
	}
}

// filled is a T in which every field has a value of its own, so that a store which drops one is found out, also when
// the vocabulary grows.
func filled[T any](t *testing.T, seed int) T {
	t.Helper()
	var value T
	fill(t, reflect.ValueOf(&value).Elem(), &seed)
	return value
}

func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(at(*n)))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(jenner.Raw(map[string]int{"number": *n})))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i), n)
		}
	default:
		t.Fatalf("the suite cannot fill a %s yet; teach it", v.Type())
	}
}
