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
)

// writer is the one place that writes. Its goroutine takes all changes that wait, runs each inside its own savepoint of
// one transaction, and answers all of them once that transaction is synced: many changes share the cost of one sync.
type writer struct {
	db     *sql.DB
	conn   *sql.Conn
	signer *audit.Signer

	statements map[string]*sql.Stmt // used by the goroutine only
	remembered remembered

	mu      sync.Mutex
	waiting []*job
	started bool
	closed  bool
	wake    chan struct{} // holds one token while somebody waits
	done    chan struct{} // closed when the goroutine has ended
}

// job is one change on its way.
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

// run applies every change inside its own savepoint and then writes all their audit entries. The errors are those of
// the changes, one each, which the other changes do not mind; and one that fails the whole transaction.
func (w *writer) run(jobs []*job) (own []error, whole error) {
	own = make([]error, len(jobs))
	var entries []jenner.AuditEntry
	for i, one := range jobs {
		if err := w.exec("SAVEPOINT change"); err != nil {
			return nil, err
		}
		change := &tx{writer: w}
		if own[i] = one.apply(change); own[i] != nil {
			// A full disk may have rolled back everything; then the savepoint is gone, and so are the changes before it.
			if err := w.exec("ROLLBACK TO change"); err != nil {
				return nil, errors.Join(own[i], err)
			}
		} else {
			entries = append(entries, change.entries...)
		}
		if err := w.exec("RELEASE change"); err != nil {
			return nil, err
		}
	}
	return own, audit.Append(newAuditTx(w), w.signer, entries)
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

// query must be read to its end, or closed, before the next statement.
func (w *writer) query(query string, args ...any) (*sql.Rows, error) {
	statement, err := w.statement(query)
	if err != nil {
		return nil, err
	}
	return statement.Query(args...)
}

// scanner is one row, or why there is none.
type scanner interface{ Scan(into ...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// tx is what a change sees while it is applied. It must not be kept.
type tx struct {
	*writer
	entries []jenner.AuditEntry
}

// audit adds entries to the log once all changes of the transaction are through. It refuses what cannot be written, so
// that one bad entry fails its own change and not the others.
func (t *tx) audit(entries ...jenner.AuditEntry) error {
	for _, entry := range entries {
		if _, err := audit.Encode(entry); err != nil {
			return fmt.Errorf("an audit entry: %w", err)
		}
	}
	t.entries = append(t.entries, entries...)
	return nil
}
