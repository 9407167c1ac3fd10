package decide

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultBreakerFailures is how many failed runs in a row open a breaker where the policy does not say.
	DefaultBreakerFailures = 3
	// DefaultBreakerWindow is the time within which they must have failed.
	DefaultBreakerWindow = time.Hour
	// DefaultBreakerOpenFor is how long a breaker stays open before it lets a trial through.
	DefaultBreakerOpenFor = 15 * time.Minute
)

// BreakerState is how the circuit breaker of a runbook stands.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // runs are let through
	BreakerOpen     BreakerState = "open"      // none is
	BreakerHalfOpen BreakerState = "half-open" // one at a time is, as a trial
)

// breaker stops a runbook that has failed again and again, on whatever service, also where the policy says nothing of
// breakers. An open one refuses, so that the incident comes to a person instead of waiting. After a while it lets one run
// at a time through as a trial, and the others wait for how it ends. Undo does not ask this guard and is never stopped.
func breaker(in Input) jenner.GuardResult {
	var rule jenner.Breaker
	if in.Policy.CircuitBreaker != nil {
		rule = *in.Policy.CircuitBreaker
	}
	runs := slices.DeleteFunc(slices.Clone(in.OfRunbook), func(run jenner.LedgerEntry) bool {
		return run.Runbook != in.Runbook.Name
	})
	state, until, failures := BreakerOf(rule, runs, in.Now)
	rule = breakerRule(rule)
	saw := numbers{"state": string(state), "failures": strconv.Itoa(failures), "failures_allowed": strconv.Itoa(rule.Failures - 1),
		"window": lasting(rule.Window.Std()), "open_for": lasting(rule.OpenFor.Std())}
	switch state {
	case BreakerOpen:
		saw["until"] = instant(until)
		return refuse(saw, "the breaker of %s is open until %s: %d runs in a row failed, and a person must look",
			in.Runbook.Name, instant(until), failures)
	case BreakerHalfOpen:
		for _, run := range slices.Concat(runs, in.Ledger) { // of those that go on, the ledger has all
			if run.Kind == jenner.LedgerAction && run.Runbook == in.Runbook.Name && run.By != in.Incident.ID && run.Holds(in.Now) {
				saw["trial"] = run.By
				return wait(in.Now.Add(soon), saw, "the breaker of %s is half-open, and %s tries it at this moment",
					in.Runbook.Name, run.By)
			}
		}
		return agree(saw, "the breaker of %s is half-open after %d failed runs in a row, and this run is the trial",
			in.Runbook.Name, failures)
	}
	return agree(saw, "the breaker of %s is closed: %d runs in a row failed, and %d open it",
		in.Runbook.Name, failures, rule.Failures)
}

// BreakerOf tells how a runbook's breaker stands after the runs, which are entries of the ledger for one runbook on all
// services, in any order. What breaker does not say is as the defaults say. It is pure and may be called concurrently.
//
// Failures failed runs in a row within Window open it, from the end of the last of them on for OpenFor. Then it is
// half-open, until a run that began then has passed, or one has failed, which opens it again at once. While it is open,
// the end of a run that began before can only prolong it. A run that passes sets a closed one back to no failures.
// Inconclusive runs count neither way, nor do runs that have not ended.
//
// until is the time at which an open breaker becomes half-open, zero in the other states. failures are the failed runs
// in a row: of a closed breaker those that still count, at least 0; of the others all since it was last closed.
func BreakerOf(breaker jenner.Breaker, runs []jenner.LedgerEntry, now time.Time) (
	state BreakerState, until time.Time, failures int) {
	rule := breakerRule(breaker)
	var failed []time.Time // in a row
	var halfOpen time.Time // zero while it is closed
	for _, run := range inOrder(runs) {
		at := later(run.At, run.Until)
		if at.After(now) {
			at = now // it has failed, and holds its targets on until what it changed is taken back
		}
		switch closed := halfOpen.IsZero(); {
		case run.Result == string(jenner.Failed):
			if closed {
				failed = notBefore(failed, at.Add(-rule.Window.Std()))
			}
			failed = append(failed, at)
			if len(failed) >= rule.Failures { // as there are for as long as it is not closed
				halfOpen = at.Add(rule.OpenFor.Std())
			}
		case run.Result == string(jenner.Passed) && (closed || !run.At.Before(halfOpen)):
			failed, halfOpen = nil, time.Time{}
		}
	}
	switch {
	case halfOpen.IsZero():
		return BreakerClosed, time.Time{}, len(notBefore(failed, now.Add(-rule.Window.Std())))
	case now.Before(halfOpen):
		return BreakerOpen, halfOpen, len(failed)
	}
	return BreakerHalfOpen, time.Time{}, len(failed)
}

func breakerRule(rule jenner.Breaker) jenner.Breaker {
	if rule.Failures == 0 {
		rule.Failures = DefaultBreakerFailures
	}
	rule.Failures = max(rule.Failures, 1) // fewer than one failure cannot open it
	rule.Window = jenner.Duration(rule.Window.Or(DefaultBreakerWindow))
	rule.OpenFor = jenner.Duration(rule.OpenFor.Or(DefaultBreakerOpenFor))
	return rule
}

// inOrder are the remediations among the runs, in the order in which they ended. Of two that ended together the one that
// failed counts as the earlier one, so that the other cannot hide that it opens the breaker.
func inOrder(runs []jenner.LedgerEntry) []jenner.LedgerEntry {
	var found []jenner.LedgerEntry
	for _, run := range runs {
		if run.Kind == jenner.LedgerAction {
			found = append(found, run)
		}
	}
	fails := func(run jenner.LedgerEntry) int {
		if run.Result == string(jenner.Failed) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(found, func(a, b jenner.LedgerEntry) int {
		return cmp.Or(later(a.At, a.Until).Compare(later(b.At, b.Until)), cmp.Compare(fails(b), fails(a)))
	})
	return found
}

func notBefore(times []time.Time, from time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(at time.Time) bool { return at.Before(from) })
}
