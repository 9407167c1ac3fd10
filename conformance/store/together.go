package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

func survivesClosing(t *testing.T, b *bench) {
	r := mustCommit(t, b, withEverything(record("a", 0), "first"))
	i, _ := begin(t, b, intent(t, "k", 0))
	if err := b.PutValue(t.Context(), "v", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	before := entriesOf(t, b)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatalf("closing, or closing again: %v", err)
		}
	}
	if _, err := b.Load(t.Context(), "incident", "a"); err == nil || errors.Is(err, jenner.ErrNotFound) {
		t.Errorf("reading after closing: %v", err)
	}
	if err := b.PutValue(t.Context(), "v", nil); err == nil {
		t.Error("a value was kept after closing")
	}

	again := b.open()
	same(t, "the record", must[jenner.Record](t)(again.Load(t.Context(), "incident", "a")), r)
	same(t, "the open intents", must[[]jenner.Intent](t)(again.OpenIntents(t.Context())), []jenner.Intent{i})
	same(t, "the value", must[[]byte](t)(again.Value(t.Context(), "v")), []byte("kept"))
	same(t, "the entries of the audit log", entriesOf(t, again), before)
	mustCommit(t, again, jenner.Change{Record: r, Audit: []jenner.AuditEntry{{At: at(9), Kind: "note"}}})
	if after := entriesOf(t, again); after != before+1 {
		t.Errorf("after one more entry the log has %d, before it had %d", after, before)
	}
}

// bump commits the next version of a record until it succeeds, and counts how often that was.
func bump(ctx context.Context, store Store, id, by string, times int) error {
	for done := 0; done < times; {
		r, err := store.Load(ctx, "incident", id)
		if err != nil {
			return err
		}
		err = store.Commit(ctx, jenner.Change{Record: r, Timeline: []jenner.Entry{{Text: by}},
			Audit: []jenner.AuditEntry{{At: at(0), Kind: "note", Subject: by}}})
		switch {
		case err == nil:
			done++
		case !errors.Is(err, jenner.ErrConflict):
			return err
		}
	}
	return nil
}

// wantBumped checks that nothing was lost and nothing was done twice.
func wantBumped(t *testing.T, store Store, id string, times int) {
	t.Helper()
	r := must[jenner.Record](t)(store.Load(t.Context(), "incident", id))
	entries := must[[]jenner.Entry](t)(store.Timeline(t.Context(), "incident", id))
	audited := entriesOf(t, store)
	if r.Version != int64(times+1) || len(entries) != times || audited != int64(times) {
		t.Errorf("after %d changes: version %d, %d timeline entries, %d audit entries", times, r.Version, len(entries), audited)
	}
}

func concurrentChanges(t *testing.T, b *bench) {
	const workers, each = 8, 10
	mustCommit(t, b, jenner.Change{Record: record("a", 0)})
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			if err := bump(t.Context(), b, "a", fmt.Sprint(worker), each); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantBumped(t, b, "a", workers*each)
}

func twoOpenings(t *testing.T, b *bench) {
	const each = 30
	other := b.open()
	mustCommit(t, b, jenner.Change{Record: record("a", 0)})
	var all sync.WaitGroup
	for name, store := range map[string]Store{"one": b, "other": other} {
		all.Go(func() {
			if err := bump(t.Context(), store, "a", name, each); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantBumped(t, b, "a", 2*each)
	wantBumped(t, other, "a", 2*each)
}

func oneBegins(t *testing.T, b *bench) {
	other := b.open()
	var fresh atomic.Int64
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			mine := jenner.Intent{Key: "k", At: at(worker), Run: fmt.Sprint(worker)}
			_, first, err := []Store{b, other}[worker%2].Begin(t.Context(), mine)
			if err != nil {
				t.Error(err)
			}
			if first {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d of 16 were told that theirs is the effect to carry out", fresh.Load())
	}
}

func endedContext(t *testing.T, b *bench) {
	why := errors.New("somebody stopped it")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, _, beginning := b.Begin(ctx, intent(t, "k", 0))
	_, loading := b.Load(ctx, "incident", "a")
	for what, err := range map[string]error{
		"committing": b.Commit(ctx, jenner.Change{Record: record("a", 0)}),
		"beginning":  beginning,
		"loading":    loading,
	} {
		wantError(t, err, why, what)
	}
	_, err := b.Load(t.Context(), "incident", "a")
	wantError(t, err, jenner.ErrNotFound, "the record")
	_, err = b.Intent(t.Context(), "k")
	wantError(t, err, jenner.ErrNotFound, "the intent")
}

func closingWaits(t *testing.T, b *bench) {
	const workers = 8
	var acknowledged [workers]int64
	var begun, all sync.WaitGroup
	begun.Add(workers)
	for worker := range workers {
		all.Go(func() {
			r := record(fmt.Sprint("of-", worker), 0)
			for b.Commit(context.Background(), jenner.Change{Record: r}) == nil {
				if r.Version++; r.Version == 1 {
					begun.Done()
				}
			}
			acknowledged[worker] = r.Version
		})
	}
	wait(t, &begun)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	again := b.open()
	for worker, version := range acknowledged {
		r := must[jenner.Record](t)(again.Load(t.Context(), "incident", fmt.Sprint("of-", worker)))
		if r.Version != version {
			t.Errorf("version %d of %s was acknowledged last, and version %d is stored", version, r.ID, r.Version)
		}
	}
}

// wait waits for a group, but not for ever.
func wait(t *testing.T, group *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	await.Closed(t, "the first changes are acknowledged", done)
}
