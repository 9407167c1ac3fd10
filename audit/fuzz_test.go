package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// fixedSigner has the same key in every process, so that what one has signed is a seed for the others.
func fixedSigner(f *testing.F) *audit.Signer {
	f.Helper()
	secret, _, err := note.GenerateKey(strings.NewReader(strings.Repeat("a fixed seed of Ed25519, 32 bytes", 4)), "jenner")
	dir := f.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, audit.KeyFile), []byte(secret), 0o600)
	}
	if err != nil {
		f.Fatal(err)
	}
	signer, err := audit.OpenSigner(dir, "jenner")
	if err != nil {
		f.Fatal(err)
	}
	return signer
}

// FuzzCheckProof: any bytes are no proof, but those of an entry that stands at that index of the signed log.
func FuzzCheckProof(f *testing.F) {
	signer := fixedSigner(f)
	const size = 5
	whole := logOf(f, signer, size)
	signed := map[string]bool{}
	for n := 1; n <= size; n++ {
		m := logOf(f, signer, n)
		text, _, _ := strings.Cut(string(m.head), "\n\n")
		signed[text] = true
		for index := range int64(n) {
			proof, err := audit.Prove(m, index)
			if err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(jenner.Raw(proof)))
			proof.Path = append(proof.Path, tlog.Hash{})
			f.Add([]byte(jenner.Raw(proof)))
			proof.Index = -proof.Index
			f.Add([]byte(jenner.Raw(proof)))
		}
		// The log of three entries is signed once within a call of two and never alone; its head covers more.
	}
	head := string(jenner.Raw(string(whole.head)))
	for _, raw := range []string{``, `null`, `{}`, `{"index":0,"entry":"","head":"","path":[]}`, `{"index":9223372036854775807,"entry":"x","head":` + head + `,"path":null}`,
		`{"index":0,"index":1,"head":` + head + `}`, `{"path":["AAAA"]}`, `{"path":["` + strings.Repeat("A", 43) + `="]}`, "\xff", `{"entry":"` + strings.Repeat("x", 9000) + `"}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var proof audit.Proof
		if json.Unmarshal(raw, &proof) != nil {
			return
		}
		err := audit.CheckProof(proof, signer.Public())
		text, _, _ := strings.Cut(proof.Head, "\n\n")
		right := proof.Index >= 0 && proof.Index < size && proof.Entry == string(whole.entries[proof.Index]) && signed[text]
		var found *audit.Tampered
		switch {
		case err == nil && !right:
			t.Fatalf("it is taken for a proof: %q", raw)
		case err != nil && !errors.As(err, &found):
			t.Errorf("the error is no *Tampered: %v", err)
		}
	})
}

// FuzzVerify: a log whose head, or one of whose entries or hashes, is any bytes is in order only if they are the ones
// that were written. Nothing can be appended to a log whose head is broken, and nothing panics.
func FuzzVerify(f *testing.F) {
	signer := fixedSigner(f)
	const size = 5
	whole := logOf(f, signer, size)
	for n := range size + 1 {
		m := logOf(f, signer, n)
		f.Add(m.head, uint8(n), m.entries[int64(n)-1], []byte(nil))
		f.Add(bytes.Replace(m.head, []byte("\n"), []byte("\nx"), 1), uint8(n), []byte("{}"), []byte("0123456789abcdef0123456789abcdef"))
	}
	for _, n := range []string{"-1", "0", "9223372036854775807", "4611686018427387904", "4611686018427387903", "99999999999999999999", "6", "05"} {
		forged := bytes.Replace(whole.head, []byte("\n5\n"), []byte("\n"+n+"\n"), 1)
		f.Add(forged, uint8(2), whole.entries[2], []byte(nil))
	}
	f.Add([]byte("go.sum database tree\n1\nAAAA\n\n"), uint8(0), []byte(nil), []byte(nil))
	f.Add([]byte(nil), uint8(0), []byte("\xff"), []byte("short"))
	f.Fuzz(func(t *testing.T, head []byte, index uint8, entry, hash []byte) {
		m := logOf(t, signer, size)
		at := int64(index % (size + 1))
		m.head = head
		if len(entry) > 0 {
			m.entries[at] = entry
		} else {
			delete(m.entries, at)
		}
		if len(hash) == tlog.HashSize {
			m.hashes[tlog.StoredHashIndex(0, at)] = tlog.Hash(hash)
		}
		same := bytes.Equal(m.entries[at], whole.entries[at]) && m.hashes[tlog.StoredHashIndex(0, at)] == whole.hashes[tlog.StoredHashIndex(0, at)]
		text, _, _ := bytes.Cut(head, []byte("\n\n"))
		sound, _, _ := bytes.Cut(whole.head, []byte("\n\n"))
		report, err := audit.Verify(m, signer.Verifier())
		if err == nil && (!same || !bytes.Equal(text, sound) || report.Entries != size) {
			t.Fatalf("it is taken for a log in order: %+v; entry %d is %q, the head %q", report, at, entry, head)
		}
		var found *audit.Tampered
		if err != nil && !errors.As(err, &found) {
			t.Errorf("the error is no *Tampered: %v", err)
		}
		provesOnly(t, m, signer, err == nil)
		n, err := audit.SizeOf(head)
		if err != nil && !errors.As(err, &found) || n < 0 {
			t.Errorf("the size is %d, %v", n, err)
		}
		if err := audit.Append(m, signer, []jenner.AuditEntry{entryNumber(size)}); err == nil && n == size && same {
			t.Logf("appended: the head is read without its signature, and a hash that is wrong shows when it is verified")
		}
	})
}

// provesOnly proves every entry of a log, and checks that what proves is also true.
func provesOnly(t *testing.T, m *memory, signer *audit.Signer, inOrder bool) {
	t.Helper()
	for index := range int64(6) {
		proof, err := audit.Prove(m, index)
		if inOrder && index < 5 && err != nil {
			t.Errorf("the log is in order and does not prove entry %d: %v", index, err)
		}
		if err == nil && proof.Entry != string(m.entries[index]) {
			t.Errorf("the proof of entry %d is about %q", index, proof.Entry)
		}
		if err == nil && audit.CheckProof(proof, signer.Public()) == nil && proof.Entry != string(jenner.Raw(entryNumber(int(index)))) {
			t.Errorf("entry %d was never written and is proved: %q", index, proof.Entry)
		}
	}
}

// FuzzEntry: any bytes are an error, or an entry that is written and read again as the same.
func FuzzEntry(f *testing.F) {
	written, err := audit.Encode(entryNumber(3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(written)
	f.Add(written[:len(written)-2])
	for _, raw := range []string{``, `null`, `{}`, `[]`, `{"kind":"x","at":"9999-12-31T23:59:59-01:00"}`, `{"kind":"x","at":"0000-01-01T00:00:00+01:00"}`, `{"kind":"x","data":{"a":1,"a":NaN}}`,
		`{"kind":"x","data":{"a":1,"a":-1e400}}`, `{"kind":"x","kind":"y","subject":"\ud800"}`, "{\"kind\":\"\xff\"}", `{"kind":"x","data": null }`, strings.Repeat("[", 20000)} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		entry, err := audit.Decode(raw)
		if err != nil {
			return
		}
		encoded, err := audit.Encode(entry)
		if err != nil {
			if utc := entry.At.UTC(); entry.Kind != "" && utc.Year() >= 0 && utc.Year() <= 9999 {
				t.Fatalf("%q is read and cannot be written: %v", raw, err)
			}
			return
		}
		again, err := audit.Decode(encoded)
		if err != nil || !again.At.Equal(entry.At) || again.At.Location() != time.UTC {
			t.Fatalf("written as %q and read as %+v (%v)", encoded, again, err)
		}
		if twice, err := audit.Encode(again); err != nil || !bytes.Equal(twice, encoded) {
			t.Errorf("written as %q and then as %q (%v)", encoded, twice, err)
		}
	})
}
