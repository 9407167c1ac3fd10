package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func yes(person string) jenner.Vote {
	return jenner.Vote{Request: "i1/a1", Person: person, Yes: true, At: before(time.Second)}
}

func no(person, reason string) jenner.Vote {
	return jenner.Vote{Request: "i1/a1", Person: person, At: before(time.Second), Reason: reason}
}

func ahead(person string) jenner.Vote {
	return jenner.Vote{Service: "checkout", Runbook: "restart", Until: now.Add(time.Hour), Person: person, Yes: true, At: before(time.Hour)}
}

// approvable is an incident in which everything agrees but the mode, which asks, and people were asked a minute ago.
func approvable(change func(*Input), votes ...jenner.Vote) Input {
	return crashedBut(func(in *Input) {
		in.Policy.Mode, in.Version, in.Votes = jenner.ModeApprove, "v1", votes
		in.Request = jenner.Request{ID: "i1/a1", At: before(time.Minute), Expires: now.Add(29 * time.Minute), Service: "checkout",
			Target: checkout, Runbook: "restart", Version: "v1"}
		if change != nil {
			change(in)
		}
	})
}

// heard is what a decision says of people, last of all.
func heard(in Input) jenner.GuardResult {
	guards := Decide(in).Guards
	return guards[len(guards)-1]
}

func TestApproval(t *testing.T) {
	two := func(in *Input) {
		in.Policy.Approval, in.Approvers = &jenner.Approval{By: []string{"owner"}, Count: 2}, []string{"ann", "bob", "cyd"}
	}
	noted := func(vote jenner.Vote, change func(*jenner.Vote)) jenner.Vote { change(&vote); return vote }
	at := func(ago time.Duration) func(*jenner.Vote) { return func(v *jenner.Vote) { v.At = before(ago) } }
	const open = "0 of 1 have agreed; anybody may, until 2026-03-01T12:29:00Z"
	check(t, heard, []said{
		{"nobody has answered", approvable(nil), jenner.DecideAsk, open, 0,
			numbers{"have": "0", "need": "1", "who": "anybody", "expires": "2026-03-01T12:29:00Z", "request": "i1/a1"}},
		{"one agrees", approvable(nil, yes("ann")), jenner.DecideAct, "approved by ann: 1 of 1", 0, numbers{"agreed": "ann"}},
		{"one of two", approvable(two, yes("ann")), jenner.DecideAsk, "1 of 2 have agreed; ann, bob, cyd may, until 2026-03-01T12:29:00Z", 0, numbers{"have": "1", "need": "2"}},
		{"two of two", approvable(two, yes("bob"), yes("ann")), jenner.DecideAct, "approved by ann, bob: 2 of 2", 0, nil},
		{"a person twice is one person", approvable(two, yes("ann"), noted(yes("ann"), at(0))), jenner.DecideAsk,
			"1 of 2 have agreed; ann, bob, cyd may, until 2026-03-01T12:29:00Z", 0, nil},
		{"somebody who may not", approvable(two, yes("ann"), yes("eve")), jenner.DecideAsk, "1 of 2 have agreed; ann, bob, cyd may, until 2026-03-01T12:29:00Z", 0, nil},
		{"somebody who may not says no", approvable(two, yes("ann"), yes("bob"), no("eve", "")), jenner.DecideAct, "approved by ann, bob: 2 of 2", 0, nil},
		{"nobody in particular", approvable(nil, yes("")), jenner.DecideAsk, open, 0, nil},
		{"one says no", approvable(two, yes("ann"), yes("bob"), no("cyd", "not during the sale")), jenner.DecideRefuse, "rejected by cyd: not during the sale", 0, nil},
		{"a no without a reason", approvable(nil, no("ann", "")), jenner.DecideRefuse, "rejected by ann", 0, nil},
		{"thought better of it", approvable(nil, noted(no("ann", ""), at(30*time.Second)), yes("ann")), jenner.DecideAct, "approved by ann: 1 of 1", 0, nil},
		{"took it back", approvable(nil, noted(yes("ann"), at(30*time.Second)), no("ann", "wait")), jenner.DecideRefuse, "rejected by ann: wait", 0, nil},
		{"yes and no at one moment", approvable(nil, yes("ann"), no("ann", "")), jenner.DecideRefuse, "rejected by ann", 0, nil},
		{"no and yes at one moment", approvable(nil, no("ann", ""), yes("ann")), jenner.DecideRefuse, "rejected by ann", 0, nil},
		{"of tomorrow", approvable(nil, noted(yes("ann"), at(-24*time.Hour))), jenner.DecideAsk, open, 0, nil},
		{"of a minute to come", approvable(nil, noted(yes("ann"), at(-time.Minute))), jenner.DecideAsk, open, 0, nil},
		{"a no of tomorrow", approvable(nil, yes("bob"), noted(no("ann", ""), at(-24*time.Hour))), jenner.DecideRefuse, "rejected by ann", 0, nil},
		{"on another request", approvable(nil, noted(yes("ann"), func(v *jenner.Vote) { v.Request = "i2/a1" })), jenner.DecideAsk, open, 0, nil},
		{"people are named and none is known", approvable(func(in *Input) { in.Policy.Approval = &jenner.Approval{By: []string{"sre"}} }, yes("ann")),
			jenner.DecideAsk, "0 of 1 have agreed; nobody (sre stand for no known person) may, until 2026-03-01T12:29:00Z", 0, nil},
	})
}

