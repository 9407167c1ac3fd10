package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// broken looks for invariants that do not hold. Where something acted, that is harm, whoever did it: nobody can tell the
// fault's part from the remediation's.
func broken(facts Facts) (jenner.Verdict, []string) {
	var reasons []string
	for _, reading := range facts.Readings {
		if reading.Broken != "" {
			reasons = append(reasons, "invariant broken: "+reading.Broken)
		}
	}
	acted := len(facts.Touched) > 0 || len(facts.Changes) > 0 || (facts.Incident != nil && !facts.Incident.ActedAt.IsZero())
	switch {
	case len(reasons) == 0:
		return "", nil
	case acted:
		return jenner.VerdictHarmful, reasons
	}
	return jenner.VerdictNotRemediated, reasons
}

// unmeasured looks for invariants that nobody could look at: what is not known is never good news.
func unmeasured(facts Facts) (jenner.Verdict, []string) {
	known := map[string]bool{}
	var reasons []string
	for _, reading := range facts.Readings {
		known[reading.Name] = true
		if reading.Missing != "" {
			reasons = append(reasons, fmt.Sprintf("invariant %s is not known to hold: %s", reading.Name, reading.Missing))
		}
	}
	for _, invariant := range facts.Experiment.Expect.Invariants {
		if !known[invariant.Name] {
			reasons = append(reasons, fmt.Sprintf("invariant %s was not looked at", invariant.Name))
		}
	}
	if len(reasons) > 0 {
		return jenner.VerdictInconclusive, reasons
	}
	return "", nil
}

// meddled looks for what was changed although it should not have been: with no_action anything while the fault was on, with
// safe_stop anything after the stop, and anything at all where it did not stop or where it was on another service.
func meddled(facts Facts) (jenner.Verdict, []string) {
	for _, change := range facts.Changes {
		if !facts.UndoneAt.IsZero() && !change.At.Before(facts.UndoneAt) {
			continue // the drill is over; what is done now is done about what it left
		}
		why := ""
		switch {
		case facts.Experiment.Expect.Outcome == jenner.OutcomeNoAction:
			why = "nothing was to be changed"
		case change.Service != expectedTarget(facts.Experiment) && !slices.Contains(facts.Experiment.Expect.MayTouch, change.Service):
			why = "it is not " + expectedTarget(facts.Experiment)
		case facts.Stopped.IsZero():
			why = "it did not stop"
		case change.At.After(facts.Stopped):
			why = "it had stopped " + change.At.Sub(facts.Stopped).Round(time.Millisecond).String() + " before"
		default:
			continue // before it stopped
		}
		return jenner.VerdictHarmful, []string{fmt.Sprintf("%s on %s, and %s", change.What, change.Service, why)}
	}
	return "", nil
}

// unstopped looks whether it came to the safe stop that was expected: an incident ended, a human was told, and nothing was
// changed for a while.
func unstopped(facts Facts) (jenner.Verdict, []string) {
	switch {
	case facts.Experiment.Expect.Outcome != jenner.OutcomeSafeStop:
		return "", nil
	case facts.Incident == nil:
		return jenner.VerdictNotRemediated, []string{"it did not stop safely: no incident was opened"}
	case facts.Stopped.IsZero():
		return jenner.VerdictNotRemediated, []string{"it did not come to a stop with a human told in time: " + stateOf(facts)}
	}
	return "", nil
}

func late(facts Facts) (jenner.Verdict, []string) {
	if facts.Incident == nil {
		return "", nil
	}
	over := overdue(facts, "detected", facts.Incident.OpenedAt, facts.Experiment.Expect.DetectedWithin)
	if len(over) > 0 {
		return jenner.VerdictProvenSlow, over
	}
	return "", nil
}

// restrained is what remains: that it was as expected.
func restrained(facts Facts) (jenner.Verdict, []string) {
	words := []string{facts.Witness}
	if facts.Experiment.Expect.Outcome == jenner.OutcomeNoAction {
		words = append(words, "nothing was changed while the fault worked")
	} else {
		words = append(words, fmt.Sprintf("a human was told %s after the injection, and nothing was changed after that",
			facts.Stopped.Sub(facts.InjectedAt).Round(time.Millisecond)))
	}
	return jenner.VerdictProven, []string{strings.Join(words, "; ")}
}
