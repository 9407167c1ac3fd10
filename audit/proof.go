package audit

import (
	"fmt"

	"github.com/jenner-heal/jenner"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that one entry is in the log that a signed head covers. It is plain JSON, to be handed to somebody who
// has neither the database nor trust in its owner, only the public key.
type Proof struct {
	Index int64            `json:"index"`
	Entry string           `json:"entry"` // the bytes that were hashed, which are JSON themselves
	Head  string           `json:"head"`  // signed
	Path  tlog.RecordProof `json:"path"`  // from the entry up to the head
}

// Prove makes the proof of the entry with that index, against the present head. The error wraps jenner.ErrNotFound
// where there is no such entry, and is a *Tampered where the stored hashes do not lead to the head.
func Prove(r Reader, index int64) (Proof, error) {
	signed, err := r.Head()
	if err != nil {
		return Proof{}, fmt.Errorf("the head of the audit log: %w", err)
	}
	tree, err := unverified(signed)
	if err != nil {
		return Proof{}, err
	}
	if index < 0 || index >= tree.N {
		return Proof{}, fmt.Errorf("audit entry %d: %w; the log has %d entries, the first is number 0",
			index, jenner.ErrNotFound, tree.N)
	}
	entries, err := r.Entries(index, 1)
	if err != nil {
		return Proof{}, fmt.Errorf("audit entry %d: %w", index, err)
	}
	if len(entries) == 0 || entries[0].Index != index {
		return Proof{}, &Tampered{index, index, "was removed"}
	}
	path, err := tlog.ProveRecord(tree.N, index, tlog.HashReaderFunc(r.ReadHashes))
	if err != nil {
		return Proof{}, fmt.Errorf("the proof of audit entry %d: %w", index, err)
	}
	proof := Proof{Index: index, Entry: string(entries[0].Data), Head: string(signed), Path: path}
	return proof, proof.follow(tree)
}

// CheckProof checks a proof with nothing but the public key, as audit.pub holds it. No error means: whoever holds the
// private key has signed a log that has this entry at this index.
func CheckProof(proof Proof, pub string) error {
	verifier, err := ParsePublic(pub)
	if err != nil {
		return err
	}
	head, err := OpenHead([]byte(proof.Head), verifier)
	if err != nil {
		return fmt.Errorf("the proof of entry %d does not hold: %w", proof.Index, err)
	}
	return proof.follow(head.Tree)
}

// follow walks from the entry to the head's hash.
func (p Proof) follow(tree tlog.Tree) error {
	if err := tlog.CheckRecord(p.Path, tree.N, tree.Hash, p.Index, tlog.RecordHash([]byte(p.Entry))); err != nil {
		return &Tampered{p.Index, p.Index, "does not lead to the signed head: " + err.Error()}
	}
	return nil
}
