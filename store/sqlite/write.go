package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	driver "modernc.org/sqlite"
)

// writer is the one place that writes. Its goroutine takes all changes that wait, runs them in one transaction, and answers
// all of them once that is synced: many changes share the cost of one sync. Where one of them fails halfway, which is rare,
// all are run anew, each inside a savepoint of its own.
type writer struct {
	db     *sql.DB
	conn   *sql.Conn
	signer *audit.Signer

	// Used by the goroutine only.
	statements map[string]*sql.Stmt
	wrote      bool // the change at hand has written something, or may have

	remembered remembered

	mu      sync.Mutex
	waiting []*job
	started bool
	closed  bool
	wake    chan struct{} // holds one token while somebody waits
	done    chan struct{} // closed when the goroutine has ended
}

// job is one change on its way. apply may be called a second time, when what the first call wrote is taken back.
type job struct {
	apply  func(*tx) error
	state  atomic.Int32
	answer chan error
}

// The states of a job. Who moves it away from queued decides what becomes of it.
const (
	queued int32 = iota
	taken
	withdrawn
)

func newWriter(db *sql.DB) *writer {
	return &writer{db: db, statements: map[string]*sql.Stmt{},
		wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (w *writer) start(signer *audit.Signer) {
	w.signer, w.started = signer, true
	go func() {
		defer close(w.done)
		for range w.wake {
			w.group()
		}
	}()
}

// do hands a change over and waits for its answer. A context that ends withdraws a change which still waits; one that
// the writer has begun is waited for, so that an error of the context always means that nothing was stored.
func (w *writer) do(ctx context.Context, apply func(*tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	mine := &job{apply: apply, answer: make(chan error, 1)}
	if err := w.enqueue(mine); err != nil {
		return err
	}
	select {
	case err := <-mine.answer:
		return err
	case <-ctx.Done():
		if mine.state.CompareAndSwap(queued, withdrawn) {
			return context.Cause(ctx)
		}
		return <-mine.answer
	}
}

func (w *writer) enqueue(mine *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.waiting = append(w.waiting, mine)
	select {
	case w.wake <- struct{}{}:
	default: // a token lies there already; whoever takes it takes this change too
	}
	return nil
}

// take gives the changes that wait, without those that were withdrawn meanwhile.
func (w *writer) take() []*job {
	w.mu.Lock()
	all := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	mine := all[:0]
	for _, one := range all {
		if one.state.CompareAndSwap(queued, taken) {
			mine = append(mine, one)
		}
	}
	return mine
}

func (w *writer) somebodyWaits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) > 0
}

// group stores everything that waits, in one transaction.
func (w *writer) group() {
	if !w.somebodyWaits() {
		return
	}
	// Changes are taken only after the lock is there: until then their callers may still withdraw them.
	err := w.exec("BEGIN IMMEDIATE")
	jobs := w.take()
	var own []error
	if err == nil {
		own, err = w.run(jobs)
		if err == nil {
			err = w.exec("COMMIT")
		}
		if err != nil {
			// A failed commit may have rolled back already; then there is nothing to roll back, which is no news.
			_ = w.exec("ROLLBACK")
		}
	}
	for i, one := range jobs {
		if err != nil {
			// Also those who failed for a reason of their own: they may have seen what is rolled back now.
			one.answer <- err
			continue
		}
		one.answer <- own[i]
	}
}

// run applies every change and then writes all their audit entries. The errors are those of the changes, one each, which
// the other changes do not mind; and one that fails the whole transaction.
func (w *writer) run(jobs []*job) (own []error, whole error) {
	own, entries, halfway := w.applyAll(jobs)
	if halfway {
		_ = w.exec("ROLLBACK") // a full disk may have done so already
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			return nil, err
		}
		if own, entries, whole = w.applyApart(jobs); whole != nil {
			return nil, whole
		}
	}
	return own, audit.AppendEncoded(newAuditTx(w), w.signer, entries)
}

// applyAll applies the changes as they come. It stops where one fails after it has written something, or where the
// database itself refuses, after which nobody knows what became of the transaction.
func (w *writer) applyAll(jobs []*job) (own []error, entries []told, halfway bool) {
	own = make([]error, len(jobs))
	for i, one := range jobs {
		w.wrote = false
		change := &tx{writer: w}
		if own[i] = one.apply(change); own[i] == nil {
			entries = append(entries, change.told...)
			continue
		}
		if refused := new(driver.Error); w.wrote || errors.As(own[i], &refused) {
			return nil, nil, true
		}
	}
	return own, entries, false
}

// applyApart applies each change inside its own savepoint.
func (w *writer) applyApart(jobs []*job) (own []error, entries []told, whole error) {
	own = make([]error, len(jobs))
	for i, one := range jobs {
		if err := w.exec("SAVEPOINT change"); err != nil {
			return nil, nil, err
		}
		change := &tx{writer: w}
		if own[i] = one.apply(change); own[i] != nil {
			// A full disk may have rolled back everything; then the savepoint is gone, and so are the changes before it.
			if err := w.exec("ROLLBACK TO change"); err != nil {
				return nil, nil, errors.Join(own[i], err)
			}
		} else {
			entries = append(entries, change.told...)
		}
		if err := w.exec("RELEASE change"); err != nil {
			return nil, nil, err
		}
	}
	return own, entries, nil
}

// close answers everybody who waits and ends the goroutine.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.wake)
	started := w.started
	w.mu.Unlock()
	if started {
		<-w.done
	}
	var errs []error
	for _, statement := range w.statements {
		errs = append(errs, statement.Close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}

// statement prepares each statement once, on the writer's own connection.
func (w *writer) statement(query string) (*sql.Stmt, error) {
	if statement, known := w.statements[query]; known {
		return statement, nil
	}
	statement, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = statement
	return statement, nil
}

func (w *writer) exec(query string, args ...any) error {
	_, err := w.count(query, args...)
	return err
}

// count runs a statement and gives how many rows it changed.
func (w *writer) count(query string, args ...any) (int64, error) {
	statement, err := w.statement(query)
	if err != nil {
		return 0, err
	}
	w.wrote = true
	done, err := statement.Exec(args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

func (w *writer) row(query string, args ...any) scanner {
	statement, err := w.statement(query)
	if err != nil {
		return failed{err}
	}
	return statement.QueryRow(args...)
}

// scanner is one row, or why there is none.
type scanner interface{ Scan(into ...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// tx is what a change sees while it is applied. It must not be kept.
type tx struct {
	*writer
	told []told
}

// told is an entry of the audit log as it is stored.
type told = audit.Encoded

// audit adds entries to the log once all changes of the transaction are through. It refuses what cannot be written, so
// that one bad entry fails its own change and not the others.
func (t *tx) audit(entries ...jenner.AuditEntry) error {
	more, err := encoded(entries)
	t.told = append(t.told, more...)
	return err
}

func encoded(entries []jenner.AuditEntry) ([]told, error) {
	list := make([]told, len(entries))
	for i, entry := range entries {
		body, err := audit.Encode(entry)
		if err != nil {
			return nil, fmt.Errorf("an audit entry: %w", err)
		}
		list[i] = told{At: entry.At, Body: body}
	}
	return list, nil
}
