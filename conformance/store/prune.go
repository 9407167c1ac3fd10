package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// over commits a record that ended at that second, with one of everything of that time.
func over(t *testing.T, b *bench, id string, second int) {
	t.Helper()
	r := record(id, second)
	r.Ended = true
	change := withEverything(r, id)
	change.Ledger[0].At, change.Ledger[0].Until = at(second-1), at(second)
	change.Outcomes[0].At, change.Proofs[0].At, change.Judgements[0].At = at(second), at(second), at(second)
	mustCommit(t, b, change)
}

func finished(t *testing.T, b *bench, key, by string, second int) {
	t.Helper()
	i := jenner.Intent{Key: key, By: by, At: at(second)}
	begin(t, b, i)
	i.State, i.EndedAt = jenner.IntentDone, at(second)
	if err := b.Finish(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

func pruning(t *testing.T, b *bench) {
	over(t, b, "old", 10)
	over(t, b, "edge", 50) // of the very moment
	over(t, b, "new", 60)
	mustCommit(t, b, withEverything(record("open", 1), "open"))
	if err := b.PutLedger(t.Context(), of(jenner.LedgerAction, "began early", 1, 90), of(jenner.LedgerAction, "endless", 1, 0),
		of(jenner.LedgerHealth, "healthy then", 2, 0), of(jenner.LedgerHealth, "healthy now", 55, 0)); err != nil {
		t.Fatal(err)
	}
	finished(t, b, "old", "old", 10)
	finished(t, b, "of the open one", "open", 10)
	finished(t, b, "new", "old", 60)
	begin(t, b, jenner.Intent{Key: "no result", By: "old", At: at(10)})
	finished(t, b, "at no time", "gone", 0)
	ahead := jenner.Vote{Service: "shop", Runbook: "restart", Person: "ada", At: at(5), Until: at(70)}
	past := jenner.Vote{Service: "shop", Runbook: "restart", Person: "bob", At: at(4), Until: at(20)}
	put(t, b, ahead, past, jenner.Vote{Request: "old/a1", Person: "ada", At: at(9)}, jenner.Vote{Request: "new/a1", Person: "ada", At: at(59)})
	if err := b.PutValue(t.Context(), "k", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	audited := entriesOf(t, b)

	// One record, two of the ledger, two intents, two outcomes (that of the open one is of the second 0), two votes.
	for _, want := range []int{9, 0} {
		same(t, "how much was pruned", must[int](t)(b.Prune(t.Context(), at(50))), want)
		wantPruned(t, b)
		same(t, "votes ahead", must[[]jenner.Vote](t)(b.Votes(t.Context(), "old/a1", "shop", "restart")), []jenner.Vote{ahead})
		same(t, "a vote that is young", len(must[[]jenner.Vote](t)(b.Votes(t.Context(), "new/a1", "", ""))), 1)
		if after := entriesOf(t, b); after != audited {
			t.Errorf("the audit log had %d entries, and now has %d", audited, after)
		}
	}
	same(t, "pruning of before all time", must[int](t)(b.Prune(t.Context(), time.Time{})), 0)
}

func wantPruned(t *testing.T, b *bench) {
	t.Helper()
	_, err := b.Load(t.Context(), "incident", "old")
	wantError(t, err, jenner.ErrNotFound, "the old record")
	_, err = b.Timeline(t.Context(), "incident", "old")
	wantError(t, err, jenner.ErrNotFound, "its timeline")
	for _, id := range []string{"edge", "new", "open"} {
		same(t, "the timeline of "+id, len(must[[]jenner.Entry](t)(b.Timeline(t.Context(), "incident", id))), 1)
	}
	same(t, "the list", len(must[[]jenner.Record](t)(b.List(t.Context(), "incident", ListFilter{}))), 3)
	wantIDs(t, "the ledger", must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), time.Time{})),
		"open", "began early", "endless", "edge", "healthy now", "new")
	wantIDs(t, "the ledger of the runbook", must[[]jenner.LedgerEntry](t)(b.LedgerOfRunbook(t.Context(), "restart", 9)), "began early", "endless")
	for key, there := range map[string]bool{"old": false, "at no time": false, "of the open one": true, "new": true, "no result": true} {
		_, err := b.Intent(t.Context(), key)
		if (err == nil) != there {
			t.Errorf("intent %s: wanted there %v, and the error is %v", key, there, err)
		}
	}
	var outcomes []string
	for _, outcome := range must[[]jenner.Outcome](t)(b.Outcomes(t.Context(), time.Time{})) {
		outcomes = append(outcomes, outcome.Incident)
	}
	same(t, "the outcomes", outcomes, []string{"edge", "new"})
	same(t, "the proofs", len(must[[]jenner.Proof](t)(b.Proofs(t.Context()))), 4)
	same(t, "the judgements", len(must[[]jenner.Judgement](t)(b.Judgements(t.Context(), "", time.Time{}))), 4)
	same(t, "the value", must[[]byte](t)(b.Value(t.Context(), "k")), []byte("kept"))
}

// pruningMuch prunes more than one part takes, while others commit, and stops where it is told to.
func pruningMuch(t *testing.T, b *bench) {
	const many = 230
	for i := range many {
		over(t, b, fmt.Sprint("old ", i), 10)
	}
	mustCommit(t, b, jenner.Change{Record: record("a", 0)})
	done := make(chan error)
	go func() { done <- bump(t.Context(), b, "a", "meanwhile", 30) }()
	same(t, "how much was pruned", must[int](t)(b.Prune(t.Context(), at(50))), 3*many) // with entries of the ledger and outcomes
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, "the list", len(must[[]jenner.Record](t)(b.List(t.Context(), "incident", ListFilter{}))), 1)
	same(t, "the timeline of who went on", len(must[[]jenner.Entry](t)(b.Timeline(t.Context(), "incident", "a"))), 30)
	again := record("old 7", 99)
	mustCommit(t, b, jenner.Change{Record: again}) // its id is free
}
