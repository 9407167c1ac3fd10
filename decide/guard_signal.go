package decide

import (
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
)

// signal waits until what the policy calls its detection signal is among the evidence: an alert that fires, a probe whose
// alert fires, or an alert, a probe or an event that a piece of the cause's evidence matched. A cause may be known for
// other reasons than those that a policy was written for.
func signal(in Input) jenner.GuardResult {
	wanted := in.Policy.DetectionSignal
	if wanted == "" {
		return agree(nil, "no detection signal is asked for")
	}
	saw := numbers{"signal": wanted}
	for _, alert := range in.Alerts {
		if alert.Status == jenner.Firing && slices.Contains([]string{wanted, wanted + "-failing", wanted + "-slow"}, alert.Name) {
			return agree(saw, "the detection signal %s is there: alert %s fires", wanted, alert.Name)
		}
	}
	for _, evidence := range in.Cause.Evidence {
		if evidence.Finding == jenner.Matched && names(evidence.What, wanted) {
			return agree(saw, "the detection signal %s is there: %s", wanted, evidence.What)
		}
	}
	return wait(in.Now.Add(soon), saw, "the detection signal %s is not among the evidence", wanted)
}

// names tells whether evidence as people write it (`probe: ready, is: failing`) is about that alert, probe or event.
func names(evidence, wanted string) bool {
	kind, rest, _ := strings.Cut(evidence, ": ")
	what, _, _ := strings.Cut(rest, ", ")
	_, probe, ofService := strings.Cut(what, "/")
	return slices.Contains([]string{"alert", "probe", "event"}, kind) && (what == wanted || (ofService && probe == wanted))
}
