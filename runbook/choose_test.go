package runbook_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

func policy(name string, services jenner.Selector, books ...string) jenner.Policy {
	return jenner.Policy{Name: name, IncidentType: "crashed", Services: services, Runbooks: books, Mode: jenner.ModeAuto}
}

var shop = jenner.Service{Name: "shop", Tier: 1, Environment: "production", Owner: "a"}

func TestChooseTakesTheMostSpecificPolicy(t *testing.T) {
	all := policy("all", jenner.Selector{}, "restart")
	tier := policy("by-tier", jenner.Selector{Tier: []int{1, 2}}, "restart")
	environment := policy("by-environment", jenner.Selector{Environment: []string{"production"}}, "restart")
	name := policy("by-name", jenner.Selector{Names: []string{"shop"}}, "drain", "restart")
	two := policy("by-two", jenner.Selector{Tier: []int{1}, Environment: []string{"production"}}, "restart")
	other := policy("a-other", jenner.Selector{Names: []string{"bank"}, Tier: []int{1}, Owner: []string{"a"}}, "restart")
	same := policy("also-by-tier", jenner.Selector{Tier: []int{1}}, "restart")
	hung := policy("a-hung", jenner.Selector{Names: []string{"shop"}}, "restart")
	hung.IncidentType = "hung"
	for _, story := range []struct {
		policies []jenner.Policy
		want     string
	}{
		{[]jenner.Policy{all}, "all"},
		{[]jenner.Policy{all, tier}, "by-tier"},
		{[]jenner.Policy{tier, environment}, "by-environment"},
		{[]jenner.Policy{environment, name, tier, all}, "by-name"},
		{[]jenner.Policy{name, two}, "by-two"},
		{[]jenner.Policy{all, other, hung}, "all"},
		{[]jenner.Policy{tier, same}, "also-by-tier"},
		{[]jenner.Policy{other, hung}, ""},
		{nil, ""},
	} {
		for range 2 { // the order of the files does not matter
			got, books, found := runbook.Choose(story.policies, jenner.RankedCause{Cause: "crashed"}, shop, nil)
			if got.Name != story.want || found != (story.want != "") || found && !slices.Equal(books, got.Runbooks) {
				t.Errorf("chose %q with %v (%v), want %q", got.Name, books, found, story.want)
			}
			slices.Reverse(story.policies)
		}
	}
}

func TestChooseForATrigger(t *testing.T) {
	triggers := map[string]jenner.Runbook{"drain": {Name: "drain", Trigger: &jenner.Trigger{Alert: "pool > 90%"}}}
	cause := jenner.RankedCause{Cause: "drain"}
	got, books, found := runbook.Choose(nil, cause, shop, triggers)
	if !found || got.EffectiveMode() != jenner.ModeRecommend || got.IncidentType != "drain" || !slices.Equal(books, []string{"drain"}) {
		t.Errorf("without a policy: chose %+v with %v, %v; want to recommend drain", got, books, found)
	}

	listing := policy("lists-it", jenner.Selector{}, "restart", "drain")
	got, books, found = runbook.Choose([]jenner.Policy{listing}, cause, shop, triggers)
	if !found || got.Name != "lists-it" || !slices.Equal(books, []string{"drain"}) {
		t.Errorf("with a policy that lists it: chose %s with %v, %v; want lists-it with drain alone", got.Name, books, found)
	}

	named := policy("for-it", jenner.Selector{})
	named.IncidentType = "drain"
	got, books, found = runbook.Choose([]jenner.Policy{listing, named}, cause, shop, triggers)
	if !found || got.Name != "for-it" || !slices.Equal(books, []string{"drain"}) {
		t.Errorf("with a policy for it: chose %s with %v, %v; want for-it with drain", got.Name, books, found)
	}

	if _, books, found := runbook.Choose([]jenner.Policy{listing}, cause, shop, nil); found {
		t.Errorf("a runbook without a trigger is no cause; got %v", books)
	}
}

// Whatever the policies, the chosen one fits, and shuffling changes nothing.
func TestChooseIsAFunctionOfTheSetOfPolicies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := func(label string, from ...string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(from), 0, 2).Draw(t, label)
		}
		var policies []jenner.Policy
		for i := range rapid.IntRange(0, 6).Draw(t, "policies") {
			policies = append(policies, policy(string(rune('a'+i)), jenner.Selector{
				Names: words("names", "shop", "bank"), Environment: words("environment", "production", "test"),
				Tier: rapid.SliceOfN(rapid.IntRange(1, 2), 0, 2).Draw(t, "tier"),
			}, "restart"))
		}
		got, _, found := runbook.Choose(policies, jenner.RankedCause{Cause: "crashed"}, shop, nil)
		fits := slices.ContainsFunc(policies, func(p jenner.Policy) bool { return p.Services.Picks(shop) })
		if found != fits || found && !got.Services.Picks(shop) {
			t.Fatalf("chose %+v, %v; a policy fits: %v", got, found, fits)
		}
		shuffled := rapid.Permutation(policies).Draw(t, "shuffled")
		if again, _, _ := runbook.Choose(shuffled, jenner.RankedCause{Cause: "crashed"}, shop, nil); again.Name != got.Name {
			t.Fatalf("chose %s, and %s in another order", got.Name, again.Name)
		}
	})
}
