package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

func opened(t testing.TB) *Store {
	t.Helper()
	store, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// another is somebody else's connection to the same database.
func another(t *testing.T, store *Store) *sql.Conn {
	t.Helper()
	db, err := openDatabase(store.path, writing)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func run(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (w *writer) queue() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func simple(id string) jenner.Change {
	return jenner.Change{Record: jenner.Record{Line: "incident", ID: id}, Audit: []jenner.AuditEntry{{Kind: "note", Subject: id}}}
}

// TestWaitingChangesShareOneCommit holds the writer up, lets five changes wait, two of which fail, and counts commits.
func TestWaitingChangesShareOneCommit(t *testing.T) {
	store := opened(t)
	commits := 0
	err := store.writer.conn.Raw(func(conn any) error {
		conn.(driver.HookRegisterer).RegisterCommitHook(func() int32 { commits++; return 0 })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	blocker := another(t, store)
	run(t, blocker, "BEGIN IMMEDIATE")
	changes := []jenner.Change{simple("a"), simple("b"), simple("a"), simple("c"), simple("d")}
	changes[4].Results = []jenner.Intent{{Key: "never begun", State: jenner.IntentDone}} // refused when the record is written already
	errs := make([]error, len(changes))
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(func() { errs[i] = store.Commit(t.Context(), change) })
		await.True(t, "a change in the queue", func() bool { return store.writer.queue() == i+1 })
	}
	run(t, blocker, "ROLLBACK")
	all.Wait()

	if errs[0] != nil || errs[1] != nil || errs[3] != nil {
		t.Errorf("good changes failed with their neighbours: %v", errs)
	}
	if !errors.Is(errs[2], jenner.ErrConflict) || errs[4] == nil {
		t.Errorf("the bad changes did not fail: %v", errs)
	}
	if commits != 1 {
		t.Errorf("5 waiting changes took %d commits", commits)
	}
	records, err := store.List(t.Context(), "incident", ListFilter{})
	if err != nil || len(records) != 3 {
		t.Errorf("%d records are stored and not 3 (%v)", len(records), err)
	}
	if report, err := store.VerifyAudit(t.Context()); err != nil || report.Entries != 3 {
		t.Errorf("%d audit entries and not 3 (%v)", report.Entries, err)
	}
}

// TestContextEndsWhileWaiting withdraws a change that waits for another process.
func TestContextEndsWhileWaiting(t *testing.T) {
	store := opened(t)
	blocker := another(t, store)
	run(t, blocker, "BEGIN IMMEDIATE")
	why := errors.New("somebody stopped it")
	ctx, cancel := context.WithCancelCause(t.Context())
	answer := make(chan error)
	go func() { answer <- store.Commit(ctx, simple("withdrawn")) }()
	await.True(t, "the change in the queue", func() bool { return store.writer.queue() == 1 })
	cancel(why)
	if err := <-answer; !errors.Is(err, why) { // before the other process is through
		t.Errorf("the withdrawn change got the answer %v", err)
	}
	run(t, blocker, "ROLLBACK")
	if err := store.Commit(t.Context(), simple("next")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context(), "incident", "withdrawn"); !errors.Is(err, jenner.ErrNotFound) {
		t.Errorf("the withdrawn change was stored, or: %v", err)
	}
}

// TestCloseWaitsForWhatWaits closes while a change waits for another process.
func TestCloseWaitsForWhatWaits(t *testing.T) {
	store := opened(t)
	blocker := another(t, store)
	run(t, blocker, "BEGIN IMMEDIATE")
	committed, closed := make(chan error), make(chan error)
	go func() { committed <- store.Commit(context.Background(), simple("a")) }()
	await.True(t, "the change in the queue", func() bool { return store.writer.queue() == 1 })
	go func() { closed <- store.Close() }()
	await.True(t, "closing to begin", func() bool {
		store.writer.mu.Lock()
		defer store.writer.mu.Unlock()
		return store.writer.closed
	})
	run(t, blocker, "ROLLBACK")
	if err := errors.Join(<-committed, <-closed); err != nil {
		t.Fatal(err)
	}
	again, err := Open(store.dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Load(t.Context(), "incident", "a"); err != nil {
		t.Error(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnotherProcessThatHangs lets the busy timeout run out.
func TestAnotherProcessThatHangs(t *testing.T) {
	store := opened(t)
	if err := store.writer.exec("PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	blocker := another(t, store)
	run(t, blocker, "BEGIN IMMEDIATE")
	err := store.Commit(t.Context(), simple("a"))
	if err == nil || jenner.NextAfter(err) != jenner.TryAgain || !strings.Contains(err.Error(), "another process") {
		t.Errorf("wanted an error that may pass and names another process; it is %v", err)
	}
	run(t, blocker, "ROLLBACK")
	if err := store.Commit(t.Context(), simple("a")); err != nil {
		t.Errorf("after the other process let go: %v", err)
	}
}

// TestFullDatabase lets the database grow no further. Every change that was acknowledged before stays, one that is too
// large is refused whole, and after there is room again all goes on.
func TestFullDatabase(t *testing.T) {
	store := opened(t)
	if err := store.Commit(t.Context(), simple("before")); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := store.writer.row("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	grow := func(pages int) {
		t.Helper()
		if err := store.writer.exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	grow(pages + 2)
	large := simple("large")
	large.Record.State = jenner.Raw(strings.Repeat("x", 100_000))
	err := store.Commit(t.Context(), large)
	if err == nil || jenner.NextAfter(err) != jenner.TryAgain || !strings.Contains(err.Error(), "make room") {
		t.Errorf("wanted an error that says to make room; it is %v", err)
	}
	records, err := store.List(t.Context(), "incident", ListFilter{})
	if err != nil || len(records) != 1 {
		t.Errorf("%d records are stored and not 1 (%v)", len(records), err)
	}
	grow(pages + 1000)
	if err := store.Commit(t.Context(), large); err != nil {
		t.Errorf("after there was room again: %v", err)
	}
	if report, err := store.VerifyAudit(t.Context()); err != nil || report.Entries != 2 {
		t.Errorf("%d audit entries and not 2 (%v)", report.Entries, err)
	}
}

// TestTransactionLost is what a disk error may do in the middle of a group: SQLite rolls everything back by itself. Then
// nobody may be told that the change is stored.
func TestTransactionLost(t *testing.T) {
	store := opened(t)
	blocker := another(t, store)
	run(t, blocker, "BEGIN IMMEDIATE")
	errs := make([]error, 3)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			errs[i] = store.change(t.Context(), "testing", func(tx *tx) error {
				if i != 1 {
					return tx.exec("INSERT INTO settings (key, value) VALUES (?, x'00')", fmt.Sprint(i))
				}
				return errors.Join(tx.exec("ROLLBACK"), errors.New("the disk failed"))
			})
		})
		await.True(t, "a change in the queue", func() bool { return store.writer.queue() == i+1 })
	}
	run(t, blocker, "ROLLBACK")
	all.Wait()
	for i, err := range errs {
		if err == nil {
			t.Errorf("change %d was acknowledged", i)
		}
		if _, err := store.Value(t.Context(), fmt.Sprint(i)); !errors.Is(err, jenner.ErrNotFound) {
			t.Errorf("change %d is stored, or: %v", i, err)
		}
	}
	if err := store.PutValue(t.Context(), "next", nil); err != nil {
		t.Errorf("the next change: %v", err)
	}
}

func benchmark(b *testing.B, run func(commit func(id string, version int64))) {
	store := opened(b)
	now := time.Now()
	commit := func(id string, version int64) {
		change := simple(id)
		change.Record.Version, change.Record.Due, change.Record.State = version, now, jenner.Raw(map[string]string{"id": id})
		change.Timeline = []jenner.Entry{{At: now, Kind: "step", Text: "restarted, pid 4711 → 4820"}}
		if err := store.Commit(context.Background(), change); err != nil {
			b.Error(err)
		}
	}
	b.ResetTimer()
	run(commit)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	if report, err := store.VerifyAudit(context.Background()); err != nil || report.Entries != int64(b.N) {
		b.Errorf("%d commits and %d audit entries (%v)", b.N, report.Entries, err)
	}
}

// BenchmarkCommit commits one step after the other: state, one timeline entry, one audit entry, synced.
func BenchmarkCommit(b *testing.B) {
	benchmark(b, func(commit func(string, int64)) {
		for version := range b.N {
			commit("a", int64(version))
		}
	})
}

// BenchmarkCommitParallel commits steps of many records at once: 32 for each processor.
func BenchmarkCommitParallel(b *testing.B) {
	var mu sync.Mutex
	records := 0
	benchmark(b, func(commit func(string, int64)) {
		b.SetParallelism(32)
		b.RunParallel(func(steps *testing.PB) {
			mu.Lock()
			records++
			id := fmt.Sprint(records)
			mu.Unlock()
			for version := int64(0); steps.Next(); version++ {
				commit(id, version)
			}
		})
	})
}
