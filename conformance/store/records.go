package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func recordsComeBack(t *testing.T, b *bench) {
	whole := filled[jenner.Record](t, 0)
	whole.Version, whole.Ended = 0, false
	bare := jenner.Record{Line: "drill", ID: "bare"}
	for _, want := range []jenner.Record{whole, bare} {
		want := mustCommit(t, b, jenner.Change{Record: want})
		same(t, "after the first commit", must[jenner.Record](t)(b.Load(t.Context(), want.Line, want.ID)), want)

		changed := filled[jenner.Record](t, 100)
		changed.Line, changed.ID, changed.Version, changed.Created = want.Line, want.ID, want.Version, want.Created
		changed.Ended = false
		changed = mustCommit(t, b, jenner.Change{Record: changed})
		same(t, "after the second commit", must[jenner.Record](t)(b.Load(t.Context(), want.Line, want.ID)), changed)

		changed.Ended, changed.State, changed.Wait, changed.Due = true, nil, "", time.Time{}
		changed = mustCommit(t, b, jenner.Change{Record: changed})
		same(t, "after the last commit", must[jenner.Record](t)(b.Load(t.Context(), want.Line, want.ID)), changed)
	}
}

func unknownRecord(t *testing.T, b *bench) {
	_, err := b.Load(t.Context(), "incident", "a")
	wantError(t, err, jenner.ErrNotFound, "loading what was never stored")
	mustCommit(t, b, jenner.Change{Record: record("a", 0)})
	_, err = b.Load(t.Context(), "drill", "a")
	wantError(t, err, jenner.ErrNotFound, "loading it from another line")

	for _, broken := range []jenner.Record{{ID: "a"}, {Line: "incident"}, {Line: "incident", ID: "b", Version: -1}} {
		if err := b.Commit(t.Context(), jenner.Change{Record: broken}); err == nil {
			t.Errorf("a record with line %q, id %q and version %d was taken", broken.Line, broken.ID, broken.Version)
		}
	}
}

// withEverything is a change with one of each kind, all of them named by name.
func withEverything(r jenner.Record, name string) jenner.Change {
	return jenner.Change{
		Record:   r,
		Timeline: []jenner.Entry{{At: at(0), Text: name}},
		Audit:    []jenner.AuditEntry{{At: at(0), Kind: "note", Subject: name}},
		Ledger:   []jenner.LedgerEntry{{ID: name, At: at(0)}},
		Outcomes: []jenner.Outcome{{Incident: name, At: at(0)}},
		Proofs:   []jenner.Proof{{Drill: name, At: at(0)}},

		Judgements: []jenner.Judgement{{Incident: name, At: at(0)}},
	}
}

// wantOnly checks that of each kind there is one for each name, in order, and nothing else.
func wantOnly(t *testing.T, store Store, line, id string, names ...string) {
	t.Helper()
	found := map[string][]string{}
	for _, entry := range must[[]jenner.Entry](t)(store.Timeline(t.Context(), line, id)) {
		found["timeline"] = append(found["timeline"], entry.Text)
	}
	for _, entry := range must[[]jenner.AuditEntry](t)(store.AuditEntries(t.Context(), 0, 1000)) {
		found["audit log"] = append(found["audit log"], entry.Subject)
	}
	for _, entry := range must[[]jenner.LedgerEntry](t)(store.Ledger(t.Context(), time.Time{})) {
		found["ledger"] = append(found["ledger"], entry.ID)
	}
	for _, outcome := range must[[]jenner.Outcome](t)(store.Outcomes(t.Context(), time.Time{})) {
		found["outcomes"] = append(found["outcomes"], outcome.Incident)
	}
	for _, proof := range must[[]jenner.Proof](t)(store.Proofs(t.Context())) {
		found["proofs"] = append(found["proofs"], proof.Drill)
	}
	for _, judgement := range must[[]jenner.Judgement](t)(store.Judgements(t.Context(), "", time.Time{})) {
		found["judgements"] = append(found["judgements"], judgement.Incident)
	}
	for _, kind := range []string{"timeline", "audit log", "ledger", "outcomes", "proofs", "judgements"} {
		same(t, "the "+kind, found[kind], names)
	}
	if entries := entriesOf(t, store); entries != int64(len(names)) {
		t.Errorf("the audit log has %d entries and not %d", entries, len(names))
	}
}

