package memory

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// crowded is a store with many incidents, open and ended, and their runs.
func crowded(tb testing.TB, open, ended int) *Store {
	tb.Helper()
	store := New(nil)
	for i := range open + ended {
		now := noon.Add(time.Duration(i) * time.Second)
		id, service := fmt.Sprint("i-", i), fmt.Sprint("service-", i%200)
		change := jenner.Change{
			Record: jenner.Record{Line: "incident", ID: id, Subject: service, Created: now, Updated: now, Due: now.Add(time.Hour),
				Ended: i < ended, State: make([]byte, 2000)},
			Ledger: []jenner.LedgerEntry{{ID: id, Kind: jenner.LedgerAction, At: now, Until: now.Add(time.Minute), By: id, Service: service,
				Policy: "careful", Runbook: "restart"}},
		}
		if err := store.Commit(context.Background(), change); err != nil {
			tb.Fatal(err)
		}
	}
	return store
}

// TestListsAgree changes entries and records at random moments and holds every list against the whole.
func TestListsAgree(t *testing.T) {
	store := crowded(t, 50, 50)
	for i := range 500 {
		id := fmt.Sprint("i-", 50+i*7%50)
		r, err := store.Load(t.Context(), "incident", id)
		if err != nil {
			t.Fatal(err)
		}
		now := noon.Add(time.Duration(i*37%1000) * time.Second)
		r.Updated, r.Due, r.Ended = now, now.Add(time.Duration(i*13%90)*time.Second), i > 450
		if i%5 == 0 {
			r.Due = time.Time{}
		}
		entry := jenner.LedgerEntry{ID: fmt.Sprint("e-", i*11%40), Kind: []jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerTouch, jenner.LedgerHealth,
			jenner.LedgerFault}[i%4], At: now, Service: fmt.Sprint("service-", i%3), Policy: fmt.Sprint(i % 2), Runbook: fmt.Sprint(i % 3)}
		if i%3 > 0 {
			entry.Until = now.Add(time.Duration(i%70) * time.Second)
		}
		if err := store.Commit(t.Context(), jenner.Change{Record: r, Ledger: []jenner.LedgerEntry{entry}}); err != nil && !r.Ended {
			t.Fatal(err)
		}
		if i%40 == 0 {
			if _, err := store.Prune(t.Context(), noon.Add(time.Duration(i)*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		store.wantWhole(t)
	}
}

func (s *Store) wantWhole(t *testing.T) {
	t.Helper()
	count := map[string]int{}
	for _, e := range s.ledger.byID {
		count["all"]++
		if e.Kind == jenner.LedgerAction {
			count["runbook"]++
		}
		if e.Kind == jenner.LedgerAction || e.Kind == jenner.LedgerTouch {
			count["policy"]++
		}
		if e.Kind != jenner.LedgerHealth {
			count["holders"]++
		}
	}
	found := map[string]int{"all": len(s.ledger.all), "holders": len(s.ledger.holders)}
	of := 0
	for _, list := range s.ledger.ofService {
		of += len(list)
	}
	for _, list := range s.ledger.ofRunbook {
		found["runbook"] += len(list)
	}
	for _, list := range s.ledger.ofPolicy {
		found["policy"] += len(list)
	}
	for what := range count {
		if count[what] != found[what] || of != count["all"] {
			t.Fatalf("%s: %d entries are in their lists, and %d should be; %d are in lists of services", what, found[what], count[what], of)
		}
	}
	line := s.line("incident")
	open, due := 0, 0
	for _, one := range line.byID {
		if !one.Ended {
			open++
			if !one.Due.IsZero() {
				due++
			}
		}
		if one.place >= 0 && line.due[one.place] != one {
			t.Fatalf("%s is not where it says it is in the heap", one.ID)
		}
	}
	if open != len(line.open) || due != len(line.due) || len(line.byID) != len(line.all) {
		t.Fatalf("%d of %d are in the list of the open, %d of %d in the heap, %d of %d in the list of all",
			len(line.open), open, len(line.due), due, len(line.all), len(line.byID))
	}
}

// TestCopiesGoInAndOut: nobody who keeps what he gave or got can change what is stored.
func TestCopiesGoInAndOut(t *testing.T) {
	store := New(nil)
	state, data, value := []byte(`"state"`), []byte(`"data"`), []byte("value")
	params := jenner.Params{"a": jenner.Raw("b")}
	change := jenner.Change{Record: jenner.Record{Line: "l", ID: "i", State: state}, Timeline: []jenner.Entry{{Data: data}},
		Audit:  []jenner.AuditEntry{{Kind: "note", Data: data}},
		Proofs: []jenner.Proof{{Versions: map[string]string{"a": "b"}}}}
	if err := store.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if err := store.PutValue(t.Context(), "v", value); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Begin(t.Context(), jenner.Intent{Key: "k", Params: params}); err != nil {
		t.Fatal(err)
	}
	state[1], data[1], value[1], params["a"][1], change.Proofs[0].Versions["a"] = 'X', 'X', 'X', 'X', "X"
	for range 2 {
		record, e1 := store.Load(t.Context(), "l", "i")
		timeline, e2 := store.Timeline(t.Context(), "l", "i")
		kept, e3 := store.Value(t.Context(), "v")
		intent, e4 := store.Intent(t.Context(), "k")
		proofs, e5 := store.Proofs(t.Context())
		listed, e6 := store.List(t.Context(), "l", ListFilter{})
		for _, err := range []error{e1, e2, e3, e4, e5, e6} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got := fmt.Sprintf("%s %s %s %s %s %s %s", record.State, timeline[0].Data, kept, intent.Params["a"], proofs[0].Versions["a"],
			listed[0].State, store.AuditEntries()[0].Data)
		if want := `"state" "data" value "b" b "state" "data"`; got != want {
			t.Errorf("wanted %s, it is %s", want, got)
		}
		record.State[1], timeline[0].Data[1], kept[1], intent.Params["a"][1], proofs[0].Versions["a"] = 'Y', 'Y', 'Y', 'Y', "Y"
		listed[0].State[1] = 'Y'
	}
}

// TestReopening is a crash: what the old program still holds can do nothing any more, and the new one finds everything.
func TestReopening(t *testing.T) {
	store := crowded(t, 3, 0)
	again := store.Reopen()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(t.Context(), jenner.Change{Record: jenner.Record{Line: "incident", ID: "late"}}); err == nil {
		t.Error("the crashed program committed")
	}
	if found, err := again.List(t.Context(), "incident", ListFilter{}); err != nil || len(found) != 3 {
		t.Errorf("%d records are found (%v)", len(found), err)
	}
}

// BenchmarkStore is one step of the line, among 2,000 open incidents and 20,000 that have ended.
func BenchmarkStore(b *testing.B) {
	store := crowded(b, 2000, 20_000)
	ctx := b.Context()
	now := noon.Add(30 * time.Hour)
	for name, step := range map[string]func(i int) error{
		"Load": func(i int) error { _, err := store.Load(ctx, "incident", fmt.Sprint("i-", 20_000+i%2000)); return err },
		"Due":  func(int) error { _, _, err := store.Due(ctx, "incident", now, 16); return err },
		"Commit": func(i int) error {
			r, err := store.Load(ctx, "incident", fmt.Sprint("i-", 20_000+i%2000))
			if err != nil {
				return err
			}
			r.Updated, r.Due = now, now.Add(time.Duration(i)*time.Millisecond)
			return store.Commit(ctx, jenner.Change{Record: r, Timeline: []jenner.Entry{{At: now}}, Audit: []jenner.AuditEntry{{Kind: "note", At: now}},
				Caps:   []jenner.Cap{{Scope: jenner.CapAll, Max: 10}},
				Ledger: []jenner.LedgerEntry{{ID: r.ID, Kind: jenner.LedgerAction, At: now, Until: now, Service: r.Subject}}})
		},
		"LedgerOf": func(i int) error {
			_, err := store.LedgerOf(ctx, fmt.Sprint("service-", i%200), now.Add(-24*time.Hour), now)
			return err
		},
		"LedgerOfRunbook": func(int) error { _, err := store.LedgerOfRunbook(ctx, "restart", 20); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				if err := step(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