func TestApprovalIsForOneRunOfOneRunbookAsItWas(t *testing.T) {
	asked := func(change func(*Input)) Input { return approvable(change, yes("ann")) }
	const anew = "0 of 1 have agreed; anybody may, within 30m of being asked"
	check(t, heard, []said{
		{"nobody was asked", asked(func(in *Input) { in.Request = jenner.Request{} }), jenner.DecideAsk, anew, 0, numbers{"expires_after": "30m"}},
		{"a request without an id is none", asked(func(in *Input) { in.Request.ID, in.Request.Expires = "", now }), jenner.DecideAsk, anew, 0, nil},
		{"a vote on no request", crashedBut(func(in *Input) {
			in.Policy.Mode, in.Votes = jenner.ModeApprove, []jenner.Vote{{Person: "ann", Yes: true, At: now}}
		}), jenner.DecideAsk, anew, 0, nil},
		{"the runbook has changed", asked(func(in *Input) { in.Version = "v2" }), jenner.DecideAsk, anew, 0, nil},
		{"another runbook", asked(func(in *Input) { in.Runbook.Name = "drain" }), jenner.DecideAsk, anew, 0, nil},
		{"another target", asked(func(in *Input) { in.Request.Target.Name = "b" }), jenner.DecideAsk, anew, 0, nil},
		{"another service's target", asked(func(in *Input) { in.Request.Service = "payments" }), jenner.DecideAsk, anew, 0, nil},
		{"withdrawn", asked(func(in *Input) { in.Request.Closed = jenner.RequestWithdrawn }), jenner.DecideAsk, anew, 0, nil},
		{"closed nobody knows how", asked(func(in *Input) { in.Request.Closed = "done" }), jenner.DecideAsk, anew, 0, nil},
		{"rejected", asked(func(in *Input) { in.Request.Closed = jenner.RequestRejected }), jenner.DecideRefuse, "request i1/a1 was rejected", 0, nil},
		{"as the policy says", asked(func(in *Input) {
			in.Request, in.Policy.Approval = jenner.Request{}, &jenner.Approval{Expires: jenner.Duration(5 * time.Minute)}
		}), jenner.DecideAsk, "0 of 1 have agreed; anybody may, within 5m of being asked", 0, nil},
	})
}

func TestApprovalExpires(t *testing.T) {
	late := func(closed jenner.RequestEnd, said time.Duration, need int) Input {
		vote := yes("ann")
		vote.At = before(said)
		return approvable(func(in *Input) {
			in.Request.At, in.Request.Expires, in.Request.Closed = before(31*time.Minute), before(time.Minute), closed
			in.Policy.Approval = &jenner.Approval{Count: need}
		}, vote)
	}
	silent := approvable(func(in *Input) { in.Request.At, in.Request.Expires = before(30*time.Minute), now })
	nearly := approvable(func(in *Input) { in.Request.At, in.Request.Expires = before(30*time.Minute), now.Add(1) })
	check(t, heard, []said{
		{"silence", silent, jenner.DecideRefuse, "nobody answered within 30m", 0, nil},
		{"a moment is left", nearly, jenner.DecideAsk, "0 of 1 have agreed; anybody may, until 2026-03-01T12:00:00Z", 0, nil},
		{"closed as expired", approvable(func(in *Input) { in.Request.Closed = jenner.RequestExpired }), jenner.DecideRefuse, "nobody answered within 30m", 0, nil},
		{"not enough", late("", 2*time.Minute, 2), jenner.DecideRefuse, "only 1 of 2 agreed within 30m", 0, nil},
		{"too late", late("", time.Minute, 1), jenner.DecideRefuse, "nobody answered within 30m", 0, nil},
		{"in time, and granted", late("granted", 2*time.Minute, 1), jenner.DecideAct, "approved by ann: 1 of 1", 0, nil},
		{"in time, and not written down yet", late("", 2*time.Minute, 1), jenner.DecideAct, "approved by ann: 1 of 1", 0, nil},
		{"granted to more than have agreed", late("granted", 2*time.Minute, 2), jenner.DecideAsk, "1 of 2 have agreed; anybody may, within 30m of being asked", 0, nil},
	})
	rejected := late("granted", 2*time.Minute, 1)
	rejected.Votes = append(rejected.Votes, no("bob", "too late now"))
	if got := Decide(rejected); got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != ApprovalGuard {
		t.Errorf("a no after it was granted: %s by %s; want refuse by approval", got.Outcome, got.Stopper().Guard)
	}
}

