package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// direct runs SQL on the database behind the store's back.
func direct(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// written is a data directory with one record and eleven audit entries, which nobody has open.
func written(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	store := open(t, dir, sqlite.Options{})
	if err := store.Commit(t.Context(), jenner.Change{Record: jenner.Record{Line: "incident", ID: "a", State: jenner.Raw(strings.Repeat("x", 100_000))}}); err != nil {
		t.Fatal(err)
	}
	for i := range 11 {
		if err := store.AppendAudit(t.Context(), jenner.AuditEntry{Kind: "note", Subject: fmt.Sprint("subject ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	open(t, dir, sqlite.Options{Lock: true})
	for name, mode := range map[string]fs.FileMode{"": fs.ModeDir | 0o700, sqlite.FileName: 0o600, sqlite.FileName + "-wal": 0o600,
		sqlite.LockFile: 0o600, audit.KeyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %v and not %v", info.Name(), info.Mode(), mode)
		}
	}
}

// TestRefusals opens what cannot be opened and looks whether the error says why, and what to do.
func TestRefusals(t *testing.T) {
	file := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string) string // gives the directory to open
		opts  sqlite.Options
		says  []string
	}{
		"a newer schema": {func(t *testing.T, dir string) string { direct(t, dir, "PRAGMA user_version = 99"); return dir },
			sqlite.Options{}, []string{"newer jenner (schema 99", "use that version"}},
		"a newer schema, to read": {func(t *testing.T, dir string) string { direct(t, dir, "PRAGMA user_version = 99"); return dir },
			sqlite.Options{ReadOnly: true}, []string{"newer jenner (schema 99", "use that version"}},
		"an older schema, to read": {func(t *testing.T, dir string) string { direct(t, dir, "PRAGMA user_version = 0"); return dir },
			sqlite.Options{ReadOnly: true}, []string{"schema 0", "open it once for writing"}},
		"somebody else's database": {func(t *testing.T, dir string) string { direct(t, dir, "PRAGMA application_id = 7"); return dir },
			sqlite.Options{}, []string{"not one of Jenner's", "another data directory"}},
		"no database": {func(t *testing.T, dir string) string {
			file(t, filepath.Join(dir, sqlite.FileName), strings.Repeat("this is a text ", 1000))
			return dir
		}, sqlite.Options{}, []string{"not a database", "restore a backup"}},
		"a file in place of the directory": {func(t *testing.T, dir string) string { return filepath.Join(dir, sqlite.FileName) },
			sqlite.Options{}, []string{"there is a file in its place", "another data directory"}},
		"nothing to read": {func(t *testing.T, dir string) string { return filepath.Join(dir, "none") },
			sqlite.Options{ReadOnly: true}, []string{"no database to read", "--data"}},
		"the lock, to read": {func(t *testing.T, dir string) string { return dir },
			sqlite.Options{ReadOnly: true, Lock: true}, []string{"not both"}},
		"a lost key": {func(t *testing.T, dir string) string {
			if err := os.Remove(filepath.Join(dir, audit.KeyFile)); err != nil {
				t.Fatal(err)
			}
			return dir
		}, sqlite.Options{}, []string{audit.KeyFile + " is missing", "backup"}},
		"another key": {func(t *testing.T, dir string) string {
			for _, name := range []string{audit.KeyFile, audit.PublicFile} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}, sqlite.Options{}, []string{"no valid signature", "move the whole data directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.spoil(t, written(t))
			store, err := sqlite.Open(dir, c.opts)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), store.Close()))
			}
			for _, says := range append(c.says, dir) {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q: %v", says, err)
				}
			}
		})
	}
}

func TestDamagedPagesAreAnError(t *testing.T) {
	dir := written(t)
	path := filepath.Join(dir, sqlite.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(whole); i++ { // all but the page that says what the file is
		whole[i] = 0xa5
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err == nil {
		_, err = store.Load(t.Context(), "incident", "a")
		defer func() { _ = store.Close() }()
	}
	if err == nil || !strings.Contains(err.Error(), "the file is damaged") || jenner.NextAfter(err) != jenner.TellHuman {
		t.Errorf("wanted an error for a human that says the file is damaged; it is %v", err)
	}
}

func TestReadOnlyReadsAndChangesNothing(t *testing.T) {
	dir := written(t)
	read := func() {
		t.Helper()
		store := open(t, dir, sqlite.Options{ReadOnly: true})
		if _, err := store.Load(t.Context(), "incident", "a"); err != nil {
			t.Error(err)
		}
		if report, err := store.VerifyAudit(t.Context()); err != nil || report.Entries != 11 {
			t.Errorf("the audit log has %d entries, error %v", report.Entries, err)
		}
		err := store.PutValue(t.Context(), "k", nil)
		if err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("a change of what is open read-only: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read() // while nobody writes
	open(t, dir, sqlite.Options{Lock: true})
	read() // while somebody does
}

// TestTampering changes the audit log by SQL and looks which entry is named.
func TestTampering(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		first     int64
	}{
		"one byte of an entry":   {"UPDATE audit_entries SET entry = CAST(replace(CAST(entry AS TEXT), 'subject 4', 'subject 5') AS BLOB) WHERE n = 4", 4},
		"the last entry deleted": {"DELETE FROM audit_entries WHERE n = 10", 10},
		"two entries swapped": {`UPDATE audit_entries SET entry = (SELECT entry FROM audit_entries AS other
			WHERE other.n = CASE audit_entries.n WHEN 3 THEN 8 ELSE 3 END) WHERE n IN (3, 8)`, 3},
		"an entry in the middle deleted": {"DELETE FROM audit_entries WHERE n = 6", 6},
		"a hash deleted":                 {"DELETE FROM audit_hashes WHERE n = 0", 0},
		"a hash cut":                     {"UPDATE audit_hashes SET hash = x'00' WHERE n = 0", 0},
		"the head deleted":               {"DELETE FROM audit_head", 0},
		"the head changed":               {"UPDATE audit_head SET signed = CAST(replace(CAST(signed AS TEXT), '11', '10') AS BLOB)", -1},
		"an entry added":                 {"INSERT INTO audit_entries VALUES (11, x'7b7d')", 11},
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t)
			direct(t, dir, c.statement)
			_, err := open(t, dir, sqlite.Options{ReadOnly: true}).VerifyAudit(t.Context())
			var found *audit.Tampered
			if !errors.As(err, &found) || found.First != c.first {
				t.Errorf("wanted entry %d; the error is %v", c.first, err)
			}
		})
	}
}

// TestNothingCoversTamperingUp goes on writing after an entry was deleted.
func TestNothingCoversTamperingUp(t *testing.T) {
	dir := written(t)
	direct(t, dir, "DELETE FROM audit_entries WHERE n = 10")
	store := open(t, dir, sqlite.Options{})
	if err := store.AppendAudit(t.Context(), jenner.AuditEntry{Kind: "note"}, jenner.AuditEntry{Kind: "note"}); err != nil {
		t.Fatal(err)
	}
	var found *audit.Tampered
	if _, err := store.VerifyAudit(t.Context()); !errors.As(err, &found) || found.First != 10 {
		t.Errorf("wanted entry 10; the error is %v", err)
	}
}

func TestProofHoldsWithoutTheDatabase(t *testing.T) {
	dir := written(t)
	proof, err := open(t, dir, sqlite.Options{ReadOnly: true}).AuditProof(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, audit.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.CheckProof(proof, string(public)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(proof.Entry, `"subject 4"`) {
		t.Errorf("it proves another entry: %s", proof.Entry)
	}
}
