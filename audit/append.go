package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Encode gives the bytes of an entry that are hashed and stored: JSON without white space, keys in the order of
// jenner.AuditEntry, the time in UTC. It fails where Data is not JSON, the kind is empty or the time has a year after
// 9999.
func Encode(entry jenner.AuditEntry) ([]byte, error) {
	if entry.Kind == "" {
		return nil, errors.New("an audit entry has no kind; say what happened, such as decision or result")
	}
	entry.At = entry.At.UTC()
	encoded, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("audit entry %s of %s cannot be written as JSON: %w", entry.Kind, entry.Subject, err)
	}
	return encoded, nil
}

// Decode is the inverse of Encode.
func Decode(encoded []byte) (jenner.AuditEntry, error) {
	var entry jenner.AuditEntry
	if err := json.Unmarshal(encoded, &entry); err != nil {
		return entry, fmt.Errorf("an audit entry is not the JSON that was written: %w; run `jenner audit verify`", err)
	}
	return entry, nil
}

// Append adds the entries in their order and signs one new head over all of them. Without entries it does nothing.
// Where it fails the caller must roll its transaction back. The head's time is that of the last entry.
func Append(tx Tx, signer *Signer, entries []jenner.AuditEntry) error {
	list := make([]Encoded, len(entries))
	for i, entry := range entries {
		body, err := Encode(entry)
		if err != nil {
			return err
		}
		list[i] = Encoded{entry.At, body}
	}
	return AppendEncoded(tx, signer, list)
}

// Encoded is an entry as Encode gives it, with its time.
type Encoded struct {
	At   time.Time
	Body []byte
}

// AppendEncoded is Append for entries that were encoded before.
func AppendEncoded(tx Tx, signer *Signer, entries []Encoded) error {
	if len(entries) == 0 {
		return nil
	}
	size, err := tx.Size()
	if err != nil {
		return fmt.Errorf("the size of the audit log: %w", err)
	}
	reader := tlog.HashReaderFunc(tx.ReadHashes)
	for _, entry := range entries {
		hashes, err := tlog.StoredHashes(size, entry.Body, reader)
		if err != nil {
			return fmt.Errorf("the hashes of audit entry %d: %w", size, err)
		}
		if err := tx.Append(size, entry.Body, hashes); err != nil {
			return fmt.Errorf("audit entry %d: %w", size, err)
		}
		size++
	}
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return fmt.Errorf("the head of the audit log: %w", err)
	}
	signed, err := sign(signer, tlog.Tree{N: size, Hash: root}, entries[len(entries)-1].At)
	if err != nil {
		return err
	}
	return tx.PutHead(signed)
}

// timeLine begins the line of a head that says its time; tlog.ParseTree passes over lines it does not know.
const timeLine = "time "

func sign(signer *Signer, tree tlog.Tree, at time.Time) ([]byte, error) {
	text := string(tlog.FormatTree(tree)) + timeLine + at.UTC().Format(time.RFC3339Nano) + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer.key)
	if err != nil {
		return nil, fmt.Errorf("the head of the audit log cannot be signed: %w", err)
	}
	return signed, nil
}

// Head is what a signed head says.
type Head struct {
	tlog.Tree           // N entries, and the hash over them
	Signed    time.Time // the time of the last entry under it
}

// OpenHead checks the signature of a head and reads it. The error is a *Tampered.
func OpenHead(signed []byte, verifier note.Verifier) (Head, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Head{}, &Tampered{-1, -1, fmt.Sprintf("its head has no valid signature of key %s+%08x (%v)",
			verifier.Name(), verifier.KeyHash(), err)}
	}
	tree, err := tlog.ParseTree([]byte(opened.Text))
	if err != nil {
		return Head{}, &Tampered{-1, -1, fmt.Sprintf("what is signed is not a head: %v", err)}
	}
	head := Head{Tree: tree}
	for line := range strings.Lines(opened.Text) {
		written, is := strings.CutPrefix(line, timeLine)
		if !is {
			continue
		}
		if head.Signed, err = time.Parse(time.RFC3339Nano, strings.TrimSuffix(written, "\n")); err != nil {
			return Head{}, &Tampered{-1, -1, fmt.Sprintf("its head has a broken time: %v", err)}
		}
	}
	return head, nil
}

// SizeOf reads how many entries a signed head covers, without checking its signature: it is for Tx.Size. A log without
// a head has none.
func SizeOf(signed []byte) (int64, error) {
	tree, err := unverified(signed)
	return tree.N, err
}

// mostEntries bounds what an unsigned size is believed: beyond 1<<61 the numbers of tlog's hashes overflow, and it
// calculates for ever. A thousand entries a second fill this in thirty years.
const mostEntries = 1 << 40

// unverified reads a head without asking who signed it.
func unverified(signed []byte) (tlog.Tree, error) {
	if len(signed) == 0 {
		return tlog.Tree{}, nil
	}
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	tree, err := tlog.ParseTree(append(bytes.Clone(text), '\n'))
	if err != nil {
		return tree, &Tampered{-1, -1, fmt.Sprintf("its head is broken: %v", err)}
	}
	if tree.N > mostEntries {
		return tlog.Tree{}, &Tampered{-1, -1, fmt.Sprintf("its head is broken: it covers %d entries, more than any log has", tree.N)}
	}
	return tree, nil
}
