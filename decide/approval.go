package decide

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// ApprovalGuard is the name under which a decision lists, after all guards, what people said.
	ApprovalGuard = "approval"
	// DefaultApprovalExpiry is how long a request that nobody answers stays open, where the policy does not say.
	DefaultApprovalExpiry = 30 * time.Minute
)

// Need is how many different persons must agree under a policy where a person is asked; at least 1.
func Need(policy jenner.Policy) int {
	if policy.Approval == nil {
		return 1
	}
	return max(1, policy.Approval.Count)
}

// approval looks at what people said where the guards together ask for a person. Enough who agree let it act, one who
// does not agree refuses, and so does silence until the request's end. It never helps over a guard that recommends, waits
// or refuses.
func approval(in Input, decision jenner.Decision) jenner.GuardResult {
	var result jenner.GuardResult
	switch decision.Outcome {
	case jenner.DecideAct:
		result = agree(nil, "nobody needs to be asked")
	case jenner.DecideAsk:
		result = people(in)
	default:
		result = agree(nil, "nobody is asked: guard %s says %s, and a person's word would not change that",
			decision.Stopper().Guard, decision.Outcome)
	}
	result.Guard = ApprovalGuard
	return result
}

func people(in Input) jenner.GuardResult {
	need := Need(in.Policy)
	yes, no := words(in)
	saw := numbers{"have": strconv.Itoa(len(yes)), "need": strconv.Itoa(need), "agreed": strings.Join(yes, ", "),
		"who": mayAgree(in)}
	ours, end := isAbout(in, in.Request), in.Request.Closed
	silent := end == jenner.RequestExpired || end == "" && !in.Now.Before(in.Request.Expires)
	if ours {
		saw["request"], saw["expires"] = in.Request.ID, instant(in.Request.Expires)
	}
	switch {
	case len(no) > 0:
		return refuse(saw, "%s", strings.Join(no, "; "))
	case ours && end == jenner.RequestRejected:
		return refuse(saw, "request %s was rejected", in.Request.ID)
	case len(yes) >= need:
		return agree(saw, "approved by %s: %d of %d", strings.Join(yes, ", "), len(yes), need)
	case ours && silent && len(yes) == 0:
		return refuse(saw, "nobody answered within %s", lasting(in.Request.Expires.Sub(in.Request.At)))
	case ours && silent:
		return refuse(saw, "only %d of %d agreed within %s", len(yes), need, lasting(in.Request.Expires.Sub(in.Request.At)))
	case ours && end == "":
		return leave(saw, "%d of %d have agreed; %s may, until %s", len(yes), need, mayAgree(in), instant(in.Request.Expires))
	}
	expiry := DefaultApprovalExpiry
	if in.Policy.Approval != nil {
		expiry = in.Policy.Approval.Expires.Or(DefaultApprovalExpiry)
	}
	saw["expires_after"] = lasting(expiry)
	return leave(saw, "%d of %d have agreed; %s may, within %s of being asked", len(yes), need, mayAgree(in), lasting(expiry))
}

// words are the persons whose last word is yes, and what those say who reject the request.
func words(in Input) (yes, no []string) {
	last := map[string]jenner.Vote{}
	for _, vote := range in.Votes {
		if !counts(in, vote) {
			continue
		}
		earlier, spoke := last[vote.Person]
		// Of two words at the same moment the no holds.
		if !spoke || vote.At.After(earlier.At) || vote.At.Equal(earlier.At) && !vote.Yes {
			last[vote.Person] = vote
		}
	}
	for person, vote := range last {
		switch text := "rejected by " + person; {
		case vote.Yes:
			yes = append(yes, person)
		case vote.Request == "": // a word in advance that was taken back rejects nothing
		case vote.Reason != "":
			no = append(no, text+": "+vote.Reason)
		default:
			no = append(no, text)
		}
	}
	slices.Sort(yes)
	slices.Sort(no)
	return yes, no
}

// counts tells whether a word counts for this run: one in advance that holds now, or one on the request, as long as the
// request is about this run and was not closed otherwise than by being granted. A yes must have come before the request's
// end; later it stays as good as it was. A no counts whenever it came.
func counts(in Input, vote jenner.Vote) bool {
	if vote.Person == "" || !isApprover(in, vote.Person) {
		return false
	}
	if vote.Request == "" {
		return vote.Ahead(in.Service.Name, in.Runbook.Name, in.Now)
	}
	open := in.Request.Closed == "" || in.Request.Closed == jenner.RequestGranted
	if vote.Request != in.Request.ID || !open || !isAbout(in, in.Request) {
		return false
	}
	return !vote.Yes || vote.At.Before(in.Request.Expires) && !vote.At.After(in.Now)
}

// isAbout tells whether a request is about the run at hand: the same runbook, unchanged since, on the same target. A run
// that the incident has begun since then has used the request up: one approval is good for one run.
func isAbout(in Input, request jenner.Request) bool {
	if request.ID == "" || request.Version != in.Version || request.Runbook != in.Runbook.Name ||
		request.Service != in.Service.Name || request.Target != in.Target {
		return false
	}
	return !slices.ContainsFunc(in.Incident.Runs, func(run jenner.Run) bool {
		return run.Runbook.Name == request.Runbook && run.Target == request.Target && !run.StartedAt.Before(request.At)
	})
}

// isApprover tells whether a person's word counts. Where the policy names people and none of them is known, nobody's does.
func isApprover(in Input, person string) bool {
	if len(in.Approvers) == 0 {
		return in.Policy.Approval == nil || len(in.Policy.Approval.By) == 0
	}
	return slices.Contains(in.Approvers, person)
}

func mayAgree(in Input) string {
	switch {
	case len(in.Approvers) > 0:
		return strings.Join(in.Approvers, ", ")
	case isApprover(in, ""):
		return "anybody"
	}
	return "nobody (" + strings.Join(in.Policy.Approval.By, ", ") + " stand for no known person)"
}

// asked is for how long people have been asked about this run so far, or were, until the request's end.
func asked(in Input) time.Duration {
	request := in.Request
	if n := len(in.Incident.Requests); request.ID == "" && n > 0 {
		request = in.Incident.Requests[n-1]
	}
	if request.Closed != "" && request.Closed != jenner.RequestGranted || !isAbout(in, request) || request.At.IsZero() {
		return 0
	}
	until := in.Now
	if request.Expires.Before(until) {
		until = request.Expires
	}
	return max(0, until.Sub(request.At))
}
