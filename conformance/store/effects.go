package storetest

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

// effectsWithChange: a change brings the results of effects and the intents of those that may follow, as Finish and Begin
// would, and the audit log tells of them in the order in which they came.
func effectsWithChange(t *testing.T, b *bench) {
	begun, _ := begin(t, b, intent(t, "one", 0))
	done := ended(t, begun, jenner.IntentDone)
	next := intent(t, "two", 300)
	change := jenner.Change{Record: record("a", 0), Results: []jenner.Intent{done}, Intents: []jenner.Intent{next},
		Audit: []jenner.AuditEntry{{At: at(0), Kind: "step", Subject: "a"}}}
	mustCommit(t, b, change)
	same(t, "the result", must[jenner.Intent](t)(b.Intent(t.Context(), "one")), done)
	same(t, "the intent", must[jenner.Intent](t)(b.Intent(t.Context(), "two")), next)
	same(t, "the open intents", must[[]jenner.Intent](t)(b.OpenIntents(t.Context())), []jenner.Intent{next})
	if stored, fresh := begin(t, b, next); fresh {
		t.Errorf("the intent is begun once more: %+v", stored)
	}
	var told []string
	for _, entry := range must[[]jenner.AuditEntry](t)(b.AuditEntries(t.Context(), 0, 10)) {
		told = append(told, entry.Kind)
	}
	same(t, "the audit log", told, []string{"intent", "result", "step", "intent"})
}

// effectsRefused: what cannot be begun or finished refuses the whole change.
func effectsRefused(t *testing.T, b *bench) {
	begun, _ := begin(t, b, intent(t, "one", 0))
	done := ended(t, begun, jenner.IntentDone)
	if err := b.Finish(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	stored := mustCommit(t, b, withEverything(record("a", 0), "first"))
	before := entriesOf(t, b)
	other := done
	other.State = jenner.IntentFailed
	for _, c := range []struct {
		what  string
		want  error
		spoil func(*jenner.Change)
	}{
		{"an intent that was begun before", jenner.ErrConflict, func(c *jenner.Change) { c.Intents = []jenner.Intent{intent(t, "two", 0), intent(t, "one", 0)} }},
		{"another result", jenner.ErrConflict, func(c *jenner.Change) { c.Results = []jenner.Intent{other} }},
		{"a result of what was never begun", jenner.ErrNotFound, func(c *jenner.Change) {
			c.Results = []jenner.Intent{ended(t, intent(t, "three", 0), jenner.IntentDone)}
		}},
	} {
		change := withEverything(stored, "spoilt")
		c.spoil(&change)
		wantError(t, b.Commit(t.Context(), change), c.want, c.what)
	}
	same(t, "the record", must[jenner.Record](t)(b.Load(t.Context(), "incident", "a")), stored)
	_, err := b.Intent(t.Context(), "two")
	wantError(t, err, jenner.ErrNotFound, "an intent of a change that was refused")
	if after := entriesOf(t, b); after != before {
		t.Errorf("the audit log went from %d to %d entries", before, after)
	}
	again := withEverything(stored, "again")
	again.Results = []jenner.Intent{done} // the same result once more is no news
	mustCommit(t, b, again)
}
