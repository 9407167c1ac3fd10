package sqlite_test

import (
	"os"
	"testing"

	storetest "github.com/jenner-heal/jenner/conformance/store"
	"github.com/jenner-heal/jenner/store/sqlite"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(childJob); job != "" {
		os.Exit(child(job))
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store { return open(t, dir, sqlite.Options{}) })
}

func open(t testing.TB, dir string, opts sqlite.Options) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing %s: %v", dir, err)
		}
	})
	return store
}