func TestApprovalInAdvance(t *testing.T) {
	early := func(votes ...jenner.Vote) Input {
		return approvable(func(in *Input) { in.Request = jenner.Request{} }, votes...)
	}
	with := func(change func(*jenner.Vote)) jenner.Vote { v := ahead("ann"); change(&v); return v }
	const anew = "0 of 1 have agreed; anybody may, within 30m of being asked"
	both := approvable(func(in *Input) { in.Policy.Approval = &jenner.Approval{Count: 2} }, ahead("ann"), yes("bob"))
	check(t, heard, []said{
		{"given", early(ahead("ann")), jenner.DecideAct, "approved by ann: 1 of 1", 0, nil},
		{"over", early(with(func(v *jenner.Vote) { v.Until = now })), jenner.DecideAsk, anew, 0, nil},
		{"for another runbook", early(with(func(v *jenner.Vote) { v.Runbook = "drain" })), jenner.DecideAsk, anew, 0, nil},
		{"for another service", early(with(func(v *jenner.Vote) { v.Service = "payments" })), jenner.DecideAsk, anew, 0, nil},
		{"taken back", early(ahead("ann"), with(func(v *jenner.Vote) { v.Yes, v.At = false, before(time.Minute) })), jenner.DecideAsk, anew, 0, nil},
		{"one in advance and one when asked", both, jenner.DecideAct, "approved by ann, bob: 2 of 2", 0, nil},
		{"in advance, and no when asked", approvable(nil, ahead("ann"), no("ann", "not this one")), jenner.DecideRefuse, "rejected by ann: not this one", 0, nil},
	})
}

func TestApprovalLeavesTheGuardsAsTheyWere(t *testing.T) {
	got := Decide(approvable(nil, yes("ann")))
	if got.Outcome != jenner.DecideAct || got.Stopper().Guard != "" {
		t.Errorf("decided %s by %q, want act by nobody", got.Outcome, got.Stopper().Guard)
	}
	for _, guard := range got.Guards {
		if guard.Guard == "mode" && guard.Outcome != jenner.DecideAsk {
			t.Errorf("guard mode is listed with %s, though it asked", guard.Outcome)
		}
	}
	if got := Decide(approvable(nil)); got.Outcome != jenner.DecideAsk || got.Stopper().Guard != "mode" {
		t.Errorf("while people are asked: %s by %s; want ask by mode, the reason why", got.Outcome, got.Stopper().Guard)
	}
}

func TestApprovalHelpsOverNothingElse(t *testing.T) {
	frozen := func(in *Input) { in.Planned = []jenner.Planned{event("sale", "freeze", 0)} }
	told := func(in *Input) { in.Policy.Mode = jenner.ModeRecommend }
	check(t, heard, []said{
		{"nobody needs to be asked", approvable(func(in *Input) { in.Policy.Mode = jenner.ModeAuto }), jenner.DecideAct, "nobody needs to be asked", 0, nil},
		{"wait", approvable(frozen, yes("ann")), jenner.DecideAct,
			"nobody is asked: guard calendar says wait, and a person's word would not change that", 0, nil},
		{"recommend", approvable(told, yes("ann")), jenner.DecideAct,
			"nobody is asked: guard mode says recommend, and a person's word would not change that", 0, nil},
	})
	if got := Decide(approvable(frozen, yes("ann"))); got.Outcome != jenner.DecideWait || got.RetryAt.Sub(now) != 30*time.Minute {
		t.Errorf("decided %s, retry after %s; want wait, 30m", got.Outcome, got.RetryAt.Sub(now))
	}
}

func TestNeed(t *testing.T) {
	for want, policy := range map[int]jenner.Policy{1: {}, 3: {Approval: &jenner.Approval{Count: 3}}} {
		if got := Need(policy); got != want {
			t.Errorf("%+v needs %d, want %d", policy.Approval, got, want)
		}
	}
	for _, odd := range []int{0, -2} {
		if got := Need(jenner.Policy{Approval: &jenner.Approval{Count: odd}}); got != 1 {
			t.Errorf("a count of %d needs %d, want 1", odd, got)
		}
	}
}

