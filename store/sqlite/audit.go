package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/tlog"
)

// AppendAudit adds entries to the audit log, all or none.
func (s *Store) AppendAudit(ctx context.Context, entries ...jenner.AuditEntry) error {
	return s.change(ctx, "writing the audit log", func(t *tx) error { return t.audit(entries...) })
}

// AuditEntries gives up to limit entries of the audit log with an index of at least from, in order. Each is held against
// its hash; that the hashes are those that were signed is for VerifyAudit.
func (s *Store) AuditEntries(ctx context.Context, from int64, limit int) ([]jenner.AuditEntry, error) {
	stored, err := auditReader{s, ctx, s}.Entries(from, limit)
	if err != nil {
		return nil, err
	}
	entries := make([]jenner.AuditEntry, len(stored))
	for i, one := range stored {
		hashes, err := auditReader{s, ctx, s}.ReadHashes([]int64{tlog.StoredHashIndex(0, one.Index)})
		if err == nil && hashes[0] != tlog.RecordHash(one.Data) {
			err = errDamaged
		}
		if err != nil {
			return nil, s.explain(fmt.Sprintf("reading audit entry %d", one.Index), err)
		}
		if entries[i], err = audit.Decode(one.Data); err != nil {
			return nil, s.explain(fmt.Sprintf("reading audit entry %d", one.Index), err)
		}
	}
	return entries, nil
}

// VerifyAudit checks the whole audit log, as audit.Verify does, and then the database that it is in, as Check does, while
// others may go on writing.
func (s *Store) VerifyAudit(ctx context.Context) (audit.Report, error) {
	var report audit.Report
	err := s.snapshot(ctx, "verifying the audit log", func(r audit.Reader) (err error) {
		report, err = audit.Verify(r, s.verifier)
		return err
	})
	if err == nil {
		err = s.Check(ctx)
	}
	return report, err
}

// AuditProof proves that the entry with that index is in the audit log, as audit.Prove does.
func (s *Store) AuditProof(ctx context.Context, index int64) (audit.Proof, error) {
	var proof audit.Proof
	err := s.snapshot(ctx, "proving an audit entry", func(r audit.Reader) (err error) {
		proof, err = audit.Prove(r, index)
		return err
	})
	return proof, err
}

// snapshot lets look read the audit log as it stands at one moment.
func (s *Store) snapshot(ctx context.Context, what string, look func(audit.Reader) error) error {
	view, err := s.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.explain(what, cause(ctx, err))
	}
	defer func() { _ = view.Rollback() }() // it only read
	err = look(auditReader{s, ctx, view})
	if tampered := new(audit.Tampered); errors.As(err, &tampered) {
		return s.explain(what, err) // which database it is, where there is more than one
	}
	return err
}

// auditReader fulfils audit.Reader.
type auditReader struct {
	store *Store
	ctx   context.Context
	from  querier
}

func (r auditReader) Entries(from int64, limit int) ([]audit.Stored, error) {
	var entries []audit.Stored
	err := r.store.ask(r.ctx, r.from, "reading the audit log", func(row *sql.Rows) error {
		var entry audit.Stored
		err := row.Scan(&entry.Index, &entry.Data)
		entries = append(entries, entry)
		return err
	}, "SELECT n, entry FROM audit_entries WHERE n >= ? ORDER BY n LIMIT ?", from, max(limit, 0))
	return entries, err
}

// ReadHashes reads a run of indexes, which is what Verify asks for, with one query.
func (r auditReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	stored := map[int64][]byte{}
	for rest := indexes; len(rest) > 0; {
		run := 1
		for run < len(rest) && rest[run] == rest[0]+int64(run) {
			run++
		}
		err := r.store.ask(r.ctx, r.from, "reading the audit log", func(row *sql.Rows) error {
			var index int64
			var hash []byte
			err := row.Scan(&index, &hash)
			stored[index] = hash
			return err
		}, "SELECT n, hash FROM audit_hashes WHERE n BETWEEN ? AND ?", rest[0], rest[run-1])
		if err != nil {
			return nil, err
		}
		rest = rest[run:]
	}
	return readHashes(indexes, func(index int64) ([]byte, error) { return stored[index], nil })
}

func (r auditReader) Head() (signed []byte, err error) {
	err = r.store.ask(r.ctx, r.from, "reading the audit log", func(row *sql.Rows) error {
		return row.Scan(&signed)
	}, "SELECT signed FROM audit_head")
	return signed, err
}

// readHashes collects hashes of which each gives one, nothing where it is not stored.
func readHashes(indexes []int64, each func(index int64) ([]byte, error)) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		stored, err := each(index)
		if err != nil {
			return nil, err
		}
		if len(stored) != tlog.HashSize {
			return nil, fmt.Errorf("%w: number %d has %d bytes", audit.ErrMissing, index, len(stored))
		}
		copy(hashes[i][:], stored)
	}
	return hashes, nil
}

// auditTx fulfils audit.Tx inside the writer's transaction.
type auditTx struct {
	*writer
	seen map[int64]tlog.Hash // what this transaction has written, so that it need not read it back
}

func newAuditTx(w *writer) *auditTx { return &auditTx{w, map[int64]tlog.Hash{}} }

func (t *auditTx) Size() (int64, error) {
	var signed []byte
	err := t.row("SELECT signed FROM audit_head").Scan(&signed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	return audit.SizeOf(signed)
}

func (t *auditTx) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return readHashes(indexes, func(index int64) (hash []byte, err error) {
		if hash, known := t.seen[index]; known {
			return hash[:], nil
		}
		err = t.row("SELECT hash FROM audit_hashes WHERE n = ?", index).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return hash, err
	})
}

func (t *auditTx) Append(index int64, entry []byte, hashes []tlog.Hash) error {
	if err := t.exec("INSERT INTO audit_entries (n, entry) VALUES (?, ?)", index, entry); err != nil {
		return err
	}
	first := tlog.StoredHashCount(index)
	for i, hash := range hashes {
		if err := t.exec("INSERT INTO audit_hashes (n, hash) VALUES (?, ?)", first+int64(i), hash[:]); err != nil {
			return err
		}
		t.seen[first+int64(i)] = hash
	}
	return nil
}

func (t *auditTx) PutHead(signed []byte) error {
	return t.exec("INSERT OR REPLACE INTO audit_head (only, signed) VALUES (1, ?)", signed)
}
