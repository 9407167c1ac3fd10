package jenner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhoASelectorPicks(t *testing.T) {
	checkout := Service{Name: "checkout", Tier: 1, Environment: "production", Owner: "payments-team"}
	for _, c := range []struct {
		name     string
		selector Selector
		picks    bool
	}{
		{"nothing said picks all", Selector{}, true},
		{"its name", Selector{Names: []string{"cart", "checkout"}}, true},
		{"another name", Selector{Names: []string{"cart"}}, false},
		{"a name is not a pattern", Selector{Names: []string{"check*", ""}}, false},
		{"its tier", Selector{Tier: []int{1, 2}}, true},
		{"another tier", Selector{Tier: []int{2}}, false},
		{"its environment", Selector{Environment: []string{"production"}}, true},
		{"another environment", Selector{Environment: []string{"staging"}}, false},
		{"its owner", Selector{Owner: []string{"payments-team"}}, true},
		{"another owner", Selector{Owner: []string{"platform"}}, false},
		{"all must hold", Selector{Names: []string{"checkout"}, Tier: []int{2}}, false},
	} {
		if got := c.selector.Picks(checkout); got != c.picks {
			t.Errorf("%s: %t, want %t", c.name, got, c.picks)
		}
	}
}

// TestOneMoreConditionNeverPicksMore is what makes a selector safe to narrow.
func TestOneMoreConditionNeverPicksMore(t *testing.T) {
	words := rapid.SampledFrom([]string{"", "a", "b"})
	rapid.Check(t, func(t *rapid.T) {
		service := Service{Name: words.Draw(t, "name"), Tier: rapid.IntRange(0, 3).Draw(t, "tier"), Environment: words.Draw(t, "environment"),
			Owner: words.Draw(t, "owner")}
		some := rapid.SliceOfN(words, 0, 2)
		wide := Selector{Names: some.Draw(t, "names"), Environment: some.Draw(t, "environments")}
		narrow := wide
		narrow.Owner = some.Draw(t, "owners")
		narrow.Tier = rapid.SliceOfN(rapid.IntRange(0, 3), 0, 2).Draw(t, "tiers")
		if narrow.Picks(service) && !wide.Picks(service) {
			t.Fatalf("%+v picks %+v, and %+v does not", narrow, service, wide)
		}
	})
}

func TestWhatAWrittenTargetMeans(t *testing.T) {
	docs := &Documents{Services: []Service{
		{Name: "checkout", Targets: []Target{{Kind: "process", Name: "web"}, {Kind: "file", Name: "flags"}, {Kind: "file", Name: "ledger"}}},
		{Name: "ledger", Targets: []Target{{Kind: "process", Name: "main"}, {Kind: "process", Name: "web"}}},
		{Name: "partner"},
	}}
	checkout := docs.Services[0]
	for written, want := range map[string]string{
		"web":          "checkout process/web", // one of its own
		"flags":        "checkout file/flags",  //
		"ledger":       "checkout file/ledger", // its own comes before the service of that name
		"checkout":     "checkout process/web", // a service means its first target
		"ledger/web":   "ledger process/web",   // fully named
		"checkout/web": "checkout process/web", //
		"ledger/flags": "",                     // that service has none of that name
		"cart/web":     "",                     // there is no such service
		"partner":      "",                     // it has no targets
		"nobody":       "",                     //
		"":             "",                     // empty is never everything
		"/":            "",                     //
		"ledger/":      "",                     //
	} {
		service, target, err := docs.Target(written, checkout)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", written)) {
				t.Errorf("%q means %s of %s (%v), and must be refused by name", written, target.Ref(), service.Name, err)
			}
			continue
		}
		if got := service.Name + " " + target.Ref().String(); err != nil || got != want {
			t.Errorf("%q means %q (%v), want %q", written, got, err, want)
		}
	}
}

