package jenner_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

func TestPicksAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]jenner.Pick{"one": {Count: 1}, "3": {Count: 3}, "25%": {Share: 0.25}, " 0.5% ": {Share: 0.005}} {
		var pick jenner.Pick
		if err := pick.UnmarshalText([]byte(text)); err != nil || pick != want {
			t.Errorf("%q is %+v (%v), want %+v", text, pick, err, want)
		}
		var again jenner.Pick
		if err := json.Unmarshal(jenner.Raw(pick), &again); err != nil || again != pick {
			t.Errorf("%q is written as %s and read as %+v (%v)", text, jenner.Raw(pick), again, err)
		}
	}
	for _, text := range []string{"", "0", "0%", "-1", "101%", "all", "one two", "1.5", "%", "0.25"} {
		var pick jenner.Pick
		if err := pick.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, pick)
		}
	}
}

// TestAPickIsNeverMoreThanAllowed: never more than there are or than the cap, never none of some, and a share never rounds
// up but for the first.
func TestAPickIsNeverMoreThanAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total, most := rapid.IntRange(-1, 300).Draw(t, "total"), rapid.IntRange(-1, 50).Draw(t, "most")
		pick := jenner.Pick{Count: rapid.IntRange(1, 60).Draw(t, "count")}
		if rapid.Bool().Draw(t, "share") {
			pick = jenner.Pick{Share: jenner.Share(float64(rapid.IntRange(1, 100).Draw(t, "percent")) / 100)}
		}
		got := pick.Of(total, most)
		switch {
		case total <= 0 || most <= 0:
			if got != 0 {
				t.Fatalf("%+v of %d is %d", pick, total, got)
			}
		case got < 1 || got > total || got > most:
			t.Fatalf("%+v of %d, at most %d, is %d", pick, total, most, got)
		case pick.Share > 0 && got > 1 && float64(got) > float64(pick.Share)*float64(total)+1e-6:
			t.Fatalf("%+v of %d is %d, which is more than the share", pick, total, got)
		case pick.Share > 0 && total <= most && float64(got) < float64(pick.Share)*float64(total)-1:
			t.Fatalf("%+v of %d is only %d", pick, total, got)
		}
	})
	if got := (jenner.Pick{}).Of(10, 10); got != 0 {
		t.Errorf("the zero pick picks %d", got)
	}
	if got := (jenner.Pick{Share: 0.29}).Of(100, 100); got != 29 {
		t.Errorf("29%% of 100 is %d", got)
	}
}

// TestDraws: the same seed draws the same, different things, in order; and what a smaller count draws is part of what a
// larger one draws.
func TestDraws(t *testing.T) {
	differ := false
	rapid.Check(t, func(t *rapid.T) {
		total, seed, salt := rapid.IntRange(1, 60).Draw(t, "total"), rapid.Uint64().Draw(t, "seed"), rapid.Uint64Range(0, 5).Draw(t, "salt")
		count := rapid.IntRange(0, total).Draw(t, "count")
		drawn := jenner.Draw(total, count, seed, salt)
		if !slices.Equal(drawn, jenner.Draw(total, count, seed, salt)) {
			t.Fatal("drawn twice it is not the same")
		}
		if len(drawn) != count || !slices.IsSorted(drawn) || len(slices.Compact(slices.Clone(drawn))) != count {
			t.Fatalf("%d of %d are %v", count, total, drawn)
		}
		for _, place := range drawn {
			if place < 0 || place >= total {
				t.Fatalf("%d of %d are %v", count, total, drawn)
			}
		}
		more := jenner.Draw(total, min(total, count+1), seed, salt)
		for _, place := range drawn {
			if !slices.Contains(more, place) {
				t.Fatalf("%v are not among %v", drawn, more)
			}
		}
		differ = differ || !slices.Equal(drawn, jenner.Draw(total, count, seed+1, salt))
	})
	if !differ {
		t.Error("the seed changes nothing")
	}
}

func TestAStageIsTheExperimentElsewhereOrSmaller(t *testing.T) {
	zero := jenner.Number(0)
	experiment := jenner.Experiment{Name: "e", Service: "shop",
		Faults: []jenner.FaultSpec{{Fault: "kill", Target: "shop"}, {Fault: "delay", Target: "shop/proxy", Params: jenner.Params{"delay": jenner.Raw("1s")}},
			{Fault: "kill", Of: "shop", Pick: jenner.Pick{Count: 7}, MaxTargets: 3}, {Fault: "hang", Target: "worker"}},
		Expect:  jenner.Expectation{Target: "shop", Invariants: []jenner.Invariant{{Name: "lost", PromQL: `lost{service="$service"}`, RisesAtMost: &zero}}},
		Stages:  []jenner.Stage{{Name: "staging", Service: "shop-staging"}, {Name: "some", Share: 0.1}, {Name: "traffic", Share: 0.01, By: jenner.StageByTraffic}, {Name: "all"}},
		AbortIf: []string{`probe("$service", "ready").failing`}, SteadyState: []string{`metric("up{service='$service'}") > 0`},
		Measure: map[string]string{"orders": `orders{service="$service"}`},
	}
	before := jenner.Raw(experiment)
	staging := experiment.At(0)
	want := []jenner.FaultSpec{{Fault: "kill", Target: "shop-staging"}, {Fault: "delay", Target: "shop-staging/proxy", Params: experiment.Faults[1].Params},
		{Fault: "kill", Of: "shop-staging", Pick: jenner.Pick{Count: 7}, MaxTargets: 3}, {Fault: "hang", Target: "worker"}}
	if diff := cmp.Diff(want, staging.Faults); diff != "" || staging.Service != "shop-staging" || staging.Expect.Target != "shop-staging" {
		t.Errorf("staging is %+v (-want +got):\n%s", staging, diff)
	}
	if staging.AbortIf[0] != `probe("shop-staging", "ready").failing` || staging.SteadyState[0] != `metric("up{service='shop-staging'}") > 0` ||
		staging.Measure["orders"] != `orders{service="shop-staging"}` || staging.Expect.Invariants[0].PromQL != `lost{service="shop-staging"}` {
		t.Errorf("the service is not named: %+v", staging)
	}
	some := experiment.At(1)
	for i, fault := range some.Faults {
		if fault.Pick != (jenner.Pick{Share: 0.1}) || fault.MaxTargets != experiment.Faults[i].MaxTargets {
			t.Errorf("a share of the targets: %+v", fault)
		}
	}
	for i, fault := range experiment.At(2).Faults {
		if string(fault.Params["share"]) != `"1%"` || fault.Pick != experiment.Faults[i].Pick {
			t.Errorf("a share of the traffic: %+v", fault)
		}
	}
	if diff := cmp.Diff(experiment.Faults, experiment.At(3).Faults); diff != "" {
		t.Errorf("a stage with everything (-want +got):\n%s", diff)
	}
	if string(jenner.Raw(experiment)) != string(before) {
		t.Error("the experiment itself was changed")
	}
}
