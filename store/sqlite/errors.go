package sqlite

import (
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

var errClosed = errors.New("the store is closed")

// explain names the database and what was being done, and says what happens next and what a person can do. Errors that
// say so themselves keep it.
func (s *Store) explain(what string, err error) error {
	err = fmt.Errorf("%s (%s): %w", what, s.path, err)
	var told *jenner.Error
	var said *driver.Error
	switch {
	case errors.As(err, &told):
		return err
	case errors.Is(err, errDamaged):
		return jenner.ForHuman(err, s.ifDamaged())
	case !errors.As(err, &said):
		return err
	}
	switch said.Code() & 0xff { // the rest says which call it was in
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return jenner.Retryable(err, fmt.Sprintf("another process has been writing for %d s; if it hangs, stop it", busyTimeout/1000))
	case codes.SQLITE_FULL:
		return jenner.Retryable(err, "nothing of it was stored; make room on the file system of "+s.dir)
	case codes.SQLITE_READONLY, codes.SQLITE_CANTOPEN, codes.SQLITE_PERM, codes.SQLITE_AUTH:
		return jenner.ForHuman(err, "let the user that runs jenner write to "+s.dir+" and the files in it, or choose another data directory with --data")
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return jenner.ForHuman(err, s.ifDamaged())
	case codes.SQLITE_ERROR: // its tables are not as they were made, for all statements are the program's own
		return jenner.ForHuman(err, "somebody changed the tables of the database, or "+s.ifDamaged())
	case codes.SQLITE_IOERR:
		return jenner.ForHuman(err, "the disk failed, became read-only, or its quota is used up; look at the kernel's log and at the room on the file system of "+s.dir)
	}
	return err
}

// ifDamaged is what to do with a damaged database.
func (s *Store) ifDamaged() string {
	return "the file is damaged: stop jenner, keep a copy of " + s.dir + " as it is, then restore a backup of the whole directory, " +
		"or save what can be read with `sqlite3 " + FileName + " .recover`; afterwards `jenner audit verify` tells whether the audit log is whole"
}
