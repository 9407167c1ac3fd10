package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jenner-heal/jenner"
	_ "modernc.org/sqlite" // registers the driver
)

// applicationID marks a database as Jenner's, in the place that SQLite has for this: "Jnnr".
const applicationID = 0x4a6e6e72

// busyTimeout is how long a statement waits for another process, in milliseconds. A group of changes takes about one.
const busyTimeout = 10_000

// The ways in which a database is opened. Every one waits for locks and checks foreign keys.
const (
	writing     = "_pragma=synchronous(FULL)&_pragma=journal_size_limit(67108864)"
	reading     = "_pragma=query_only(1)"
	onlyReading = "mode=ro&_pragma=query_only(1)"
)

// migrations are the steps from one schema to the next, in order; the schema's version is how many were run.
var migrations = readMigrations()

//go:embed migrations/*.sql
var migrationFiles embed.FS

func readMigrations() []string {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted by name
	if err != nil {
		panic("sqlite: the embedded migrations: " + err.Error())
	}
	var steps []string
	for i, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil || !strings.HasPrefix(filepath.Base(name), fmt.Sprintf("%04d_", i+1)) {
			panic(fmt.Sprintf("sqlite: the embedded migration %s is not number %d: %v", name, i+1, err))
		}
		steps = append(steps, string(text))
	}
	return steps
}

func openDatabase(path, how string) (*sql.DB, error) {
	name := url.URL{Scheme: "file", OmitHost: true, Path: path,
		RawQuery: fmt.Sprintf("%s&_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)", how, busyTimeout)}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers) // a new connection costs more than a query
	return db, nil
}

// prepare brings a new or old database to the present schema. The caller sees to it that nobody else does the same.
func (w *writer) prepare(ctx context.Context, path string) error {
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, w.conn)
	if err != nil {
		return err
	}
	if fresh { // the two files beside it take its mode over
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
	}
	// The mode is a property of the file, and changing it needs the file for oneself.
	var mode string
	if err := w.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		if err := w.conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
			return err
		}
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow the write-ahead log (journal mode stays %q); use a local one", mode)
	}
	if version == len(migrations) {
		return nil
	}
	return migrate(ctx, w.conn, version)
}

func migrate(ctx context.Context, conn *sql.Conn, version int) error {
	change, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = change.Rollback() }() // does nothing after a commit
	for number := version; number < len(migrations); number++ {
		if _, err := change.ExecContext(ctx, migrations[number]); err != nil {
			return fmt.Errorf("bringing the database from schema %d to %d: %w", number, number+1, err)
		}
	}
	mark := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", len(migrations), applicationID)
	if _, err := change.ExecContext(ctx, mark); err != nil {
		return err
	}
	return change.Commit()
}

// rower asks for one row: a pool, or one connection of it.
type rower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schemaVersion is the database's schema; 0 for an empty file. It refuses what Jenner did not make, and what a newer one
// made: writing to it could lose what this one does not know.
func schemaVersion(ctx context.Context, db rower) (int, error) {
	var version, application, tables int
	err := errors.Join(
		db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return 0, err
	case application != applicationID && (tables > 0 || version != 0):
		return 0, jenner.Permanent(errors.New("it is a SQLite database, but not one of Jenner's"),
			"choose another data directory with --data")
	case version > len(migrations):
		return 0, jenner.Permanent(fmt.Errorf("it was written by a newer jenner (schema %d, this one knows %d)", version, len(migrations)),
			"use that version, or choose another data directory with --data")
	}
	return version, nil
}
