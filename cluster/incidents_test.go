package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

func sick(phase jenner.Phase, ended bool) jenner.Record {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return jenner.Record{Line: "incident", ID: "i-1", Subject: "shop", Phase: phase, Ended: ended, Updated: at.Add(time.Minute),
		State: jenner.Raw(jenner.Incident{ID: "i-1", Service: "shop", OpenedAt: at, Alerts: []jenner.Alert{{Name: "b"}, {Name: "a"}, {Name: "b"}},
			Diagnosis: jenner.Diagnosis{Causes: []jenner.RankedCause{{Cause: "crashed", Confidence: 0.876, Target: jenner.TargetRef{Kind: "deployment", Name: "web"}}}},
			Policy:    jenner.Policy{Name: "crash"}, Outcome: "well again",
			Decisions: []jenner.Decision{{Outcome: jenner.DecideRefuse, Runbook: "restart", Target: jenner.TargetRef{Kind: "deployment", Name: "web"},
				Guards: []jenner.GuardResult{{Guard: "cooldown", Outcome: jenner.DecideRefuse, Reason: "2m left"}}}}})}
}

// TestWhatAnIncidentShows is what the columns and people read.
func TestWhatAnIncidentShows(t *testing.T) {
	got, err := incidentObject(sick(jenner.PhaseResolved, true))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "jenner.dev/v1alpha1", "kind": "Incident",
		"metadata": map[string]any{"name": "i-1", "labels": map[string]any{"jenner.dev/ended": "true", "jenner.dev/service": "shop"}},
		"spec":     map[string]any{"service": "shop", "openedAt": "2026-01-01T12:00:00Z"},
		"status": map[string]any{"phase": "resolved", "cause": "crashed", "confidence": "0.88", "target": "deployment/web", "policy": "crash",
			"runbook": "restart", "decision": "refuse: restart on deployment/web; guard cooldown: 2m left", "outcome": "well again",
			"alerts": []string{"a", "b"}, "endedAt": "2026-01-01T12:01:00Z"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if mistakes := validated(t, "incidents", got); len(mistakes) > 0 {
		t.Errorf("its own schema refuses it: %v", mistakes)
	}
	open, err := incidentObject(jenner.Record{ID: "i-2", Phase: jenner.PhaseDetected, State: jenner.Raw(jenner.Incident{Service: "a b"})})
	if err != nil {
		t.Fatal(err)
	}
	if labels := open["metadata"].(map[string]any)["labels"]; !cmp.Equal(labels, map[string]any{"jenner.dev/ended": "false"}) {
		t.Errorf("a service that can be no label has the labels %v", labels)
	}
}

// TestFits: what the API server takes as the value of a label.
func TestFits(t *testing.T) {
	for value, want := range map[string]bool{"shop": true, "a-b_c.D1": true, "": false, "-a": false, "a.": false, "a b": false, "ü": false,
		strings.Repeat("a", 63): true, strings.Repeat("a", 64): false} {
		if fits(value) != want {
			t.Errorf("fits(%q) is %v", value, !want)
		}
	}
}

// TestWhatIsHeardOfAChange: one event for each decision, and one for an end that people should hear of.
func TestWhatIsHeardOfAChange(t *testing.T) {
	decision := func(outcome jenner.DecisionOutcome) jenner.Entry {
		return jenner.Entry{Kind: jenner.EntryDecision, Data: jenner.Raw(jenner.Decision{Outcome: outcome, Runbook: "restart", Service: "web"})}
	}
	acted := sick(jenner.PhaseResolved, true)
	acted.State = jenner.Raw(jenner.Incident{ID: "i-1", Service: "shop", Runs: []jenner.Run{{ID: "r"}}})
	for name, test := range map[string]struct {
		change jenner.Change
		want   string
	}{
		"every decision": {jenner.Change{Record: sick(jenner.PhasePlanned, false), Timeline: []jenner.Entry{decision(jenner.DecideAct), decision(jenner.DecideAsk),
			decision(jenner.DecideRecommend), decision(jenner.DecideWait), decision(jenner.DecideRefuse), {Kind: "note"}}},
			"JennerActed web JennerAsked web JennerRecommended web JennerWaits web JennerRefused web"},
		"escalated":           {jenner.Change{Record: sick(jenner.PhaseEscalated, true)}, "JennerEscalated shop"},
		"healed":              {jenner.Change{Record: acted}, "JennerResolved shop"},
		"cleared by itself":   {jenner.Change{Record: sick(jenner.PhaseResolved, true)}, ""},
		"of another line":     {jenner.Change{Record: jenner.Record{Line: "drill", Phase: jenner.PhaseEscalated, Ended: true}}, ""},
		"a symptom of others": {jenner.Change{Record: sick(jenner.PhaseSuppressed, true)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&Connection{}).Show(ShowOptions{}, NewTally())
			s.Committed(test.change)
			var got []string
			for {
				_, h, some := s.events.take()
				if !some {
					break
				}
				got = append(got, h.reason+" "+h.service)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("heard %q, want %q", got, test.want)
			}
		})
	}
}

// TestEventsOfOneObjectAreRationed, and those of another one are not touched by it.
func TestEventsOfOneObjectAreRationed(t *testing.T) {
	var v voice
	told := 0
	for range 100 {
		if v.may("web") {
			told++
		}
	}
	if told < eventsBurst || told > eventsBurst+2 || !v.may("db") {
		t.Errorf("of 100 events %d are told at once", told)
	}
}
