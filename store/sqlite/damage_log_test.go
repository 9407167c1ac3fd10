package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// killed is a data directory as a killed process leaves it, with changes that are only in the write-ahead log, and what
// it holds.
func killed(t *testing.T) (dir string, right map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	command, out := startChild(t, jobFill, dir, "")
	if !out.Scan() || out.Text() != "filled <nil>" {
		t.Fatalf("the child said %q", out.Text())
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it was killed
	store := open(t, copied(t, dir), sqlite.Options{Lock: true})
	right, errs := everythingIn(store)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return dir, right
}

// TestDamagedLogIsNeverSilentlyWrong: SQLite takes a broken part of its write-ahead log for the end of the log, and would go on
// without whatever was acknowledged after it.
func TestDamagedLogIsNeverSilentlyWrong(t *testing.T) {
	dir, right := killed(t)
	const log, index = sqlite.FileName + "-wal", sqlite.FileName + "-shm"
	info, err := os.Stat(filepath.Join(dir, log))
	if err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(3, 4))
	flip := func(part []byte) { part[0] ^= 1 << chance.IntN(8) }
	anywhere := func(name string, size int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) { spoil(t, filepath.Join(dir, name), chance.Int64N(size), flip, 1) }
	}
	cut := func(size int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, log), size); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	type damage struct {
		what    string
		do      func(t *testing.T, dir string)
		refused bool // it must be; otherwise it may
	}
	damages := []damage{{"the log is gone", remove(log), true}, {"the index is gone", remove(index), false},
		{"the log is empty", cut(0), true}, {"the log is cut", cut(20_000), true}, {"the log is its header", cut(32), true}}
	for range 8 {
		damages = append(damages, damage{"a bit of the log", anywhere(log, info.Size()), false})
	}
	for range 3 {
		damages = append(damages, damage{"a bit of the log's header", anywhere(log, 32), true},
			damage{"a bit of the log's beginning", anywhere(log, 20_000), true}, damage{"a bit of the index", anywhere(index, 32768), false},
			damage{"a bit of the log, and no index", func(t *testing.T, dir string) {
				remove(index)(t, dir)
				anywhere(log, 20_000)(t, dir)
			}, true})
	}
	refusals := 0
	for i, c := range damages {
		spoilt := copied(t, dir)
		c.do(t, spoilt)
		refused := wantNeverWrong(t, fmt.Sprintf("damage %d: %s", i, c.what), spoilt, right)
		if c.refused && !refused {
			t.Errorf("damage %d: %s: it was not noticed", i, c.what)
		}
		if refused {
			refusals++
			wantToReadRefused(t, c.what, spoilt)
		}
	}
	t.Logf("%d of %d damages were refused", refusals, len(damages))
}

// wantToReadRefused: who only reads would see the same old state.
func wantToReadRefused(t *testing.T, what, dir string) {
	t.Helper()
	store, err := sqlite.Open(dir, sqlite.Options{ReadOnly: true})
	if err == nil {
		t.Errorf("%s: it was opened to read: %v", what, store.Close())
		return
	}
	wantAdvice(t, what, dir, err)
}

// TestPowerCutIsNoDamage: what a power cut leaves at the end of the log was never acknowledged, and must keep nobody from
// starting again.
func TestPowerCutIsNoDamage(t *testing.T) {
	dir, right := killed(t)
	for what, leave := range map[string]func(t *testing.T, log string){
		"a half page at the end": func(t *testing.T, log string) { appendTo(t, log, strings.Repeat("x", 3000)) },
		"an old page at the end": func(t *testing.T, log string) { appendTo(t, log, strings.Repeat("x", 24+4096)) },
		"zeros at the end":       func(t *testing.T, log string) { appendTo(t, log, strings.Repeat("\x00", 100_000)) },
	} {
		for _, index := range []bool{true, false} {
			after := copied(t, dir)
			leave(t, filepath.Join(after, sqlite.FileName+"-wal"))
			if !index { // it was never synced
				if err := os.Remove(filepath.Join(after, sqlite.FileName+"-shm")); err != nil {
					t.Fatal(err)
				}
			}
			if wantNeverWrong(t, what, after, right) {
				t.Errorf("%s, with the index %v: it was refused", what, index)
			}
		}
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamageWhileOpen spoils the file after it was checked. What is read from it then is an error, and so is a change that
// needs it; what is still in memory may be answered.
func TestDamageWhileOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := open(t, dir, sqlite.Options{})
	if err := fill(first); err != nil {
		t.Fatal(err)
	}
	right, _ := everythingIn(first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(dir, sqlite.Options{Lock: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, sqlite.FileName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, path, pageSize, func(part []byte) {
		for i := range part {
			part[i] = 0xa5
		}
	}, int(info.Size())-pageSize)

	_, loading := store.Load(t.Context(), "incident", "i-007")
	committing := store.Commit(t.Context(), jenner.Change{Record: jenner.Record{Line: "incident", ID: "new"}})
	answers, errs := everythingIn(store)
	for asked, answer := range answers {
		if answer != right[asked] {
			t.Errorf("silently wrong: %s: %s", asked, answer)
		}
	}
	errs["committing"] = committing
	if loading != nil {
		errs["loading"] = loading
	}
	if committing == nil || len(errs) < 10 {
		t.Errorf("the file is full of nonsense; committing gives %v, and there are %d errors besides %d answers", committing, len(errs), len(answers))
	}
	for what, err := range errs {
		wantAdvice(t, what, dir, err)
		if jenner.NextAfter(err) != jenner.TellHuman && what != "audit log" {
			t.Errorf("%s: no human is told: %v", what, err)
		}
	}
	_ = store.Close() // it may fail, for it moves the log into the file
}
