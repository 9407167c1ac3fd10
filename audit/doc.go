// Package audit is the tamper-evident log: an append-only Merkle tree of facts whose head is signed.
//
// It is for writing entries inside a transaction of the caller's, so that a fact and its entry are stored together or
// not at all; for verifying the whole log; and for proofs that one entry is in the log, which somebody else can check
// offline with nothing but the public key. The tree is RFC 6962's, by golang.org/x/mod/sumdb/tlog; heads are signed
// with Ed25519 by golang.org/x/mod/sumdb/note.
//
// It is not for storing anything (a store fulfils Tx and Reader), not for deciding what is worth an entry, and not for
// secrecy. Nor can it stop somebody who holds the private key from writing a new history, or somebody who puts an old
// copy of the whole database back: against both, keep a signed head or a proof in another place.
package audit

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Tx is what Append needs of the caller's transaction. It is used by one goroutine.
type Tx interface {
	// Size is how many entries the log holds by its last head; 0 for a new log.
	Size() (int64, error)
	// ReadHashes gives the stored hashes of those indexes, in the same order, among them those that were appended in
	// this transaction. It fails with ErrMissing where one is not stored.
	ReadHashes(indexes []int64) ([]tlog.Hash, error)
	// Append stores an entry's bytes, and its hashes from index tlog.StoredHashCount(index) on.
	Append(index int64, entry []byte, hashes []tlog.Hash) error
	// PutHead replaces the signed head. Size answers from it.
	PutHead(signed []byte) error
}

// Reader is what Verify and Prove need. All its answers must come from one snapshot of the log.
type Reader interface {
	// Entries gives up to limit stored entries with an index of at least from, in the order of their indexes.
	Entries(from int64, limit int) ([]Stored, error)
	// ReadHashes is Tx's.
	ReadHashes(indexes []int64) ([]tlog.Hash, error)
	// Head is the signed head, nil for a new log.
	Head() ([]byte, error)
}

// Stored is one entry as it is stored: Data are the bytes that were hashed.
type Stored struct {
	Index int64 // from 0
	Data  []byte
}

// ErrMissing is the cause when a hash that the tree needs is not stored.
var ErrMissing = errors.New("a hash of the audit log is not stored")

// Tampered is the error of a log that does not fit together. First and Last are the indexes of the entries that it is
// about, both included; -1 where it is about the head alone.
type Tampered struct {
	First, Last int64
	What        string
}

// Error names the entries and says what is wrong.
func (t *Tampered) Error() string {
	const advice = "; keep a copy of the data directory as it is, and compare it with a backup"
	switch {
	case t.First < 0:
		return "the audit log was tampered with: " + t.What + advice
	case t.First == t.Last:
		return fmt.Sprintf("the audit log was tampered with: entry %d %s%s", t.First, t.What, advice)
	}
	return fmt.Sprintf("the audit log was tampered with: entries %d to %d %s%s", t.First, t.Last, t.What, advice)
}
