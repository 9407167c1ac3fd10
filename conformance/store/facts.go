package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/audit"
	"golang.org/x/mod/sumdb/tlog"
)

func ledger(t *testing.T, b *bench) {
	whole := filled[jenner.LedgerEntry](t, 0)
	held := jenner.LedgerEntry{ID: "held", Kind: jenner.LedgerFault, At: at(-500)}
	old := jenner.LedgerEntry{ID: "old", At: at(-400), Until: at(-300)}
	edge := jenner.LedgerEntry{ID: "edge", At: at(-100), Until: at(-90)}
	if err := b.PutLedger(t.Context(), whole, edge, old, held); err != nil {
		t.Fatal(err)
	}
	read := func(since time.Time) []jenner.LedgerEntry {
		return must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), since))
	}
	same(t, "all of the ledger", read(time.Time{}), []jenner.LedgerEntry{held, old, edge, whole})
	same(t, "the recent and the held", read(at(-100)), []jenner.LedgerEntry{held, edge, whole})

	of := func(service string, since time.Time) []jenner.LedgerEntry {
		return must[[]jenner.LedgerEntry](t)(b.LedgerOf(t.Context(), service, since, at(900)))
	}
	same(t, "the recent of one service, and the held", of(whole.Service, time.Time{}), []jenner.LedgerEntry{held, whole})
	same(t, "the recent of nobody, and the held", of("nobody", time.Time{}), []jenner.LedgerEntry{held})
	same(t, "none of that service lately", of(whole.Service, whole.At.Add(1)), []jenner.LedgerEntry{held})

	held.Until, held.Result = at(-200), "passed"
	mustCommit(t, b, jenner.Change{Record: record("a", 0), Ledger: []jenner.LedgerEntry{held}})
	same(t, "the recent after it was given back", read(at(-100)), []jenner.LedgerEntry{edge, whole})
	same(t, "all after it was given back", read(time.Time{}), []jenner.LedgerEntry{held, old, edge, whole})

	if err := b.PutLedger(t.Context(), jenner.LedgerEntry{ID: "good", At: at(0)}, jenner.LedgerEntry{At: at(0)}); err == nil {
		t.Error("an entry without an id was taken")
	}
	same(t, "the recent after a refusal", read(at(-100)), []jenner.LedgerEntry{edge, whole})
}

func outcomesAndProofs(t *testing.T, b *bench) {
	late, early := filled[jenner.Outcome](t, 500), filled[jenner.Outcome](t, 0)
	proof, second := filled[jenner.Proof](t, 500), filled[jenner.Proof](t, 0)
	r := mustCommit(t, b, jenner.Change{Record: record("a", 0), Outcomes: []jenner.Outcome{late}, Proofs: []jenner.Proof{proof}})
	mustCommit(t, b, jenner.Change{Record: r, Outcomes: []jenner.Outcome{early}, Proofs: []jenner.Proof{second}})

	outcomes := func(since time.Time) []jenner.Outcome {
		return must[[]jenner.Outcome](t)(b.Outcomes(t.Context(), since))
	}
	same(t, "all outcomes", outcomes(time.Time{}), []jenner.Outcome{early, late})
	same(t, "the outcomes since the second one", outcomes(late.At), []jenner.Outcome{late})
	same(t, "the outcomes after it", outcomes(late.At.Add(1)), []jenner.Outcome(nil))
	same(t, "the proofs", must[[]jenner.Proof](t)(b.Proofs(t.Context())), []jenner.Proof{second, proof})
}

// intent is a filled intent that has no result yet.
func intent(t *testing.T, key string, seed int) jenner.Intent {
	t.Helper()
	i := filled[jenner.Intent](t, seed)
	return jenner.Intent{Key: key, By: i.By, Run: i.Run, Step: i.Step, Action: i.Action, Service: i.Service, Target: i.Target,
		Params: i.Params, Checkpoint: i.Checkpoint, Undo: i.Undo, At: i.At, Expires: i.Expires, Before: i.Before, State: jenner.IntentIntended}
}

// ended is the intent with a filled result.
func ended(t *testing.T, i jenner.Intent, state jenner.IntentState) jenner.Intent {
	t.Helper()
	result := filled[jenner.Intent](t, 700)
	result.Key, result.By, result.Run, result.Step, result.Action, result.Service = i.Key, i.By, i.Run, i.Step, i.Action, i.Service
	result.Target, result.Params, result.Checkpoint, result.Undo = i.Target, i.Params, i.Checkpoint, i.Undo
	result.At, result.Expires, result.Before, result.State = i.At, i.Expires, i.Before, state
	return result
}