// TestL1ApprovalDoesNotHealWhatHasPassed: the alert was resolved while people were asked.
func TestL1ApprovalDoesNotHealWhatHasPassed(t *testing.T) {
	in := approvable(func(in *Input) { in.Alerts[0].Status = jenner.Resolved }, yes("ann"))
	if got := Decide(in); got.Outcome != jenner.DecideWait || got.Stopper().Guard != "freshness" {
		t.Errorf("decided %s by %s; want wait by freshness", got.Outcome, got.Stopper().Guard)
	}
}

// TestL18ApprovedTwiceRunsOnce: the run that people agreed to has begun; what they said is used up, however often they
// said it.
func TestL18ApprovedTwiceRunsOnce(t *testing.T) {
	for _, closed := range []jenner.RequestEnd{"", jenner.RequestGranted} {
		in := approvable(func(in *Input) {
			in.Request.Closed = closed
			in.Incident.Runs = []jenner.Run{{Runbook: in.Runbook, Target: checkout, StartedAt: before(30 * time.Second)}}
		}, yes("ann"), yes("bob"))
		if got := Decide(in); got.Outcome != jenner.DecideAsk {
			t.Errorf("closed %q: the second run is decided %s: %s", closed, got.Outcome, heard(in).Reason)
		}
		for name, run := range map[string]jenner.Run{
			"runbook": {Runbook: jenner.Runbook{Name: "drain"}, Target: checkout, StartedAt: before(30 * time.Second)},
			"target":  {Runbook: in.Runbook, Target: jenner.TargetRef{Kind: "process", Name: "b"}, StartedAt: before(30 * time.Second)},
		} {
			other := in
			other.Incident.Runs = []jenner.Run{run}
			if got := Decide(other); got.Outcome != jenner.DecideAct {
				t.Errorf("closed %q: a run of another %s has used it up: %s", closed, name, heard(other).Reason)
			}
		}
		in.Incident.Runs[0].StartedAt = before(2 * time.Minute) // it was this run that did not help, and then people were asked
		if got := Decide(in); got.Outcome != jenner.DecideAct {
			t.Errorf("closed %q: the run after the one before the request is decided %s: %s", closed, got.Outcome, heard(in).Reason)
		}
	}
}

// TestL2AnAlertIsNotTooOldWhilePeopleAreAsked: it was young when they were asked. What waits on after the request's end
// grows old as ever.
func TestL2AnAlertIsNotTooOldWhilePeopleAreAsked(t *testing.T) {
	asked := func(ago time.Duration, change func(*Input)) Input {
		return approvable(func(in *Input) {
			in.Alerts[0].StartsAt = before(ago + time.Minute)
			in.Request.At, in.Request.Expires = before(ago), before(ago-30*time.Minute)
			change(in)
		})
	}
	nothing := func(*Input) {}
	stored := asked(25*time.Minute, nothing)
	stored.Incident.Requests, stored.Request = []jenner.Request{stored.Request}, jenner.Request{}
	fires := "1 of 1 alerts fire and were seen within 30s"
	expired := func(ago string) string {
		return "expired: the youngest alert began " + ago + " ago, nothing was done so far, and alerts expire after 10m"
	}
	check(t, freshness, []said{
		{"asked for 25 minutes", asked(25*time.Minute, nothing), jenner.DecideAct, fires, 0, numbers{"asked_for": "25m"}},
		{"as the incident says", stored, jenner.DecideAct, fires, 0, nil},
		{"granted", asked(25*time.Minute, func(in *Input) { in.Request.Closed = jenner.RequestGranted }), jenner.DecideAct, fires, 0, nil},
		{"nobody was asked", asked(25*time.Minute, func(in *Input) { in.Request = jenner.Request{} }), jenner.DecideRefuse, expired("26m"), 0, nil},
		{"withdrawn", asked(25*time.Minute, func(in *Input) { in.Request.Closed = jenner.RequestWithdrawn }), jenner.DecideRefuse, expired("26m"), 0, nil},
		{"about another runbook", asked(25*time.Minute, func(in *Input) { in.Request.Runbook = "drain" }), jenner.DecideRefuse, expired("26m"), 0, nil},
		{"asked nobody knows when", asked(25*time.Minute, func(in *Input) { in.Request.At = time.Time{} }), jenner.DecideRefuse, expired("26m"), 0, nil},
		{"at its end", asked(30*time.Minute, nothing), jenner.DecideAct, fires, 0, nil},
		{"granted, and then held for three days", asked(72*time.Hour, func(in *Input) { in.Request.Closed = jenner.RequestGranted }),
			jenner.DecideRefuse, expired("72h1m"), 0, numbers{"asked_for": "30m"}},
	})
}
