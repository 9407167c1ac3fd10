package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// hold is an entry that holds a target of a service until that second; 0 stands for no deadline.
func hold(kind jenner.LedgerKind, id, service, target string, until int) jenner.LedgerEntry {
	entry := jenner.LedgerEntry{ID: id, Kind: kind, At: at(0), By: "by " + id, Service: service,
		Target: jenner.TargetRef{Kind: "process", Name: target}, Policy: "careful", Runbook: "restart"}
	if until != 0 {
		entry.Until = at(until)
	}
	return entry
}

// take is a change at a second that wants to hold entries within caps.
func take(id string, second int, caps []jenner.Cap, entries ...jenner.LedgerEntry) jenner.Change {
	change := withEverything(record(id, second), id)
	change.Ledger, change.Caps = entries, caps
	return change
}

func wantTaken(t *testing.T, b *bench, change jenner.Change, what string) {
	t.Helper()
	before := must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), time.Time{}))
	audited := entriesOf(t, b)
	err := b.Commit(t.Context(), change)
	wantError(t, err, jenner.ErrTaken, what)
	if !strings.Contains(err.Error(), change.Record.ID) {
		t.Errorf("%s: the error does not name %s: %v", what, change.Record.ID, err)
	}
	_, err = b.Load(t.Context(), change.Record.Line, change.Record.ID)
	wantError(t, err, jenner.ErrNotFound, what+": the record")
	same(t, what+": the ledger", must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), time.Time{})), before)
	if after := entriesOf(t, b); after != audited {
		t.Errorf("%s: the audit log has %d entries more", what, after-audited)
	}
}

func capsRefuse(t *testing.T, b *bench) {
	mustCommit(t, b, take("first", 1, nil, hold(jenner.LedgerAction, "one", "shop", "web", 100)))
	for what, limit := range map[string]jenner.Cap{
		"all":     {Scope: jenner.CapAll, Max: 1},
		"service": {Scope: jenner.CapService, Name: "shop", Max: 1},
		"policy":  {Scope: jenner.CapPolicy, Name: "careful", Max: 1},
	} {
		wantTaken(t, b, take("late", 2, []jenner.Cap{limit}, hold(jenner.LedgerAction, "two", "shop", "worker", 100)), "a second target with cap "+what)
	}
	target := []jenner.Cap{{Scope: jenner.CapTarget, Name: "shop/process/web", Max: 1}}
	wantTaken(t, b, take("late", 2, target, hold(jenner.LedgerTouch, "two", "shop", "web", 100)), "a target that is held")
	mustCommit(t, b, take("beside", 2, target, hold(jenner.LedgerAction, "three", "shop", "worker", 100)))

	roomy := []jenner.Cap{{Scope: jenner.CapAll, Max: 4}, {Scope: jenner.CapService, Name: "bank", Max: 1}}
	wantTaken(t, b, take("late", 2, roomy, hold(jenner.LedgerAction, "x", "bank", "a", 9), hold(jenner.LedgerTouch, "y", "bank", "b", 9)),
		"two targets at once where one is allowed")
	mustCommit(t, b, take("fits", 2, roomy, hold(jenner.LedgerAction, "x", "bank", "a", 9)))

	stale := record("first", 0)
	wantError(t, b.Commit(t.Context(), jenner.Change{Record: stale, Caps: target}), jenner.ErrConflict, "an old version within its caps")
}

func capsCountBoth(t *testing.T, b *bench) {
	caps := []jenner.Cap{{Scope: jenner.CapService, Name: "shop", Max: 2}}
	mustCommit(t, b, take("drill", 1, caps, hold(jenner.LedgerFault, "fault", "shop", "web", 100)))
	mustCommit(t, b, take("incident", 1, caps, hold(jenner.LedgerAction, "run", "shop", "worker", 100)))
	wantTaken(t, b, take("late", 2, caps, hold(jenner.LedgerAction, "more", "shop", "cache", 100)), "a third target beside a fault and a run")
	wantTaken(t, b, take("late", 2, caps, hold(jenner.LedgerFault, "more", "shop", "cache", 100)), "a fault on a third target")
	mustCommit(t, b, take("heals", 2, caps, hold(jenner.LedgerAction, "heals", "shop", "web", 100))) // it is the trouble itself

	healthy := hold(jenner.LedgerHealth, "healthy", "shop", "cache", 0)
	mustCommit(t, b, take("well", 2, caps, healthy)) // who is well holds nothing
}

func capsAndDeadlines(t *testing.T, b *bench) {
	one := []jenner.Cap{{Scope: jenner.CapAll, Max: 1}}
	mustCommit(t, b, take("first", 1, one, hold(jenner.LedgerAction, "first", "shop", "web", 10)))
	wantTaken(t, b, take("second", 9, one, hold(jenner.LedgerAction, "second", "shop", "worker", 20)), "one second before the deadline")
	mustCommit(t, b, take("second", 10, one, hold(jenner.LedgerAction, "second", "shop", "worker", 0)))
	wantTaken(t, b, take("third", 10_000_000, one, hold(jenner.LedgerFault, "third", "shop", "web", 0)), "beside one without a deadline")

	given := hold(jenner.LedgerAction, "second", "shop", "worker", 30)
	mustCommit(t, b, take("gives back", 30, one, given))
	mustCommit(t, b, take("third", 30, one, hold(jenner.LedgerFault, "third", "shop", "web", 0)))
}

func capsAndReplaced(t *testing.T, b *bench) {
	one := []jenner.Cap{{Scope: jenner.CapAll, Max: 1}}
	r := mustCommit(t, b, take("a", 1, one, hold(jenner.LedgerAction, "run", "shop", "web", 10)))
	longer := take("a", 5, one, hold(jenner.LedgerAction, "run", "shop", "web", 100))
	longer.Record.Version = r.Version
	r = mustCommit(t, b, longer) // a renewed deadline
	moved := take("a", 6, one, hold(jenner.LedgerAction, "run", "shop", "worker", 100))
	moved.Record.Version = r.Version
	mustCommit(t, b, moved) // another target in its place
	wantTaken(t, b, take("b", 50, one, hold(jenner.LedgerAction, "other", "shop", "web", 100)), "beside the renewed one")
}

// capsRace lets many take what only one may have, through two openings.
func capsRace(t *testing.T, b *bench) {
	const rounds, workers = 5, 8
	other := b.open()
	for round := range rounds {
		service := fmt.Sprint("service ", round)
		caps := []jenner.Cap{{Scope: jenner.CapService, Name: service, Max: 1}}
		var won atomic.Int64
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				id := fmt.Sprintf("%d of round %d", worker, round)
				kind := []jenner.LedgerKind{jenner.LedgerAction, jenner.LedgerFault}[worker%4/2]
				err := []Store{b, other}[worker%2].Commit(t.Context(), take(id, 1, caps, hold(kind, id, service, fmt.Sprint(worker), 10)))
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, jenner.ErrTaken):
					t.Error(err)
				}
			})
		}
		all.Wait()
		held := must[[]jenner.LedgerEntry](t)(b.LedgerOf(t.Context(), service, time.Time{}, at(1)))
		mine := 0
		for _, entry := range held {
			if entry.Service == service {
				mine++
			}
		}
		if won.Load() != 1 || mine != 1 {
			t.Errorf("round %d: %d of %d were let in, and %d hold a target", round, won.Load(), workers, mine)
		}
	}
}