func versionConflicts(t *testing.T, b *bench) {
	first := record("a", 0)
	second := mustCommit(t, b, withEverything(first, "first"))
	mustCommit(t, b, withEverything(second, "second"))

	ahead := second
	ahead.Version = 7
	unknown := record("b", 0)
	unknown.Version = 1
	for what, stale := range map[string]jenner.Record{"creating it twice": first, "an old version": second,
		"a version from the future": ahead, "a version of nothing": unknown} {
		stale.Subject = "overwritten"
		wantError(t, b.Commit(t.Context(), withEverything(stale, "stale")), jenner.ErrConflict, what)
	}
	second.Version++
	same(t, "the record", must[jenner.Record](t)(b.Load(t.Context(), "incident", "a")), second)
	wantOnly(t, b, "incident", "a", "first", "second")
}

func endedIsFinal(t *testing.T, b *bench) {
	open := mustCommit(t, b, withEverything(record("a", 0), "first"))
	open.Ended, open.Phase = true, jenner.PhaseResolved
	ended := mustCommit(t, b, withEverything(open, "last"))

	revived := ended
	revived.Ended, revived.Phase, revived.Due = false, jenner.PhaseActing, at(1)
	wantError(t, b.Commit(t.Context(), withEverything(revived, "revived")), jenner.ErrConflict, "reviving what has ended")
	wantError(t, b.Commit(t.Context(), withEverything(ended, "again")), jenner.ErrConflict, "ending it again")
	same(t, "the record", must[jenner.Record](t)(b.Load(t.Context(), "incident", "a")), ended)
	wantOnly(t, b, "incident", "a", "first", "last")
}