func TestFingerprints(t *testing.T) {
	if a, b := Fingerprint("rule", "checkout"), Fingerprint("rule", "checkout"); a != b {
		t.Errorf("the same trouble has two fingerprints, %s and %s", a, b)
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[a-c/]{0,3}`)
		one := rapid.SliceOfN(part, 1, 3).Draw(t, "one")
		other := rapid.SliceOfN(part, 1, 3).Draw(t, "other")
		if same := Fingerprint(one...) == Fingerprint(other...); same != slices.Equal(one, other) {
			t.Fatalf("%q and %q: the same fingerprint is %t", one, other, same)
		}
	})
}

func TestEqualDocumentsHaveEqualHashes(t *testing.T) {
	book := Runbook{Name: "restart", Steps: []Step{{Name: "again", Action: "restart"}}, Source: Source{File: "a.yaml", Line: 3}}
	moved := book
	moved.Source = Source{File: "b.yaml", Line: 70}
	if Hash(book) != Hash(moved) {
		t.Error("where a document stands changes its hash")
	}
	changed := book
	changed.Steps = []Step{{Name: "again", Action: "stop"}}
	if Hash(book) == Hash(changed) {
		t.Error("another action has the same hash")
	}
}

func TestWhatHappensAfterAnError(t *testing.T) {
	plain := errors.New("disk full")
	for _, c := range []struct {
		name string
		err  error
		next What
	}{
		{"retryable", Retryable(plain, ""), TryAgain},
		{"permanent", Permanent(plain, ""), NeverMind},
		{"for a human", ForHuman(plain, ""), TellHuman},
		{"nothing said: never repeat blindly", plain, NeverMind},
		{"no error at all", nil, NeverMind},
		{"wrapped", fmt.Errorf("restart: %w", Retryable(plain, "")), TryAgain},
		{"the outer word counts", Permanent(Retryable(plain, ""), ""), NeverMind},
		{"one of several", errors.Join(plain, ForHuman(plain, "")), TellHuman},
	} {
		if got := NextAfter(c.err); got != c.next {
			t.Errorf("%s: %s, want %s", c.name, got, c.next)
		}
	}
	hinted := ForHuman(plain, "make room")
	if got := hinted.Error(); got != "disk full; make room" || !errors.Is(hinted, plain) {
		t.Errorf("it says %q, and its cause is lost: %t", got, !errors.Is(hinted, plain))
	}
}

func TestADecisionIsTheShyest(t *testing.T) {
	order := []DecisionOutcome{DecideAct, DecideAsk, DecideRecommend, DecideWait, DecideRefuse, "nobody knows this"}
	for i := 1; i < len(order); i++ {
		if order[i-1].Shyness() >= order[i].Shyness() {
			t.Errorf("%q is not bolder than %q", order[i-1], order[i])
		}
	}
	decision := Decision{Outcome: DecideWait, Guards: []GuardResult{{Guard: "tier", Outcome: DecideAct},
		{Guard: "cooldown", Outcome: DecideWait}, {Guard: "blast", Outcome: DecideWait}}}
	if got := decision.Stopper().Guard; got != "cooldown" {
		t.Errorf("the stopper is %q, want the first that asked to wait", got)
	}
	if got := (Decision{Outcome: DecideAct, Guards: decision.Guards}).Stopper().Guard; got != "" {
		t.Errorf("a decision to act has the stopper %q", got)
	}
}

func TestWhatAHoldCovers(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		hold   Hold
		covers bool
	}{
		{"the kill switch", Hold{Scope: HoldAll}, true},
		{"its own", Hold{Scope: "checkout"}, true},
		{"another's", Hold{Scope: "ledger"}, false},
		{"until later", Hold{Scope: HoldAll, Until: now.Add(time.Nanosecond)}, true},
		{"until now", Hold{Scope: HoldAll, Until: now}, false},
	} {
		if got := c.hold.Covers("checkout", now); got != c.covers {
			t.Errorf("%s: %t, want %t", c.name, got, c.covers)
		}
	}
}

func TestNothingSaidIsTheShyMode(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		policy Policy
		mode   Mode
	}{
		{Policy{}, ModeRecommend},
		{Policy{AutoExecute: &yes}, ModeAuto},
		{Policy{AutoExecute: &no}, ModeRecommend},
		{Policy{Mode: ModeShadow}, ModeShadow},
	} {
		if got := c.policy.EffectiveMode(); got != c.mode {
			t.Errorf("%+v is %s, want %s", c.policy, got, c.mode)
		}
	}
}

func TestAnOldAnswerIsNotFresh(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for ago, fresh := range map[time.Duration]bool{0: true, 2500 * time.Millisecond: true, 2501 * time.Millisecond: false} {
		if got := (ProbeState{At: now.Add(-ago), Every: 500 * time.Millisecond}).Fresh(now); got != fresh {
			t.Errorf("an answer of %s ago is fresh: %t, want %t", ago, got, fresh)
		}
	}
	if (ProbeState{Every: time.Hour}).Fresh(now) {
		t.Error("an answer that never came is fresh")
	}
}
