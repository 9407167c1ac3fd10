package audit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jenner-heal/jenner/audit"
)

func TestSignerIsMadeOnceAndReadAgain(t *testing.T) {
	dir := t.TempDir()
	first, err := audit.OpenSigner(dir, "jenner")
	if err != nil {
		t.Fatal(err)
	}
	again, err := audit.OpenSigner(dir, "jenner")
	if err != nil || again.Public() != first.Public() {
		t.Fatalf("the second time the key is %s (%v), the first time %s", again.Public(), err, first.Public())
	}
	public, err := audit.ReadPublic(dir)
	if err != nil || public.KeyHash() != first.Verifier().KeyHash() {
		t.Errorf("audit.pub holds another key, or none: %v", err)
	}
	for file, mode := range map[string]fs.FileMode{audit.KeyFile: 0o600, audit.PublicFile: 0o644} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, error %v", file, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("drafts were left behind: %v", left)
	}
}

func TestSignerMadeByManyAtOnceIsOneKey(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	publics := make([]string, 8)
	for i := range publics {
		all.Go(func() {
			signer, err := audit.OpenSigner(dir, "jenner")
			if err != nil {
				t.Error(err)
				return
			}
			publics[i] = signer.Public()
		})
	}
	all.Wait()
	for _, public := range publics {
		if public != publics[0] {
			t.Fatalf("two keys were made: %s and %s", public, publics[0])
		}
	}
}

func TestBrokenKeysAreErrorsAndNeverNewKeys(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, key, public string)
		says  string
	}{
		"empty key":      {func(t *testing.T, key, _ string) { write(t, key, "\n") }, "is empty"},
		"cut key":        {func(t *testing.T, key, _ string) { write(t, key, "PRIVATE+KEY+jenner+12") }, "is broken"},
		"lost key":       {func(t *testing.T, key, _ string) { remove(t, key) }, "is missing although"},
		"other public":   {func(t *testing.T, _, public string) { write(t, public, newSigner(t).Public()) }, "does not belong"},
		"key is a place": {func(t *testing.T, key, _ string) { remove(t, key); mkdir(t, key) }, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := audit.OpenSigner(dir, "jenner"); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, filepath.Join(dir, audit.KeyFile), filepath.Join(dir, audit.PublicFile))
			_, err := audit.OpenSigner(dir, "jenner")
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
				t.Errorf("wanted an error that names the file and says %q; it is %v", c.says, err)
			}
		})
	}
}

func TestLostPublicKeyIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	first, err := audit.OpenSigner(dir, "jenner")
	if err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(dir, audit.PublicFile))
	if _, err := audit.ReadPublic(dir); err == nil {
		t.Error("a public key was read that is not there")
	}
	if _, err := audit.OpenSigner(dir, "jenner"); err != nil {
		t.Fatal(err)
	}
	if public, err := audit.ReadPublic(dir); err != nil || public.KeyHash() != first.Verifier().KeyHash() {
		t.Errorf("the public key is another one, or none: %v", err)
	}
}

func TestSignerNeedsAName(t *testing.T) {
	for _, name := range []string{"", "two words", "a+b"} {
		dir := t.TempDir()
		if _, err := audit.OpenSigner(dir, name); err == nil {
			t.Errorf("the name %q was taken", name)
		}
		if _, err := os.Stat(filepath.Join(dir, audit.KeyFile)); err == nil {
			t.Errorf("the name %q left a key behind", name)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