func allOrNothing(t *testing.T, b *bench) {
	stored := mustCommit(t, b, withEverything(record("a", 0), "first"))
	for what, spoil := range map[string]func(*jenner.Change){
		"an audit entry without a kind": func(c *jenner.Change) { c.Audit = append(c.Audit, jenner.AuditEntry{At: at(0)}) },
		"an audit entry that is not JSON": func(c *jenner.Change) {
			c.Audit = append(c.Audit, jenner.AuditEntry{At: at(0), Kind: "note", Data: []byte("{")})
		},
		"a ledger entry without an id": func(c *jenner.Change) { c.Ledger = append(c.Ledger, jenner.LedgerEntry{At: at(0)}) },
		"a judgement of the year 9000": func(c *jenner.Change) { c.Judgements[0].At = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"more than a cap allows":       func(c *jenner.Change) { c.Caps = []jenner.Cap{{Scope: jenner.CapAll, Max: 0}} },
		"a time in the year 9000":      func(c *jenner.Change) { c.Proofs[0].At = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		change := withEverything(stored, "spoilt")
		spoil(&change)
		if err := b.Commit(t.Context(), change); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	same(t, "the record", must[jenner.Record](t)(b.Load(t.Context(), "incident", "a")), stored)
	wantOnly(t, b, "incident", "a", "first")
}

func dueInOrder(t *testing.T, b *bench) {
	for id, second := range map[string]int{"third": 30, "first": 10, "second": 20, "later": 50, "latest": 60} {
		r := record(id, 0)
		r.Due = at(second)
		mustCommit(t, b, jenner.Change{Record: r})
	}
	mustCommit(t, b, jenner.Change{Record: record("waits", 0)}) // never due
	ended := record("ended", 0)
	ended.Due, ended.Ended = at(5), true
	mustCommit(t, b, jenner.Change{Record: ended})
	drill := record("drill", 0)
	drill.Line, drill.Due = "drill", at(5)
	mustCommit(t, b, jenner.Change{Record: drill})

	for _, c := range []struct {
		now   time.Time
		limit int
		ids   []string
		next  time.Time
	}{
		{at(9), 10, nil, at(10)},
		{at(10), 10, []string{"first"}, at(20)}, // due at the very moment
		{at(30), 10, []string{"first", "second", "third"}, at(50)},
		{at(30), 2, []string{"first", "second"}, at(30)}, // the rest is overdue already
		{at(30), 0, nil, at(10)},
		{at(99), 10, []string{"first", "second", "third", "later", "latest"}, time.Time{}},
	} {
		ids, next, err := b.Due(t.Context(), "incident", c.now, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("due at %s, at most %d", c.now, c.limit), ids, c.ids)
		same(t, fmt.Sprintf("the next after %s, at most %d", c.now, c.limit), next, c.next)
	}
	if _, _, err := b.Due(t.Context(), "incident", at(0), -1); err == nil {
		t.Error("a negative limit was taken")
	}
}

func lists(t *testing.T, b *bench) {
	for i, id := range []string{"a", "b", "c", "d"} {
		r := record(id, []int{10, 30, 20, 30}[i])
		r.Ended = id == "c"
		if id == "a" {
			r.Subject = "payments"
		}
		mustCommit(t, b, withEverything(r, id))
	}
	drill := record("drill", 99)
	drill.Line = "drill"
	mustCommit(t, b, jenner.Change{Record: drill})

	for _, c := range []struct {
		filter ListFilter
		ids    []string
	}{
		{ListFilter{}, []string{"d", "b", "c", "a"}},
		{ListFilter{OpenOnly: true}, []string{"d", "b", "a"}},
		{ListFilter{Subject: "payments"}, []string{"a"}},
		{ListFilter{Subject: "nobody"}, nil},
		{ListFilter{Since: at(20)}, []string{"d", "b", "c"}},
		{ListFilter{Limit: 2}, []string{"d", "b"}},
		{ListFilter{OpenOnly: true, Subject: "checkout", Since: at(20), Limit: 9}, []string{"d", "b"}},
	} {
		var ids []string
		for _, r := range must[[]jenner.Record](t)(b.List(t.Context(), "incident", c.filter)) {
			ids = append(ids, r.ID)
			same(t, "what is listed and what is loaded", r, must[jenner.Record](t)(b.Load(t.Context(), "incident", r.ID)))
		}
		same(t, fmt.Sprintf("the list with %+v", c.filter), ids, c.ids)
	}
	if _, err := b.List(t.Context(), "incident", ListFilter{Limit: -1}); err == nil {
		t.Error("a negative limit was taken")
	}
}

func timelines(t *testing.T, b *bench) {
	_, err := b.Timeline(t.Context(), "incident", "a")
	wantError(t, err, jenner.ErrNotFound, "the timeline of nothing")

	r := mustCommit(t, b, jenner.Change{Record: record("a", 0)})
	same(t, "a timeline without entries", must[[]jenner.Entry](t)(b.Timeline(t.Context(), "incident", "a")), []jenner.Entry(nil))
	var want []jenner.Entry
	for i := range 3 {
		// The middle step's entries are older than those before: the order is that of writing.
		entries := []jenner.Entry{filled[jenner.Entry](t, 10*(i%2)), {Text: fmt.Sprint("bare ", i)}}
		want = append(want, entries...)
		r = mustCommit(t, b, jenner.Change{Record: r, Timeline: entries})
	}
	mustCommit(t, b, jenner.Change{Record: record("b", 0), Timeline: []jenner.Entry{{Text: "another incident's"}}})
	same(t, "the timeline", must[[]jenner.Entry](t)(b.Timeline(t.Context(), "incident", "a")), want)
}
