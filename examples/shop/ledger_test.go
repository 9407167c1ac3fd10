package shop

import (
	"path/filepath"
	"testing"
)

func TestAnOrderIsPostedOnceAcrossRestarts(t *testing.T) {
	t.Parallel()
	host, book := newHost(), filepath.Join(t.TempDir(), "book")
	replace(t, book, "o1\no2\nhalf") // died while writing the last
	enter := func(id string, wantRepeated bool) {
		t.Helper()
		var r receipt
		code := post(t, host, ledgerPort, "/entries", payment{ID: id, Cents: 5}, &r)
		if want := (receipt{ID: id, Repeated: wantRepeated}); code != 200 || r != want {
			t.Errorf("entry %s: %d %+v, want %+v", id, code, r, want)
		}
	}
	ledger := start(t, host, "ledger", "--book", book)
	enter("o1", true)
	enter("half", false)
	enter("half", true)
	ledger.stop()
	start(t, host, "ledger", "--book", book)
	enter("o2", true)
	enter("half", true)
	enter("o3", false)
	if got, want := read(t, book), "o1\no2\nhalf\no3\n"; got != want {
		t.Errorf("book %q, want %q", got, want)
	}
}

func TestAnEntryThatWasNotWrittenIsNotRemembered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "book")
	b, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	if _, err := b.post("o1"); err == nil {
		t.Error("posted to a closed book")
	}
	again, err := openBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	b.file = again.file
	if repeated, err := b.post("o1"); repeated || err != nil {
		t.Errorf("after the book is back: repeated %v, error %v", repeated, err)
	}
	if got := read(t, path); got != "o1\n" {
		t.Errorf("book %q", got)
	}
}
