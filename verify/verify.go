// Package verify looks whether a service is well again after something was done about it.
//
// It is for one look at probes, original alerts and SLIs, with three outcomes. It is not for waiting: how long the
// checks must go on passing, and what follows when they do not, is the line's business. Nothing that was seen before
// the action ended counts, and missing data is inconclusive, never passed and never failed.
package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// Input is what one look needs.
type Input struct {
	Now     time.Time
	Service jenner.Service
	// Alerts are the alerts that the incident began with, as the board has them now. One that is not on the board any
	// more has an empty Status.
	Alerts      []jenner.Alert
	ActionEnded time.Time // what was asked before this says nothing about the action
	Telemetry   jenner.Telemetry
	// Steady holds the service's SLIs against what is normal; nil where that is not known of any.
	Steady func(ctx context.Context, service jenner.Service) []jenner.Check
}

// Verify looks once. The outcome is failed where one check failed, else inconclusive where one that counts is, else
// passed. An SLI of which nothing normal is known is listed but does not count as soon as a probe or an alert check
// passed: a service with little traffic could otherwise never be verified. No checks at all are inconclusive.
func Verify(ctx context.Context, in Input) jenner.Verification {
	checks := append(probeChecks(in), alertChecks(in)...)
	proven := false
	for _, check := range checks {
		proven = proven || check.Outcome == jenner.Passed
	}
	if in.Steady != nil {
		checks = append(checks, in.Steady(ctx, in.Service)...)
	}
	return jenner.Verification{At: in.Now, Outcome: combine(checks, proven), Checks: checks}
}

func combine(checks []jenner.Check, proven bool) jenner.CheckOutcome {
	passed, open := 0, 0
	for _, check := range checks {
		switch {
		case check.Outcome == jenner.Failed:
			return jenner.Failed
		case check.Outcome == jenner.Passed:
			passed++
		case proven && check.Saw == jenner.NoBounds: // listed, not counted
		default:
			open++
		}
	}
	if open > 0 || passed == 0 {
		return jenner.Inconclusive
	}
	return jenner.Passed
}

// probeChecks looks at every probe of the service: those that have a state, and those that are written and have none.
func probeChecks(in Input) []jenner.Check {
	var checks []jenner.Check
	asked := map[string]bool{}
	for _, state := range in.Telemetry.Probes(in.Service.Name) {
		asked[state.Name] = true
		written, _ := in.Service.ProbeNamed(state.Name)
		outcome, saw := probe(in, state, written.Slow.Std())
		checks = append(checks, jenner.Check{Kind: jenner.CheckProbe, Name: "probe " + state.Name, Outcome: outcome, Saw: saw})
	}
	for _, written := range in.Service.Probes {
		if !asked[written.Name] {
			checks = append(checks, jenner.Check{
				Kind: jenner.CheckProbe, Name: "probe " + written.Name, Outcome: jenner.Inconclusive, Saw: "it was never asked",
			})
		}
	}
	return checks
}

// probe judges one state. Its last answer and its status, which takes several answers, must agree: where they do not,
// it is too early to tell.
func probe(in Input, state jenner.ProbeState, slow time.Duration) (jenner.CheckOutcome, string) {
	late := slow > 0 && state.Duration > slow
	switch {
	case state.At.IsZero():
		return jenner.Inconclusive, "it was never asked"
	// The answer may have come after the action for a question that was asked before it.
	case !state.At.Add(-state.Duration).After(in.ActionEnded):
		return jenner.Inconclusive, "it was not asked since the action ended"
	case !state.Fresh(in.Now):
		return jenner.Inconclusive, fmt.Sprintf("its last answer is %s old", in.Now.Sub(state.At))
	case state.Status == jenner.ProbeFailing && !state.LastOK:
		return jenner.Failed, "it fails: " + state.Message
	case state.Status == jenner.ProbeSlow && state.LastOK && late:
		return jenner.Failed, fmt.Sprintf("it is slow: %s, allowed are %s", state.Duration, slow)
	case state.Status == jenner.ProbePassing && state.LastOK && !late:
		return jenner.Passed, fmt.Sprintf("it passes, %d in a row", state.Streak)
	case state.LastOK:
		return jenner.Inconclusive, fmt.Sprintf("its last answer was good after %s, but its status is %s", state.Duration, state.Status)
	}
	return jenner.Inconclusive, fmt.Sprintf("its last answer was not good (%s), but its status is %s", state.Message, state.Status)
}

func alertChecks(in Input) []jenner.Check {
	var checks []jenner.Check
	for _, alert := range in.Alerts {
		check := jenner.Check{Kind: jenner.CheckAlert, Name: "alert " + alert.Name, Outcome: jenner.Inconclusive}
		switch {
		case alert.Status == jenner.Resolved:
			check.Outcome, check.Saw = jenner.Passed, "it is resolved"
		case alert.Status == jenner.Firing && alert.SeenAt.After(in.ActionEnded):
			check.Outcome, check.Saw = jenner.Failed, "it still fires: "+alert.Summary
		case alert.Status == jenner.Firing:
			check.Saw = "nobody looked since the action ended"
		default:
			check.Saw = "nothing is known of it any more"
		}
		checks = append(checks, check)
	}
	return checks
}
