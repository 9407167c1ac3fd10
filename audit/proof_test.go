package audit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
)

func TestProofHoldsOfflineForEveryEntry(t *testing.T) {
	signer := newSigner(t)
	for _, size := range []int{1, 2, 5, 8, 33} {
		m := logOf(t, signer, size)
		for index := range int64(size) {
			proof, err := audit.Prove(m, index)
			if err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
			var carried audit.Proof // as somebody else gets it
			if err := json.Unmarshal(jenner.Raw(proof), &carried); err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckProof(carried, signer.Public()+"\n"); err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
		}
	}
}

func TestProofOfSomethingElseDoesNotHold(t *testing.T) {
	signer := newSigner(t)
	m := logOf(t, signer, 9)
	good, err := audit.Prove(m, 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(*audit.Proof){
		"another entry":    func(p *audit.Proof) { p.Entry = strings.Replace(p.Entry, "jenner", "nobody", 1) },
		"another index":    func(p *audit.Proof) { p.Index = 5 },
		"an index too far": func(p *audit.Proof) { p.Index = 9 },
		"a negative index": func(p *audit.Proof) { p.Index = -1 },
		"a shorter path":   func(p *audit.Proof) { p.Path = p.Path[:len(p.Path)-1] },
		"a changed path":   func(p *audit.Proof) { p.Path[1][0] ^= 1 },
		"a changed head":   func(p *audit.Proof) { p.Head = strings.Replace(p.Head, "\n9\n", "\n8\n", 1) },
		"no head":          func(p *audit.Proof) { p.Head = "" },
	} {
		var forged audit.Proof
		if err := json.Unmarshal(jenner.Raw(good), &forged); err != nil {
			t.Fatal(err)
		}
		forge(&forged)
		if err := audit.CheckProof(forged, signer.Public()); err == nil {
			t.Errorf("%s: the proof still holds", name)
		}
	}
	if err := audit.CheckProof(good, newSigner(t).Public()); err == nil {
		t.Error("the proof holds with somebody else's key")
	}
	if err := audit.CheckProof(good, "not a key"); err == nil || !strings.Contains(err.Error(), audit.PublicFile) {
		t.Errorf("a broken public key: %v", err)
	}
}

func TestProveSaysWhatIsWrong(t *testing.T) {
	signer := newSigner(t)
	for _, index := range []int64{-1, 3} {
		if _, err := audit.Prove(logOf(t, signer, 3), index); !errors.Is(err, jenner.ErrNotFound) {
			t.Errorf("entry %d of 3: %v", index, err)
		}
	}
	if _, err := audit.Prove(newMemory(), 0); !errors.Is(err, jenner.ErrNotFound) {
		t.Errorf("entry 0 of none: %v", err)
	}
	var found *audit.Tampered
	m := logOf(t, signer, 3)
	m.change(1)
	if _, err := audit.Prove(m, 1); !errors.As(err, &found) {
		t.Errorf("a changed entry was proved: %v", err)
	}
	delete(m.entries, 1)
	if _, err := audit.Prove(m, 1); !errors.As(err, &found) {
		t.Errorf("a removed entry was proved: %v", err)
	}
}
