package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func judgements(t *testing.T, b *bench) {
	late, early, other := filled[jenner.Judgement](t, 500), filled[jenner.Judgement](t, 0), filled[jenner.Judgement](t, 100)
	late.Policy, early.Policy, other.Policy = "careful", "careful", "bold"
	r := mustCommit(t, b, jenner.Change{Record: record("a", 0), Judgements: []jenner.Judgement{late, other}})
	mustCommit(t, b, jenner.Change{Record: r, Judgements: []jenner.Judgement{early}})

	read := func(policy string, since time.Time) []jenner.Judgement {
		return must[[]jenner.Judgement](t)(b.Judgements(t.Context(), policy, since))
	}
	same(t, "all", read("", time.Time{}), []jenner.Judgement{early, other, late})
	same(t, "all since the second", read("", other.At), []jenner.Judgement{other, late})
	same(t, "of one policy", read("careful", time.Time{}), []jenner.Judgement{early, late})
	same(t, "of one policy since its second", read("careful", late.At), []jenner.Judgement{late})
	same(t, "after it", read("careful", late.At.Add(1)), []jenner.Judgement(nil))
	same(t, "of nobody", read("nobody", time.Time{}), []jenner.Judgement(nil))
}

func put(t *testing.T, b *bench, votes ...jenner.Vote) {
	t.Helper()
	for _, vote := range votes {
		if err := b.PutVote(t.Context(), vote); err != nil {
			t.Fatalf("the vote of %s: %v", vote.Person, err)
		}
	}
}

func votesAreOne(t *testing.T, b *bench) {
	whole := filled[jenner.Vote](t, 300)
	whole.Request = "i/a1"
	ada := jenner.Vote{Request: "i/a1", Person: "ada", Yes: true, At: at(20)}
	bob := jenner.Vote{Request: "i/a1", Person: "bob", At: at(10), Reason: "not on a Friday"}
	elsewhere := jenner.Vote{Request: "i/a2", Person: "ada", Yes: true, At: at(1)}
	ahead := jenner.Vote{Service: "shop", Runbook: "restart", Until: at(99), Person: "ada", Yes: true, At: at(15)}
	over := jenner.Vote{Service: "shop", Runbook: "restart", Until: at(16), Person: "bob", Yes: true, At: at(5)}
	drain := jenner.Vote{Service: "shop", Runbook: "drain", Until: at(99), Person: "ada", Yes: true, At: at(2)}
	put(t, b, whole, ada, bob, elsewhere, ahead, over, drain)

	read := func(request, service, runbook string) []jenner.Vote {
		return must[[]jenner.Vote](t)(b.Votes(t.Context(), request, service, runbook))
	}
	same(t, "on a request", read("i/a1", "", ""), []jenner.Vote{bob, ada, whole})
	same(t, "on a request, and ahead", read("i/a1", "shop", "restart"), []jenner.Vote{over, bob, ahead, ada, whole})
	same(t, "ahead alone", read("", "shop", "restart"), []jenner.Vote{over, ahead})
	same(t, "on nothing", read("", "", ""), []jenner.Vote(nil))
	same(t, "on the service of a vote on a request", read("", whole.Service, whole.Runbook), []jenner.Vote(nil))
	same(t, "on another request", read("i/a2", "shop", "nothing"), []jenner.Vote{elsewhere})

	changed := ada
	changed.Yes, changed.At, changed.Reason = false, at(30), "it is worse now"
	longer := over
	longer.Until, longer.At = at(200), at(31)
	put(t, b, changed, longer)
	same(t, "after two said another word", read("i/a1", "shop", "restart"), []jenner.Vote{bob, ahead, changed, longer, whole})
}

func votesAudited(t *testing.T, b *bench) {
	vote := jenner.Vote{Request: "i/a1", Person: "ada", Yes: true, At: at(20), Reason: "go on"}
	again := vote
	again.At, again.Reason = at(25), "really"
	ahead := jenner.Vote{Service: "shop", Runbook: "restart", Until: at(99), Person: "bob", Yes: true, At: at(30)}
	no := vote
	no.Yes, no.At = false, at(40)
	put(t, b, vote, vote, again, ahead, ahead, no)
	same(t, "the votes", must[[]jenner.Vote](t)(b.Votes(t.Context(), "i/a1", "shop", "restart")), []jenner.Vote{ahead, no})

	entries := must[[]jenner.AuditEntry](t)(b.AuditEntries(t.Context(), 0, 10))
	want := []struct {
		vote    jenner.Vote
		subject string
	}{{vote, "i/a1"}, {ahead, "shop/restart"}, {no, "i/a1"}}
	if len(entries) != len(want) {
		t.Fatalf("%d votes that were news are %d audit entries", len(want), len(entries))
	}
	for i, entry := range entries {
		var told jenner.Vote
		if err := json.Unmarshal(entry.Data, &told); err != nil {
			t.Fatal(err)
		}
		same(t, "what the entry tells", told, want[i].vote)
		entry.Data = nil
		same(t, "the entry", entry, jenner.AuditEntry{At: want[i].vote.At, Kind: "vote", Subject: want[i].subject, Actor: want[i].vote.Person})
	}
}

func votesRefused(t *testing.T, b *bench) {
	for what, vote := range map[string]jenner.Vote{
		"nobody's":              {Request: "i/a1", Yes: true, At: at(1)},
		"nobody's, ahead":       {Service: "shop", Runbook: "restart", Until: at(9), Yes: true, At: at(1)},
		"on nothing":            {Person: "ada", Yes: true, At: at(1)},
		"ahead without an end":  {Person: "ada", Service: "shop", Runbook: "restart", At: at(1)},
		"ahead for any service": {Person: "ada", Runbook: "restart", Until: at(9), At: at(1)},
		"ahead for any runbook": {Person: "ada", Service: "shop", Until: at(9), At: at(1)},
		"in the year 9000":      {Person: "ada", Request: "i/a1", At: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := b.PutVote(t.Context(), vote); err == nil {
			t.Errorf("a vote %s was taken", what)
		}
	}
	// Two things may have one key where names have blanks in them; then the second word must not take the first away.
	put(t, b, jenner.Vote{Request: "a b", Person: "c", At: at(1)})
	if err := b.PutVote(t.Context(), jenner.Vote{Request: "a", Person: "b c", At: at(2)}); err == nil {
		t.Error("a vote took the place of somebody else's")
	}
	same(t, "the votes", must[[]jenner.Vote](t)(b.Votes(t.Context(), "a b", "", "")), []jenner.Vote{{Request: "a b", Person: "c", At: at(1)}})
	if entries := entriesOf(t, b); entries != 1 {
		t.Errorf("one vote was taken, and the audit log has %d entries", entries)
	}
}
