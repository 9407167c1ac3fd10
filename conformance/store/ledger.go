package storetest

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// of is an entry of that kind, from one second until another; 0 stands for no end.
func of(kind jenner.LedgerKind, id string, from, until int) jenner.LedgerEntry {
	entry := hold(kind, id, "shop", "web", until)
	entry.At = at(from)
	if kind == jenner.LedgerAction {
		entry.Result = string(jenner.Failed)
	}
	return entry
}

func wantIDs(t *testing.T, what string, entries []jenner.LedgerEntry, ids ...string) {
	t.Helper()
	var found []string
	for _, entry := range entries {
		found = append(found, entry.ID)
	}
	same(t, what, found, ids)
}

func ledgerHolds(t *testing.T, b *bench) {
	elsewhere := of(jenner.LedgerAction, "elsewhere", 5, 100)
	elsewhere.Service = "bank"
	endless := of(jenner.LedgerTouch, "endless", 1, 0)
	endless.Service = "bank"
	well := of(jenner.LedgerHealth, "well", 3, 0)
	well.Service = "bank"
	if err := b.PutLedger(t.Context(), of(jenner.LedgerAction, "early", 2, 50), of(jenner.LedgerAction, "over", 4, 20), elsewhere,
		of(jenner.LedgerHealth, "healthy", 30, 0), well, endless); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		service    string
		since, now int
		ids        []string
	}{
		{"shop", 0, 40, []string{"endless", "early", "over", "elsewhere", "healthy"}},
		{"shop", 10, 40, []string{"endless", "early", "elsewhere", "healthy"}},
		{"shop", 10, 50, []string{"endless", "elsewhere", "healthy"}}, // over at the very moment
		{"shop", 31, 99, []string{"endless", "elsewhere"}},
		{"shop", 31, 100, []string{"endless"}},
		{"bank", 2, 100, []string{"endless", "well", "elsewhere"}},
		{"nobody", 0, 10, []string{"endless", "early", "over", "elsewhere"}},
		{"nobody", 0, 1_000_000, []string{"endless"}},
	} {
		entries := must[[]jenner.LedgerEntry](t)(b.LedgerOf(t.Context(), c.service, at(c.since), at(c.now)))
		wantIDs(t, "of "+c.service, entries, c.ids...)
	}
	ledger := func(since int) []jenner.LedgerEntry {
		return must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), at(since)))
	}
	wantIDs(t, "all that was held after 40", ledger(40), "endless", "early", "elsewhere")
	wantIDs(t, "all that was held after 15", ledger(15), "endless", "early", "over", "elsewhere", "healthy")
}

func ledgerOfRunbook(t *testing.T, b *bench) {
	other := of(jenner.LedgerAction, "other", 9, 10)
	other.Runbook = "drain"
	goesOn, unclear := of(jenner.LedgerAction, "goes on", 11, 99), of(jenner.LedgerAction, "unclear", 12, 13)
	goesOn.Result, unclear.Result = "", string(jenner.Inconclusive)
	if err := b.PutLedger(t.Context(), goesOn, unclear, of(jenner.LedgerAction, "third", 3, 4), of(jenner.LedgerAction, "first", 1, 2),
		of(jenner.LedgerTouch, "touch", 6, 7), of(jenner.LedgerHealth, "health", 7, 8), of(jenner.LedgerFault, "fault", 8, 9),
		of(jenner.LedgerAction, "second", 2, 3), of(jenner.LedgerAction, "same time", 3, 0), other); err != nil {
		t.Fatal(err)
	}
	read := func(runbook string, limit int) []jenner.LedgerEntry {
		return must[[]jenner.LedgerEntry](t)(b.LedgerOfRunbook(t.Context(), runbook, limit))
	}
	wantIDs(t, "all of them", read("restart", 9), "first", "second", "third", "same time")
	wantIDs(t, "the newest two", read("restart", 2), "third", "same time")
	wantIDs(t, "the newest one", read("restart", 1), "same time")
	wantIDs(t, "none", read("restart", 0))
	wantIDs(t, "of a runbook that never ran", read("never", 9))

	moved := of(jenner.LedgerAction, "first", 50, 51)
	moved.Runbook = "drain"
	if err := b.PutLedger(t.Context(), moved, of(jenner.LedgerAction, "second", 2, 33)); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "after one went to another runbook", read("restart", 9), "second", "third", "same time")
	wantIDs(t, "the other runbook", read("drain", 9), "other", "first")
	same(t, "the entry as it was put last", read("restart", 9)[0].Until, at(33))
	if _, err := b.LedgerOfRunbook(t.Context(), "restart", -1); err == nil {
		t.Error("a negative limit was taken")
	}
}

func ledgerOfPolicy(t *testing.T, b *bench) {
	other := of(jenner.LedgerAction, "other", 9, 10)
	other.Policy = "bold"
	whole := filled[jenner.LedgerEntry](t, 0)
	whole.Kind, whole.Policy = jenner.LedgerAction, "whole"
	if err := b.PutLedger(t.Context(), of(jenner.LedgerAction, "over", 1, 5), of(jenner.LedgerAction, "endless", 2, 0),
		of(jenner.LedgerTouch, "touch", 3, 100), of(jenner.LedgerHealth, "health", 20, 0), of(jenner.LedgerFault, "fault", 20, 30),
		of(jenner.LedgerTouch, "late", 20, 21), other, whole); err != nil {
		t.Fatal(err)
	}
	read := func(policy string, since time.Time) []jenner.LedgerEntry {
		return must[[]jenner.LedgerEntry](t)(b.LedgerOfPolicy(t.Context(), policy, since))
	}
	wantIDs(t, "all", read("careful", time.Time{}), "over", "endless", "touch", "late")
	wantIDs(t, "since 4", read("careful", at(4)), "over", "endless", "touch", "late")
	wantIDs(t, "since 5", read("careful", at(5)), "endless", "touch", "late")
	wantIDs(t, "since 20", read("careful", at(20)), "endless", "touch", "late")
	wantIDs(t, "since 100", read("careful", at(100)), "endless")
	wantIDs(t, "of another", read("bold", at(5)), "other")
	wantIDs(t, "of nobody", read("none", time.Time{}))
	same(t, "one with everything", read("whole", time.Time{}), []jenner.LedgerEntry{whole})
}
