// Package sqlite keeps all durable state of one Jenner in one SQLite database: records and their timelines, the ledger,
// outcomes and proofs, the journal of intents, named values, and the audit log.
//
// It is for one machine. Several processes may read and write at the same time: nothing that another process can change
// is kept in memory between transactions. A change that was acknowledged is synced to disk; changes that wait at the
// same moment share one sync. It is not for deciding anything, not for telemetry (that is time series, and much more of
// it), and not for several machines: SQLite's locks do not work over a network.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/note"
)

// FileName is the database's file in the data directory.
const FileName = "jenner.db"

// signerName is who signs the heads of the audit log.
const signerName = "jenner"

// readers is how many readers may look at the same time; more of them wait.
const readers = 4

// Options says how a data directory is opened. The zero value reads and writes beside other processes.
type Options struct {
	// ReadOnly refuses every change. It needs a database that a writer made before.
	ReadOnly bool
	// Lock keeps every other process that asks for the lock out of the data directory until Close. Processes that do
	// not ask for it still read and write. It cannot be had together with ReadOnly.
	Lock bool
}

// Store is an open database. Its methods are safe for concurrent use. A method whose context ends returns the context's
// cause; where it is a method that writes, nothing was stored then.
type Store struct {
	dir      string
	path     string
	pool     *sql.DB
	writer   *writer // nil where read-only
	verifier note.Verifier
	lock     *os.File // nil without Options.Lock

	remembered remembered

	mu       sync.Mutex
	prepared map[string]*sql.Stmt
	closed   bool
}

// Open opens the data directory dir and makes what is missing in it: the directory with mode 0700, the database, and
// the keys of the audit log. Errors say what to do; with Options.Lock the error wraps jenner.ErrInUse where another
// process holds the lock.
//
// A damaged database is refused as far as that can be seen at once: a write-ahead log of which an acknowledged part cannot
// be read, what Check finds, a broken head of the audit log. What was damaged after that is an error where it is read.
func Open(dir string, opts Options) (*Store, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s: %w", dir, err)
	}
	s := &Store{dir: whole, path: filepath.Join(whole, FileName), prepared: map[string]*sql.Stmt{}}
	switch {
	case opts.ReadOnly && opts.Lock:
		err = jenner.Permanent(fmt.Errorf("%s can be opened read-only or with the lock, not both", whole), "leave one of them out")
	case opts.ReadOnly:
		err = s.openReadOnly()
	default:
		err = s.openWriting(opts.Lock)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openWriting(lock bool) error {
	if err := makeDir(s.dir); err != nil {
		return err
	}
	if lock {
		held, err := takeLock(s.dir)
		if err != nil {
			return err
		}
		s.lock = held
	}
	// Two processes that make the same database at the same moment would run into each other's half of it.
	release, err := alone(s.dir)
	if err != nil {
		return err
	}
	defer release()
	if err := checkLog(s.path); err != nil {
		return s.explain("opening", err)
	}
	db, err := openDatabase(s.path, writing)
	if err != nil {
		return s.explain("opening", err)
	}
	s.writer = newWriter(db)
	if err := s.writer.prepare(context.Background(), s.path); err != nil {
		return s.explain("opening", err)
	}
	if s.pool, err = openDatabase(s.path, reading); err != nil {
		return s.explain("opening", err)
	}
	if err := s.checkAtOpening(lock); err != nil {
		return s.explain("opening", err)
	}
	signer, err := audit.OpenSigner(s.dir, signerName)
	if err != nil {
		return jenner.ForHuman(err, "")
	}
	s.verifier = signer.Verifier()
	if err := s.checkHead(); err != nil {
		return err
	}
	s.writer.start(signer)
	return nil
}

// checkHead refuses to go on with a log whose head this key has not signed: the next head would cover up what is wrong.
func (s *Store) checkHead() error {
	reader := auditReader{s, context.Background(), s.pool}
	signed, err := reader.Head()
	if err != nil || signed == nil {
		return err
	}
	head, err := audit.OpenHead(signed, s.verifier)
	if err != nil {
		return jenner.ForHuman(fmt.Errorf("%s is not written to: %w", s.path, err),
			"if the keys were lost, move the whole data directory away to begin a new one")
	}
	if err := checkTree(head, reader); err != nil {
		return s.explain("opening", err)
	}
	return nil
}

func (s *Store) openReadOnly() error {
	if _, err := os.Stat(s.path); err != nil {
		return jenner.Permanent(fmt.Errorf("there is no database to read: %w", err),
			"name the data directory of a jenner that has run, with --data")
	}
	err := checkLog(s.path)
	if err != nil {
		return s.explain("opening", err)
	}
	if s.pool, err = openDatabase(s.path, onlyReading); err != nil {
		return s.explain("opening", err)
	}
	version, err := schemaVersion(context.Background(), s.pool)
	if err == nil && version < len(migrations) {
		err = jenner.Permanent(fmt.Errorf("the database has schema %d and this jenner reads schema %d", version, len(migrations)),
			"open it once for writing, as jenner serve does, which brings it up to date")
	}
	if err != nil {
		return s.explain("opening", err)
	}
	if s.verifier, err = audit.ReadPublic(s.dir); err != nil {
		return jenner.ForHuman(err, "restore it from a backup")
	}
	return nil
}

// Close waits for the changes that wait, then closes the database and gives the lock back. Whatever is called after it
// fails. Closing twice is as closing once.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, prepared := range s.prepared {
		errs = append(errs, prepared.Close())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	if s.writer != nil { // after the readers: who closes last moves the write-ahead log into the database
		errs = append(errs, s.writer.close())
	}
	if s.lock != nil {
		errs = append(errs, giveLockBack(s.lock))
	}
	if err := errors.Join(errs...); err != nil {
		return s.explain("closing", err)
	}
	return nil
}

// querier asks: the pool, or one transaction of it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// QueryContext prepares each query once; preparing takes longer than running most of them.
func (s *Store) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, err := s.statement(query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

func (s *Store) statement(query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if statement, known := s.prepared[query]; known {
		return statement, nil
	}
	statement, err := s.pool.Prepare(query)
	if err != nil {
		return nil, err
	}
	s.prepared[query] = statement
	return statement, nil
}

// ask runs a query and hands every row to each.
func (s *Store) ask(ctx context.Context, from querier, what string, each func(row *sql.Rows) error, query string, args ...any) error {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return s.explain(what, cause(ctx, err))
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			return s.explain(what, errors.Join(err, rows.Close()))
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return s.explain(what, cause(ctx, err))
	}
	return nil
}

// change hands a change to the writer and waits until it is synced.
func (s *Store) change(ctx context.Context, what string, apply func(*tx) error) error {
	if s.writer == nil {
		return jenner.Permanent(fmt.Errorf("%s: %s is open read-only", what, s.path), "open it for writing")
	}
	if err := s.writer.do(ctx, apply); err != nil {
		return s.explain(what, err)
	}
	return nil
}

// cause is why the context ended, where that is why the query failed.
func cause(ctx context.Context, err error) error {
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return err
}
