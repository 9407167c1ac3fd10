package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestQueriesUseIndexes asks SQLite how it would run every query of the program, of which none may read a whole table that
// grows. Those that give all there is, and those of the audit log, are named.
func TestQueriesUseIndexes(t *testing.T) {
	store := opened(t)
	ctx := t.Context()
	calls := []func() error{
		func() error { return store.PutVote(ctx, jenner.Vote{Request: "r", Person: "p"}) },
		func() error { _, err := store.Votes(ctx, "r", "s", "b"); return err },
		func() error { _, err := store.Judgements(ctx, "", time.Now()); return err },
		func() error { _, err := store.Judgements(ctx, "p", time.Now()); return err },
		func() error { _, err := store.Ledger(ctx, time.Now()); return err },
		func() error { _, err := store.LedgerOf(ctx, "s", time.Now(), time.Now()); return err },
		func() error { _, err := store.LedgerOfRunbook(ctx, "r", 5); return err },
		func() error { _, err := store.LedgerOfPolicy(ctx, "p", time.Now()); return err },
		func() error { _, err := store.Outcomes(ctx, time.Now()); return err },
		func() error { _, err := store.OpenIntents(ctx); return err },
		func() error { _, _, err := store.Due(ctx, "incident", time.Now(), 9); return err },
		func() error { _, err := store.List(ctx, "incident", ListFilter{OpenOnly: true}); return err },
		func() error { _, err := store.List(ctx, "incident", ListFilter{Since: time.Now()}); return err },
		func() error {
			change := simple("a")
			change.Caps = []jenner.Cap{{Scope: jenner.CapAll, Max: 1}}
			change.Ledger = []jenner.LedgerEntry{{ID: "l"}}
			return store.Commit(ctx, change)
		},
		func() error { _, err := store.Timeline(ctx, "incident", "a"); return err },
		func() error { _, err := store.Prune(ctx, time.Now()); return err },
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	var queries []string
	for query := range store.prepared {
		queries = append(queries, query)
	}
	for query := range store.writer.statements {
		if !slices.Contains([]string{"BEGIN IMMEDIATE", "COMMIT", "SAVEPOINT change", "RELEASE change"}, query) {
			queries = append(queries, query)
		}
	}
	if len(queries) < 30 {
		t.Errorf("only %d queries were looked at", len(queries))
	}
	for _, query := range queries {
		for _, line := range planOf(t, store, query) {
			// One row, nothing to read at all, and an index of those that are open only.
			bounded := []string{"SCAN audit_head", "SCAN CONSTANT ROW", "SCAN intents USING INDEX intents_open"}
			if strings.HasPrefix(line, "SCAN") && !slices.Contains(bounded, line) {
				t.Errorf("%s\n\t%s", query, line)
			}
		}
	}
}

// planOf is how SQLite would run a query, line by line.
func planOf(t *testing.T, store *Store, query string) (lines []string) {
	t.Helper()
	arguments := make([]any, strings.Count(query, "?"))
	if strings.Contains(query, "?1") {
		arguments = make([]any, 2)
	}
	rows, err := store.pool.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, arguments...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for rows.Next() {
		var a, b, c int
		var line string
		if err := rows.Scan(&a, &b, &c, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestOlderDatabaseIsBroughtUpToDate opens a database of the first schema, as the first jenner wrote it.
func TestOlderDatabaseIsBroughtUpToDate(t *testing.T) {
	dir := t.TempDir()
	db, err := openDatabase(dir+"/"+FileName, writing)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	record := jenner.Record{Line: "incident", ID: "i", Subject: "shop", Phase: jenner.PhaseActing, Version: 3, Wait: "approval",
		Created: noon, Updated: noon, State: jenner.Raw(map[string]string{"id": "i"})}
	entry := jenner.Entry{At: noon, Phase: jenner.PhaseActing, Kind: "step", Text: "looked", Data: jenner.Raw(7)}
	run := jenner.LedgerEntry{ID: "i/r1", Kind: jenner.LedgerAction, At: noon, By: "i", Service: "shop", Policy: "careful", Runbook: "restart", Result: "passed"}
	healthy := jenner.LedgerEntry{ID: "i/h", Kind: jenner.LedgerHealth, At: noon, Service: "shop"}
	bare := jenner.LedgerEntry{ID: "i/f", Kind: jenner.LedgerFault, At: noon, Until: noon.Add(time.Hour)}
	done := jenner.Intent{Key: "k", By: "i", At: noon, State: jenner.IntentDone, EndedAt: noon.Add(time.Second)}
	open := jenner.Intent{Key: "o", By: "j", At: noon, State: jenner.IntentIntended}
	outcome, proof := jenner.Outcome{Incident: "i", At: noon}, jenner.Proof{Drill: "d", At: noon}
	run1 := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run1(migrations[0])
	run1("PRAGMA user_version = 1")
	run1("PRAGMA application_id = 1248751218") // Jnnr
	at := noon.UnixNano()
	run1("INSERT INTO records VALUES (1, 'incident', 'i', 'shop', 'acting', 3, 0, 'approval', 0, ?, ?, ?)", at, at, []byte(record.State))
	run1("INSERT INTO timeline VALUES (1, 1, ?, 'acting', 'step', 'looked', ?)", at, []byte(entry.Data))
	for _, e := range []jenner.LedgerEntry{run, healthy, bare} {
		run1("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)", e.ID, e.Service, at, nanoseconds(e.Until), []byte(jenner.Raw(e)))
	}
	for _, i := range []jenner.Intent{done, open} {
		run1("INSERT INTO intents VALUES (?, ?, ?, ?)", i.Key, at, string(i.State), []byte(jenner.Raw(i)))
	}
	run1("INSERT INTO outcomes VALUES (1, ?, ?)", at, []byte(jenner.Raw(outcome)))
	run1("INSERT INTO proofs VALUES (1, ?, ?)", at, []byte(jenner.Raw(proof)))
	run1("INSERT INTO settings VALUES ('v', x'0102')")
	run1("INSERT INTO timeline VALUES (2, 1, ?, 'acting', 'note', 'and waits', NULL)", at)
	said := jenner.Entry{At: noon, Phase: jenner.PhaseActing, Kind: "note", Text: "and waits"}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wantBroughtUp(t, dir, noon, []any{record, []jenner.Entry{entry, said}, []jenner.LedgerEntry{run}, []jenner.LedgerEntry{run}, done,
		[]jenner.Outcome{outcome}, []jenner.Proof{proof}, []byte{1, 2}})
}

func wantBroughtUp(t *testing.T, dir string, noon time.Time, want []any) {
	t.Helper()
	store, err := Open(dir, Options{Lock: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	record, e1 := store.Load(ctx, "incident", "i")
	entries, e2 := store.Timeline(ctx, "incident", "i")
	ofRunbook, e3 := store.LedgerOfRunbook(ctx, "restart", 9)
	ofPolicy, e4 := store.LedgerOfPolicy(ctx, "careful", noon.Add(time.Minute))
	done, e5 := store.Intent(ctx, "k")
	outcomes, e6 := store.Outcomes(ctx, time.Time{})
	proofs, e7 := store.Proofs(ctx)
	value, e8 := store.Value(ctx, "v")
	got := []any{record, entries, ofRunbook, ofPolicy, done, outcomes, proofs, value}
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
		if err != nil || string(jenner.Raw(got[i])) != string(jenner.Raw(want[i])) {
			t.Errorf("%T: wanted %s, it is %s (%v)", want[i], jenner.Raw(want[i]), jenner.Raw(got[i]), err)
		}
	}
	held, err := store.LedgerOf(ctx, "nobody", noon, noon.Add(time.Hour)) // the fault is over, the health holds nothing
	if err != nil || len(held) != 1 || held[0].ID != "i/r1" {
		t.Errorf("what holds is %v (%v)", held, err)
	}
	// The intent belongs to a record that is open; the outcome, the fault and the health may go.
	if n, err := store.Prune(ctx, noon.Add(2*time.Hour)); err != nil || n != 3 {
		t.Errorf("%d things were pruned and not 3 (%v)", n, err)
	}
	var ended sql.NullInt64
	if err := store.pool.QueryRow("SELECT ended FROM intents WHERE key = 'k'").Scan(&ended); err != nil || ended.Int64 != noon.Add(time.Second).UnixNano() {
		t.Errorf("the intent ended at %d (%v)", ended.Int64, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
