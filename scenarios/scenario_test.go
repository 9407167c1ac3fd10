package main

import (
	"strings"
	"testing"
)

func TestTheLineOfAScenario(t *testing.T) {
	proven := round{Verdict: "PROVEN", DetectedMS: 400, RecoveredMS: 1900}
	stopped := round{Verdict: "PROVEN", DetectedMS: -1, RecoveredMS: -1}
	harmful := round{Verdict: "HARMFUL", DetectedMS: 10, RecoveredMS: 20, Reasons: []string{"it hit another one"}}
	for _, test := range []struct {
		expected string
		rounds   []round
		line     string
		ok       bool
	}{
		{"", []round{proven, proven, {Verdict: "PROVEN", DetectedMS: 900, RecoveredMS: 2500}}, "S2 leak PROVEN 3/3 detected 0.40s recovered 1.90s", true},
		{"", []round{stopped, stopped, stopped}, "S2 leak PROVEN 3/3", true},
		{"", []round{proven, harmful, proven}, "S2 leak HARMFUL 2/3 detected 0.40s recovered 1.90s: it hit another one", false},
		{"", []round{proven, proven}, "S2 leak INCOMPLETE 2/3 detected 0.40s recovered 1.90s: 3 rounds were expected", false},
		{"", nil, "S2 leak INCOMPLETE 0/3: 3 rounds were expected", false},
		{"NOT_NEEDED", []round{{Verdict: "NOT_NEEDED"}, {Verdict: "NOT_NEEDED"}, {Verdict: "NOT_NEEDED"}}, "S2 leak NOT_NEEDED 3/3", true},
		{"NOT_NEEDED", []round{proven, proven, proven}, "S2 leak PROVEN 0/3", false},
	} {
		got := scenario{id: "S2", name: "leak", rounds: 3, verdict: test.expected}.sum(test.rounds)
		if got.line != test.line || got.proven != test.ok {
			t.Errorf("%+v gives %q (%v), want %q (%v)", test.rounds, got.line, got.proven, test.line, test.ok)
		}
	}
}

func TestRounds(t *testing.T) {
	for _, c := range []struct {
		rounds, worlds, wantRounds, wantWorlds int
		drill                                  string
	}{{0, 0, 3, 0, ""}, {0, 3, 3, 3, ""}, {1, 0, 1, 0, "--repeat 1"}, {1, 3, 1, 1, ""}, {5, 1, 5, 1, "--repeat 5"}} {
		s := scenario{rounds: 3, worlds: c.worlds}
		s.inRounds(c.rounds)
		if drill := strings.Join(s.drill, " "); s.rounds != c.wantRounds || s.worlds != c.wantWorlds || drill != c.drill {
			t.Errorf("%d rounds of a scenario in %d worlds: %d rounds, %d worlds, %q", c.rounds, c.worlds, s.rounds, s.worlds, drill)
		}
	}
}

func TestScenariosAreFoundByName(t *testing.T) {
	for names, want := range map[string]string{"S20": "S20 poison", "s2 leak": "S2 leak", "S18": "S18 blind, S18 topology", "S99": ""} {
		chosen, err := choose([]string{names}, false)
		var titles []string
		for _, s := range chosen {
			titles = append(titles, s.title())
		}
		if got := strings.Join(titles, ", "); got != want || (want == "") != (err != nil) {
			t.Errorf("%s chooses %q, %v, want %q", names, got, err, want)
		}
	}
	if all, err := choose(nil, false); err != nil || len(all) < 10 || all[0].id != "S1" {
		t.Errorf("without a name %d scenarios are chosen, %v", len(all), err)
	}
}