func begin(t *testing.T, store Store, i jenner.Intent) (jenner.Intent, bool) {
	t.Helper()
	stored, fresh, err := store.Begin(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return stored, fresh
}

func intentBegunOnce(t *testing.T, b *bench) {
	_, err := b.Intent(t.Context(), "k")
	wantError(t, err, jenner.ErrNotFound, "an intent that was never begun")

	want := intent(t, "k", 0)
	given := want
	given.State = "" // Begin says what it is
	stored, fresh := begin(t, b, given)
	if !fresh {
		t.Error("the first one is not fresh")
	}
	same(t, "what was begun", stored, want)
	stored, fresh = begin(t, b, intent(t, "k", 300))
	if fresh {
		t.Error("the second one with the same key is fresh")
	}
	same(t, "what was begun before", stored, want)
	same(t, "what is stored", must[jenner.Intent](t)(b.Intent(t.Context(), "k")), want)

	finished := ended(t, want, jenner.IntentDone)
	if err := b.Finish(t.Context(), finished); err != nil {
		t.Fatal(err)
	}
	stored, fresh = begin(t, b, want)
	if fresh {
		t.Error("the third one, after the end, is fresh")
	}
	same(t, "what has ended", stored, finished)

	for what, broken := range map[string]jenner.Intent{"no key": {}, "an end": ended(t, intent(t, "x", 0), jenner.IntentFailed)} {
		if _, _, err := b.Begin(t.Context(), broken); err == nil {
			t.Errorf("an intent with %s was begun", what)
		}
	}
}

func intentFinishedOnce(t *testing.T, b *bench) {
	wantError(t, b.Finish(t.Context(), ended(t, intent(t, "k", 0), jenner.IntentDone)), jenner.ErrNotFound, "finishing what never began")

	second, _ := begin(t, b, intent(t, "second", 400))
	first, _ := begin(t, b, intent(t, "first", 0))
	open := func() []jenner.Intent { return must[[]jenner.Intent](t)(b.OpenIntents(t.Context())) }
	same(t, "the open intents", open(), []jenner.Intent{first, second})
	if err := b.Finish(t.Context(), first); err == nil {
		t.Error("an intent was finished as intended")
	}

	done := ended(t, first, jenner.IntentDone)
	given := done
	given.Action, given.At, given.Params = "another", at(999), nil // not part of the result
	for range 2 {
		if err := b.Finish(t.Context(), given); err != nil {
			t.Fatalf("finishing, or finishing again with the same result: %v", err)
		}
		same(t, "the finished intent", must[jenner.Intent](t)(b.Intent(t.Context(), "first")), done)
	}
	same(t, "the open intents after one was finished", open(), []jenner.Intent{second})

	for what, change := range map[string]func(*jenner.Intent){
		"another state":   func(i *jenner.Intent) { i.State = jenner.IntentFailed },
		"another time":    func(i *jenner.Intent) { i.EndedAt = at(5) },
		"another summary": func(i *jenner.Intent) { i.Summary = "another" },
		"another output":  func(i *jenner.Intent) { i.Output = jenner.Raw(5) },
		"no change":       func(i *jenner.Intent) { i.Changed = false },
	} {
		other := done
		change(&other)
		wantError(t, b.Finish(t.Context(), other), jenner.ErrConflict, "finishing with "+what)
	}
	same(t, "the finished intent", must[jenner.Intent](t)(b.Intent(t.Context(), "first")), done)
}

func intentsAudited(t *testing.T, b *bench) {
	i, _ := begin(t, b, intent(t, "k", 0))
	begin(t, b, i) // the second one is no news
	done := ended(t, i, jenner.IntentUnknown)
	for range 2 {
		if err := b.Finish(t.Context(), done); err != nil {
			t.Fatal(err)
		}
	}
	other := done
	other.State = jenner.IntentDone
	wantError(t, b.Finish(t.Context(), other), jenner.ErrConflict, "another result")

	entries := must[[]jenner.AuditEntry](t)(b.AuditEntries(t.Context(), 0, 10))
	if len(entries) != 2 {
		t.Fatalf("the audit log has %d entries: %+v", len(entries), entries)
	}
	same(t, "the first audit entry", entries[0],
		jenner.AuditEntry{At: i.At, Kind: "intent", Subject: i.By, Actor: "jenner", Data: jenner.Raw(i)})
	result := entries[1]
	if result.Kind != "result" || result.Subject != i.By || !result.At.Equal(done.EndedAt) {
		t.Errorf("the second audit entry is %+v", result)
	}
	var told, want jenner.Intent
	if err := json.Unmarshal(result.Data, &told); err != nil {
		t.Fatal(err)
	}
	want = ended(t, jenner.Intent{Key: done.Key, Action: done.Action}, done.State)
	want.EndedAt = time.Time{} // it is the entry's own time
	same(t, "what the second audit entry tells", told, want)
}

func auditLog(t *testing.T, b *bench) {
	if entries := entriesOf(t, b); entries != 0 {
		t.Errorf("a new log has %d entries", entries)
	}
	var want []jenner.AuditEntry
	for i := range 12 {
		entry := filled[jenner.AuditEntry](t, 10*i)
		want = append(want, entry)
		if i%2 == 0 {
			entry.At = entry.At.In(time.FixedZone("west", -5*3600))
			mustCommit(t, b, jenner.Change{Record: record(entry.Subject, i), Audit: []jenner.AuditEntry{entry}})
		} else if err := b.AppendAudit(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
		if entries := entriesOf(t, b); entries != int64(i+1) {
			t.Fatalf("after %d entries the log has %d", i+1, entries)
		}
	}
	if err := b.AppendAudit(t.Context(), want[0], jenner.AuditEntry{At: at(0)}); err == nil {
		t.Error("an entry without a kind was taken")
	}
	for _, c := range []struct{ from, limit, end int }{{0, 100, 12}, {0, 3, 3}, {5, 4, 9}, {11, 5, 12}, {12, 5, 12}, {3, 0, 3}} {
		got := must[[]jenner.AuditEntry](t)(b.AuditEntries(t.Context(), int64(c.from), c.limit))
		same(t, "a part of the log", got, want[c.from:c.end])
	}
}

func auditProofs(t *testing.T, b *bench) {
	prover := b.Store.(Prover)
	_, err := prover.AuditProof(t.Context(), 0)
	wantError(t, err, jenner.ErrNotFound, "the proof of nothing")
	var last jenner.AuditEntry
	for i := range 7 {
		last = filled[jenner.AuditEntry](t, i)
		last.At = last.At.In(time.FixedZone("west", -5*3600))
		if err := b.AppendAudit(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	report := must[audit.Report](t)(prover.VerifyAudit(t.Context()))
	if !report.Signed.Equal(last.At) {
		t.Errorf("the log is signed for %s, and its last entry is of %s", report.Signed, last.At)
	}
	for i := range int64(7) {
		proof := must[audit.Proof](t)(prover.AuditProof(t.Context(), i))
		if proof.Head != report.Head {
			t.Errorf("the proof of entry %d is against another head", i)
		}
		if err := tlog.CheckRecord(proof.Path, 7, report.Hash, i, tlog.RecordHash([]byte(proof.Entry))); err != nil {
			t.Errorf("the proof of entry %d: %v", i, err)
		}
	}
	_, err = prover.AuditProof(t.Context(), 7)
	wantError(t, err, jenner.ErrNotFound, "the proof of what does not follow")
}

func values(t *testing.T, b *bench) {
	_, err := b.Value(t.Context(), "k")
	wantError(t, err, jenner.ErrNotFound, "a value that was never kept")
	for _, want := range [][]byte{[]byte("one"), {0, 255, 0}, {}, nil, []byte("two")} {
		if err := b.PutValue(t.Context(), "k", want); err != nil {
			t.Fatal(err)
		}
		same(t, "the value", must[[]byte](t)(b.Value(t.Context(), "k")), want)
	}
	_, err = b.Value(t.Context(), "K")
	wantError(t, err, jenner.ErrNotFound, "a value of another key")
	if err := b.PutValue(t.Context(), "", []byte("x")); err == nil {
		t.Error("a value without a key was kept")
	}
}

func times(t *testing.T, b *bench) {
	for i, want := range []time.Time{{}, start, start.In(time.FixedZone("east", 3*3600)), time.Now(),
		time.Date(1969, 12, 31, 23, 59, 59, 999, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 1, time.UTC)} {
		id := string(rune('a' + i))
		r := record(id, 0)
		r.Due, r.Created, r.Updated = want, want, want
		mustCommit(t, b, jenner.Change{Record: r, Ledger: []jenner.LedgerEntry{{ID: id, At: want, Until: want}}})
		got := must[jenner.Record](t)(b.Load(t.Context(), "incident", id))
		moments := []time.Time{got.Due, got.Created, got.Updated}
		for _, entry := range must[[]jenner.LedgerEntry](t)(b.Ledger(t.Context(), time.Time{})) {
			if entry.ID == id {
				moments = append(moments, entry.At, entry.Until)
			}
		}
		for _, moment := range moments {
			if !moment.Equal(want) || moment.Location() != time.UTC || moment.IsZero() != want.IsZero() {
				t.Errorf("%s came back as %s", want, moment)
			}
		}
		if len(moments) != 5 {
			t.Errorf("%s: %d times came back and not 5", want, len(moments))
		}
	}
	for _, year := range []int{1600, 2300} {
		r := record("far", 0)
		r.Due = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := b.Commit(t.Context(), jenner.Change{Record: r}); err == nil {
			t.Errorf("a time in the year %d was taken", year)
		}
	}
}
