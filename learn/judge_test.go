package learn_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

var judged = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// TestR29WasWhatWasForeseenRight: something was proposed in shadow, and then the incident took its course.
func TestR29WasWhatWasForeseenRight(t *testing.T) {
	foreseen := jenner.Foreseen{Policy: "crashes", Service: "db", Runbook: "restart", Version: "v1", Mode: jenner.ModeShadow,
		Outcome: jenner.DecideRefuse}
	for _, c := range []struct {
		alike jenner.Rightness
		phase jenner.Phase
		want  jenner.Rightness
		why   string
	}{
		{"right", "resolved", "right", "a person did the same, and it recovered"},
		{"right", "escalated", "wrong", "a person did the same, and it did not recover"},
		{"right", "suppressed", "unknown", "the incident was not seen to its end: it is suppressed"},
		{"wrong", "resolved", "wrong", "it recovered without it"},
		{"wrong", "escalated", "unknown", "nobody did it, and it did not recover"},
		{"wrong", "suppressed", "unknown", "the incident was not seen to its end: it is suppressed"},
		{"unknown", "resolved", "unknown", "it cannot be told whether somebody did the same"},
		{"unknown", "escalated", "unknown", "it cannot be told whether somebody did the same"},
		{"", "resolved", "unknown", "it cannot be told whether somebody did the same"},
		{"right", "acting", "unknown", "the incident was not seen to its end: it is acting"},
	} {
		got := learn.JudgeForeseen(foreseen, c.alike, jenner.Incident{ID: "i1", Service: "shop"}, c.phase, judged)
		want := jenner.Judgement{At: judged, Incident: "i1", Policy: "crashes", Service: "db", Runbook: "restart", Version: "v1",
			Mode: jenner.ModeShadow, Outcome: jenner.DecideRefuse, Right: c.want, Why: c.why}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("alike %q, %s:\n%s", c.alike, c.phase, diff)
		}
	}
}

func TestWasTheRunRight(t *testing.T) {
	book := jenner.Runbook{Name: "restart", Steps: []jenner.Step{{Name: "again", Action: "restart"}}}
	web := jenner.TargetRef{Kind: "process", Name: "web"}
	run := jenner.Run{Runbook: book, Policy: "crashes", Target: web}
	incident := jenner.Incident{ID: "i1", Service: "shop", Verification: jenner.Verification{Checks: []jenner.Check{
		{Name: "ready", Outcome: jenner.Failed}, {Name: "alive", Outcome: jenner.Passed}, {Name: "latency", Outcome: jenner.Failed}}}}
	for _, c := range []struct {
		verification jenner.CheckOutcome
		want         jenner.Rightness
		failed       bool
		why          string
	}{
		{jenner.Passed, "right", false, "it was done, and the verification passed"},
		{jenner.Failed, "wrong", true, "it was done, and the verification failed: ready, latency"},
		{jenner.Inconclusive, "unknown", false, "it was done, and the verification could not tell"},
		{"", "unknown", false, "it was done, and the verification could not tell"},
	} {
		got := learn.JudgeRun(incident, run, jenner.ModeAuto, c.verification, judged)
		want := jenner.Judgement{At: judged, Incident: "i1", Policy: "crashes", Service: "shop", Runbook: "restart",
			Version: jenner.Hash(book), Mode: jenner.ModeAuto, Outcome: jenner.DecideAct, Right: c.want, Failed: c.failed, Why: c.why}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", c.verification, diff)
		}
	}
	incident.Diagnosis.Causes = []jenner.RankedCause{{Service: "db"}}
	if got := learn.JudgeRun(incident, run, jenner.ModeAuto, jenner.Passed, judged); got.Service != "db" {
		t.Errorf("the service that was diagnosed is db, and the judgement is about %s", got.Service)
	}
	incident.Decisions = []jenner.Decision{
		{Runbook: "restart", Service: "old", Target: web}, {Runbook: "restart", Service: "web", Target: web},
		{Runbook: "restart", Service: "other", Target: jenner.TargetRef{Kind: "process", Name: "x"}}, {Runbook: "failover", Service: "no", Target: web}}
	if got := learn.JudgeRun(incident, run, jenner.ModeAuto, jenner.Passed, judged); got.Service != "web" {
		t.Errorf("the newest decision was about web, and the judgement is about %s", got.Service)
	}
}

func TestWasItRightToAsk(t *testing.T) {
	at := func(minute int) time.Time { return judged.Add(time.Duration(minute) * time.Minute) }
	votes := []jenner.Vote{
		{Person: "ada", At: at(2), Reason: "it is the campaign"},
		{Person: "grace", At: at(1), Reason: "too early"},
		{Person: "edward", At: at(3), Yes: true},
	}
	for _, c := range []struct {
		name   string
		closed jenner.RequestEnd
		votes  []jenner.Vote
		later  bool
		want   jenner.Rightness
		why    string
	}{
		{"rejected", jenner.RequestRejected, votes, false, "wrong", "rejected by ada: it is the campaign"},
		{"rejected without a reason", jenner.RequestRejected, []jenner.Vote{{Person: "ada"}}, false, "wrong", "rejected by ada"},
		{"rejected by nobody known", jenner.RequestRejected, nil, false, "wrong", "rejected"},
		{"granted", jenner.RequestGranted, votes, false, "unknown", "it was granted; how the run comes out tells"},
		{"expired", jenner.RequestExpired, nil, false, "unknown", "it expired before enough people had answered"},
		{"withdrawn", jenner.RequestWithdrawn, nil, false, "wrong", "it passed by itself while people were asked"},
		{"overtaken", jenner.RequestWithdrawn, nil, true, "unknown", "something else was proposed while people were asked"},
		{"open", "", nil, false, "unknown", "people are still asked"},
	} {
		request := jenner.Request{ID: "i1/a1", Service: "db", Runbook: "restart", Version: "v1", Closed: c.closed, Votes: c.votes}
		incident := jenner.Incident{ID: "i1", Service: "shop", Policy: jenner.Policy{Name: "crashes"}, Requests: []jenner.Request{request}}
		if c.later {
			incident.Requests = append(incident.Requests, jenner.Request{ID: "i1/a2"})
		}
		got := learn.JudgeRequest(incident, request, jenner.ModeApprove, judged)
		want := jenner.Judgement{At: judged, Incident: "i1", Policy: "crashes", Service: "db", Runbook: "restart", Version: "v1",
			Mode: jenner.ModeApprove, Outcome: jenner.DecideAsk, Right: c.want, Why: c.why}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestARunsJudgementCounts: what JudgeRun writes about a run is what Stand looks for in the files of that
// time.
func TestARunsJudgementCounts(t *testing.T) {
	l := born(jenner.Policy{Name: "crashes", Mode: jenner.ModeRecommend, Promotion: &jenner.Promotion{Decisions: 1, Success: 0.1}})
	run := jenner.Run{Runbook: l.Runbook, Policy: "crashes"}
	l.Judgements = []jenner.Judgement{learn.JudgeRun(jenner.Incident{ID: "i1", Service: "checkout"}, run, jenner.ModeShadow, jenner.Passed, l.Now)}
	if got := learn.Stand(l.Evidence); got.Level != jenner.ModeRecommend {
		t.Errorf("it stands on %+v", got)
	}
}
