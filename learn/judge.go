package learn

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// JudgeForeseen scores what was proposed and not done by Jenner, once its incident has ended in the given phase: would it
// have been right (R29)? alike says whether somebody else made the same changes, wrong being that nobody did. now becomes
// the judgement's time.
//
// It was right where a person did the same and the incident resolved; wrong where that did not help, and where the
// incident resolved without it. Where nobody did it and a human had to take over, nothing is known, for what people did
// instead is not; nor is it where the incident was put aside, as the symptom of another one.
func JudgeForeseen(f jenner.Foreseen, alike jenner.Rightness, incident jenner.Incident, phase jenner.Phase, now time.Time) jenner.Judgement {
	judgement := jenner.Judgement{At: now, Incident: incident.ID, Policy: f.Policy, Service: f.Service, Runbook: f.Runbook,
		Version: f.Version, Mode: f.Mode, Outcome: f.Outcome}
	resolved, escalated := phase == jenner.PhaseResolved, phase == jenner.PhaseEscalated
	switch {
	case alike == jenner.RightDecision && resolved:
		return scored(judgement, jenner.RightDecision, "a person did the same, and it recovered")
	case alike == jenner.RightDecision && escalated:
		return scored(judgement, jenner.WrongDecision, "a person did the same, and it did not recover")
	case alike == jenner.WrongDecision && resolved:
		return scored(judgement, jenner.WrongDecision, "it recovered without it")
	case alike == jenner.WrongDecision && escalated:
		return scored(judgement, jenner.UnknownDecision, "nobody did it, and it did not recover")
	case !resolved && !escalated:
		return scored(judgement, jenner.UnknownDecision, fmt.Sprintf("the incident was not seen to its end: it is %s", phase))
	}
	return scored(judgement, jenner.UnknownDecision, "it cannot be told whether somebody did the same")
}

// JudgeRun scores a run by how the verification after it came out. mode is the rung on which it was decided. A failed one
// is wrong and costs a rung; an inconclusive one is neither right nor wrong.
func JudgeRun(incident jenner.Incident, run jenner.Run, mode jenner.Mode, verification jenner.CheckOutcome, now time.Time) jenner.Judgement {
	judgement := jenner.Judgement{At: now, Incident: incident.ID, Policy: run.Policy, Service: actedOn(incident, run),
		Runbook: run.Runbook.Name, Version: jenner.Hash(run.Runbook), Mode: mode, Outcome: jenner.DecideAct}
	switch verification {
	case jenner.Passed:
		return scored(judgement, jenner.RightDecision, "it was done, and the verification passed")
	case jenner.Failed:
		judgement.Failed = true
		return scored(judgement, jenner.WrongDecision, "it was done, and the verification failed"+failedChecks(incident.Verification))
	}
	return scored(judgement, jenner.UnknownDecision, "it was done, and the verification could not tell")
}

// JudgeRequest scores what people were asked by what they said. mode is the rung on which it was decided.
//
// A rejection, and trouble that passes while people think, make it wrong. A granted one is scored by its run (JudgeRun). One
// that nobody answered says nothing, and neither does one that was withdrawn since something else was proposed.
func JudgeRequest(incident jenner.Incident, request jenner.Request, mode jenner.Mode, now time.Time) jenner.Judgement {
	judgement := jenner.Judgement{At: now, Incident: incident.ID, Policy: incident.Policy.Name, Service: request.Service,
		Runbook: request.Runbook, Version: request.Version, Mode: mode, Outcome: jenner.DecideAsk}
	switch request.Closed {
	case jenner.RequestRejected:
		return scored(judgement, jenner.WrongDecision, rejection(request.Votes))
	case jenner.RequestWithdrawn:
		if overtaken(incident, request) {
			return scored(judgement, jenner.UnknownDecision, "something else was proposed while people were asked")
		}
		return scored(judgement, jenner.WrongDecision, "it passed by itself while people were asked")
	case jenner.RequestGranted:
		return scored(judgement, jenner.UnknownDecision, "it was granted; how the run comes out tells")
	case jenner.RequestExpired:
		return scored(judgement, jenner.UnknownDecision, "it expired before enough people had answered")
	}
	return scored(judgement, jenner.UnknownDecision, "people are still asked")
}

func scored(judgement jenner.Judgement, right jenner.Rightness, why string) jenner.Judgement {
	judgement.Right, judgement.Why = right, why
	return judgement
}

// actedOn is the service that the run was decided for, which need not be the incident's: the newest decision about the
// runbook knows it, and the diagnosis where the decisions were too many to be kept.
func actedOn(incident jenner.Incident, run jenner.Run) string {
	for _, decision := range slices.Backward(incident.Decisions) {
		if decision.Runbook == run.Runbook.Name && decision.Target == run.Target && decision.Service != "" {
			return decision.Service
		}
	}
	if best, known := incident.Diagnosis.Best(); known && best.Service != "" {
		return best.Service
	}
	return incident.Service
}

func failedChecks(verification jenner.Verification) string {
	var names []string
	for _, check := range verification.Checks {
		if check.Outcome == jenner.Failed {
			names = append(names, check.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

// rejection names the person who said no last, and why.
func rejection(votes []jenner.Vote) string {
	var no jenner.Vote
	for _, vote := range votes {
		if !vote.Yes && !vote.At.Before(no.At) {
			no = vote
		}
	}
	why := "rejected"
	if no.Person != "" {
		why += " by " + no.Person
	}
	if no.Reason != "" {
		why += ": " + no.Reason
	}
	return why
}

// overtaken tells that the request was not withdrawn because the trouble passed: people were asked something else after it.
func overtaken(incident jenner.Incident, request jenner.Request) bool {
	n := len(incident.Requests)
	return n > 0 && incident.Requests[n-1].ID != request.ID
}
