package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// memory is a log in memory; it fulfils audit.Tx and audit.Reader.
type memory struct {
	entries map[int64][]byte
	hashes  map[int64]tlog.Hash
	head    []byte
}

func newMemory() *memory { return &memory{map[int64][]byte{}, map[int64]tlog.Hash{}, nil} }

func (m *memory) Size() (int64, error)        { return audit.SizeOf(m.head) }
func (m *memory) Head() ([]byte, error)       { return m.head, nil }
func (m *memory) PutHead(signed []byte) error { m.head = signed; return nil }
func (m *memory) swap(i, j int64)             { m.entries[i], m.entries[j] = m.entries[j], m.entries[i] }
func (m *memory) rehash(i int64) {
	m.hashes[tlog.StoredHashIndex(0, i)] = tlog.RecordHash(m.entries[i])
}
func (m *memory) change(i int64) {
	m.entries[i] = bytes.Replace(m.entries[i], []byte("jenner"), []byte("nobody"), 1)
}
func (m *memory) changeHead(old, new string) {
	m.head = bytes.Replace(m.head, []byte(old), []byte(new), 1)
}
func (m *memory) verify(s *audit.Signer) error  { _, err := audit.Verify(m, s.Verifier()); return err }
func (m *memory) add(i int64, entry string)     { m.entries[i] = []byte(entry) }
func (m *memory) removeHash(level int, n int64) { delete(m.hashes, tlog.StoredHashIndex(level, n)) }

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		hash, stored := m.hashes[index]
		if !stored {
			return nil, fmt.Errorf("%w: number %d", audit.ErrMissing, index)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

func (m *memory) Append(index int64, entry []byte, hashes []tlog.Hash) error {
	if _, taken := m.entries[index]; taken {
		return fmt.Errorf("entry %d is there already", index)
	}
	m.entries[index] = entry
	for i, hash := range hashes {
		m.hashes[tlog.StoredHashCount(index)+int64(i)] = hash
	}
	return nil
}

func (m *memory) Entries(from int64, limit int) ([]audit.Stored, error) {
	var last int64 = -1
	for index := range m.entries {
		last = max(last, index)
	}
	var found []audit.Stored
	for index := from; index <= last && len(found) < limit; index++ {
		if entry, stored := m.entries[index]; stored {
			found = append(found, audit.Stored{Index: index, Data: entry})
		}
	}
	return found, nil
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)

func entryNumber(i int) jenner.AuditEntry {
	return jenner.AuditEntry{At: start.Add(time.Duration(i) * time.Second), Kind: "decision", Subject: fmt.Sprintf("incident-%d", i),
		Actor: "jenner", Data: jenner.Raw(map[string]int{"number": i})}
}

func newSigner(t testing.TB) *audit.Signer {
	t.Helper()
	signer, err := audit.OpenSigner(t.TempDir(), "jenner")
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// logOf makes a log of so many entries, appended in calls of one, two and three.
func logOf(t interface{ Fatal(...any) }, signer *audit.Signer, size int) *memory {
	m := newMemory()
	for next, call := 0, 1; next < size; call = call%3 + 1 {
		var entries []jenner.AuditEntry
		for range min(call, size-next) {
			entries = append(entries, entryNumber(next))
			next++
		}
		if err := audit.Append(m, signer, entries); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestVerifyAcceptsWhatAppendWrote(t *testing.T) {
	signer := newSigner(t)
	for _, size := range []int{0, 1, 2, 3, 7, 8, 9, 1000, 1001, 2050} {
		report, err := audit.Verify(logOf(t, signer, size), signer.Verifier())
		if err != nil {
			t.Fatalf("a log of %d entries: %v", size, err)
		}
		if report.Entries != int64(size) {
			t.Errorf("a log of %d entries was verified as one of %d", size, report.Entries)
		}
		if size > 0 && !report.Signed.Equal(entryNumber(size-1).At) {
			t.Errorf("the head of %d entries is from %s, its last entry from %s", size, report.Signed, entryNumber(size-1).At)
		}
	}
}

func TestAppendOfNothingSignsNothing(t *testing.T) {
	m := newMemory()
	if err := audit.Append(m, newSigner(t), nil); err != nil || m.head != nil {
		t.Fatalf("appending nothing: head %q, error %v", m.head, err)
	}
}

func TestEntriesAreStoredAsHashedAndComeBack(t *testing.T) {
	signer := newSigner(t)
	m := newMemory()
	entry := jenner.AuditEntry{At: start.In(time.FixedZone("east", 3600)), Kind: "hold.set", Subject: "all", Actor: "anna",
		Data: json.RawMessage(" { \"why\" : \"<b>\" } ")}
	if err := audit.Append(m, signer, []jenner.AuditEntry{entry}); err != nil {
		t.Fatal(err)
	}
	const want = `{"at":"2026-03-04T05:06:07.000000008Z","kind":"hold.set","subject":"all","actor":"anna","data":{"why":"\u003cb\u003e"}}`
	if string(m.entries[0]) != want {
		t.Errorf("stored  %s\nwanted  %s", m.entries[0], want)
	}
	if m.hashes[0] != tlog.RecordHash([]byte(want)) {
		t.Error("the stored bytes are not the hashed ones")
	}
	back, err := audit.Decode(m.entries[0])
	if err != nil || !back.At.Equal(entry.At) || back.Actor != "anna" {
		t.Errorf("decoded %+v, error %v", back, err)
	}
}

func TestAppendRefusesWhatCannotBeWritten(t *testing.T) {
	signer := newSigner(t)
	for name, entry := range map[string]jenner.AuditEntry{
		"no kind":      {At: start, Subject: "all"},
		"not JSON":     {At: start, Kind: "note", Data: json.RawMessage("{")},
		"a year 10000": {At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Kind: "note"},
	} {
		m := newMemory()
		if err := audit.Append(m, signer, []jenner.AuditEntry{entry}); err == nil || m.head != nil {
			t.Errorf("%s: error %v, head %q", name, err, m.head)
		}
	}
}

// TestTampering changes a log of eleven entries in one way each and looks which entries the error names.
func TestTampering(t *testing.T) {
	signer := newSigner(t)
	old := logOf(t, signer, 10)
	for _, c := range []struct {
		name        string
		tamper      func(*memory)
		first, last int64
		says        string
	}{
		{"one byte of an entry", func(m *memory) { m.change(4) }, 4, 4, "was changed"},
		{"the first entry", func(m *memory) { m.change(0) }, 0, 0, "was changed"},
		{"the last entry", func(m *memory) { m.change(10) }, 10, 10, "was changed"},
		{"two entries changed", func(m *memory) { m.change(9); m.change(6) }, 6, 6, "was changed"},
		{"two entries swapped", func(m *memory) { m.swap(3, 8) }, 3, 3, "was changed"},
		{"an entry removed", func(m *memory) { delete(m.entries, 5) }, 5, 5, "was removed"},
		{"the last entry removed", func(m *memory) { delete(m.entries, 10) }, 10, 10, "was removed"},
		{"an entry added", func(m *memory) { m.add(11, "{}") }, 11, 11, "was added"},
		{"an entry added before the first", func(m *memory) { m.head = nil }, 0, 0, "was added"},
		{"an entry and its hash", func(m *memory) { m.change(5); m.rehash(5) }, 4, 5, "were changed"},
		{"the last entry and its hash", func(m *memory) { m.change(10); m.rehash(10) }, 0, 10, "the hash that was signed"},
		{"a hash removed", func(m *memory) { m.removeHash(0, 7) }, 7, 7, "lost a stored hash"},
		{"a hash over two removed", func(m *memory) { m.removeHash(1, 1) }, 3, 3, "lost a stored hash"},
		{"an older head put back", func(m *memory) { m.head = old.head }, 10, 10, "was added"},
		{"the size in the head", func(m *memory) { m.changeHead("\n11\n", "\n10\n") }, -1, -1, "no valid signature"},
		{"the time in the head", func(m *memory) { m.changeHead("time 2026", "time 2025") }, -1, -1, "no valid signature"},
		{"a head signed by somebody else", func(m *memory) { m.head = logOf(t, newSigner(t), 11).head }, -1, -1, "no valid signature"},
		{"the entries of another log", func(m *memory) {
			other := logOf(t, newSigner(t), 0)
			changed := entryNumber(0)
			for i := range 11 {
				changed.Subject = fmt.Sprint("another ", i)
				if err := audit.Append(other, signer, []jenner.AuditEntry{changed}); err != nil {
					t.Fatal(err)
				}
			}
			m.entries, m.hashes = other.entries, other.hashes
		}, 0, 10, "the hash that was signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := logOf(t, signer, 11)
			c.tamper(m)
			err := m.verify(signer)
			var found *audit.Tampered
			if !errors.As(err, &found) {
				t.Fatalf("it was not found; the error is %v", err)
			}
			if found.First != c.first || found.Last != c.last || !strings.Contains(err.Error(), c.says) {
				t.Errorf("found entries %d to %d and not %d to %d, or does not say %q: %v", found.First, found.Last, c.first, c.last, c.says, err)
			}
		})
	}
}

// TestAnyTamperingIsFound is the rule behind the table: whatever is changed in a log of any size, it is found, and a
// changed entry is among those that are named.
func TestAnyTamperingIsFound(t *testing.T) {
	signer := newSigner(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 70).Draw(t, "size")
		m := logOf(t, signer, size)
		victim := int64(rapid.IntRange(0, size-1).Draw(t, "victim"))
		how := rapid.SampledFrom([]string{"bit", "bit and hash", "remove", "hash", "hash removed", "head"}).Draw(t, "how")
		switch how {
		case "bit", "bit and hash":
			entry := bytes.Clone(m.entries[victim])
			entry[rapid.IntRange(0, len(entry)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			m.entries[victim] = entry
			if how == "bit and hash" {
				m.rehash(victim)
			}
		case "remove":
			delete(m.entries, victim)
		case "hash":
			at := tlog.StoredHashCount(victim)
			hash := m.hashes[at]
			hash[rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
			m.hashes[at] = hash
		case "hash removed":
			delete(m.hashes, tlog.StoredHashCount(victim))
		case "head":
			text := bytes.Index(m.head, []byte("\n\n"))
			m.head = bytes.Clone(m.head)
			m.head[rapid.IntRange(0, text).Draw(t, "byte")] ^= 1
		}
		var found *audit.Tampered
		if err := m.verify(signer); !errors.As(err, &found) {
			t.Fatalf("%s of entry %d of %d was not found; the error is %v", how, victim, size, err)
		}
		if how != "head" && (victim < found.First || victim > found.Last) {
			t.Fatalf("%s of entry %d of %d was found as %d to %d", how, victim, size, found.First, found.Last)
		}
	})
}
