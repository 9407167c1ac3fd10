package audit

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify found to be in order.
type Report struct {
	Entries int64     `json:"entries"`
	Head    string    `json:"head"`            // the signed head as it is stored; empty for a log without entries
	Hash    tlog.Hash `json:"hash"`            // the hash over all entries
	Signed  time.Time `json:"signed,omitzero"` // the time of the last entry under the head
}

// page is how many entries Verify holds in memory at a time.
const page = 1000

// Verify recomputes every leaf and the whole tree from the stored entries, and compares them with the stored hashes and
// with the signed head. Where something does not fit the error is a *Tampered that names the first entry, or the few
// among which it is; other errors mean that the log could not be read. Memory does not grow with the log.
//
// A log without entries and without a head is in order: nothing tells an emptied log from a new one.
func Verify(r Reader, verifier note.Verifier) (Report, error) {
	signed, err := r.Head()
	if err != nil {
		return Report{}, fmt.Errorf("the head of the audit log: %w", err)
	}
	var head Head
	if len(signed) > 0 {
		if head, err = OpenHead(signed, verifier); err != nil {
			return Report{}, err
		}
	}
	var rebuilt frontier
	for index := int64(0); index < head.N; index += page {
		if err := verifyPage(r, &rebuilt, index, min(index+page, head.N)); err != nil {
			return Report{}, err
		}
	}
	extra, err := r.Entries(head.N, 1)
	if err != nil {
		return Report{}, fmt.Errorf("the end of the audit log: %w", err)
	}
	if len(extra) > 0 {
		return Report{}, &Tampered{extra[0].Index, extra[0].Index, fmt.Sprintf("was added without a signature: the signed head covers %d entries", head.N)}
	}
	report := Report{Entries: head.N, Head: string(signed), Signed: head.Signed}
	if report.Hash, err = tlog.TreeHash(head.N, &rebuilt); err != nil {
		return Report{}, fmt.Errorf("the hash of the audit log: %w", err)
	}
	if head.N > 0 && report.Hash != head.Hash {
		return Report{}, &Tampered{0, head.N - 1, "do not have the hash that was signed, although their stored hashes fit them: both were changed"}
	}
	return report, nil
}

// verifyPage checks the entries from first to before end, and puts them into rebuilt.
func verifyPage(r Reader, rebuilt *frontier, first, end int64) error {
	entries, err := r.Entries(first, int(end-first))
	if err != nil {
		return fmt.Errorf("audit entries from %d on: %w", first, err)
	}
	stored, err := storedHashes(r, first, end)
	if err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	for index := first; index < end; index++ {
		if len(entries) == 0 || entries[0].Index != index {
			return &Tampered{index, index, "was removed"}
		}
		mine := stored
		if stored == nil { // one of the page's is missing; this finds out whose
			if mine, err = storedHashes(r, index, index+1); errors.Is(err, ErrMissing) {
				return &Tampered{index, index, "has lost a stored hash: " + err.Error()}
			} else if err != nil {
				return err
			}
		}
		used, err := verifyEntry(rebuilt, entries[0], mine)
		if err != nil {
			return err
		}
		entries = entries[1:]
		if stored != nil {
			stored = stored[used:]
		}
	}
	return nil
}

// storedHashes are the hashes that were stored with the entries from first to before end; they lie in one row.
func storedHashes(r Reader, first, end int64) ([]tlog.Hash, error) {
	from, to := tlog.StoredHashCount(first), tlog.StoredHashCount(end)
	indexes := make([]int64, 0, to-from)
	for index := from; index < to; index++ {
		indexes = append(indexes, index)
	}
	stored, err := r.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("the stored hashes of the audit entries from %d on: %w", first, err)
	}
	return stored, nil
}

// verifyEntry compares an entry's hashes with the stored ones, of which stored begins with its own, and says how many
// they are.
func verifyEntry(rebuilt *frontier, entry Stored, stored []tlog.Hash) (used int, err error) {
	hashes, err := tlog.StoredHashes(entry.Index, entry.Data, rebuilt)
	if err != nil {
		return 0, fmt.Errorf("the hashes of audit entry %d: %w", entry.Index, err)
	}
	for level := range hashes {
		if hashes[level] == stored[level] {
			continue
		}
		if level == 0 {
			return 0, &Tampered{entry.Index, entry.Index, "was changed: it does not have the hash that was stored with it"}
		}
		// The leaves fit their own hashes, yet the node over them does not: one of them was changed together with its hash.
		first := entry.Index >> level << level
		return 0, &Tampered{first, entry.Index, "were changed: the hash over them is not the stored one"}
	}
	rebuilt.add(entry.Index, hashes)
	return len(hashes), nil
}

// frontier holds the hashes on the right edge of a growing tree, by level: all that the next entries need.
type frontier struct {
	index []int64
	hash  []tlog.Hash
}

// add takes what one new entry completed: a hash at each level, of which the highest covers all the lower ones.
func (f *frontier) add(entry int64, hashes []tlog.Hash) {
	top := len(hashes) - 1
	if top == len(f.hash) {
		f.index, f.hash = append(f.index, 0), append(f.hash, tlog.Hash{})
	}
	for level := range top {
		f.index[level] = -1
	}
	f.index[top], f.hash[top] = tlog.StoredHashIndex(top, entry>>top), hashes[top]
}

// ReadHashes fulfils tlog.HashReader.
func (f *frontier) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		level, _ := tlog.SplitStoredHashIndex(index)
		if level >= len(f.index) || f.index[level] != index {
			return nil, fmt.Errorf("%w: number %d", ErrMissing, index)
		}
		hashes = append(hashes, f.hash[level])
	}
	return hashes, nil
}
