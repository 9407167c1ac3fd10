package decide

import (
	"math"
	"strconv"

	"github.com/jenner-heal/jenner"
)

// DefaultConfidence is the threshold of a policy that does not say one.
const DefaultConfidence jenner.Confidence = 0.9

// confidence waits until the diagnosis is as sure as the policy asks: more evidence may still arrive, and the expiry of
// the alert (guard freshness) ends a wait for evidence that never does. What is planned for the service may explain what
// is seen, and lowers the confidence. A number outside [0,1], or none at all, refuses.
func confidence(in Input) jenner.GuardResult {
	threshold := in.Policy.ConfidenceThreshold
	if threshold == 0 {
		threshold = DefaultConfidence
	}
	lowered, by, why := lower(in)
	have, need := figures(lowered, float64(threshold))
	diagnosed := figure(float64(in.Cause.Confidence))
	saw := numbers{"confidence": have, "diagnosed": diagnosed, "lowered_by": figure(by), "threshold": need}
	text := ""
	if by > 0 {
		text = " (" + diagnosed + ", lowered by " + figure(by) + " while " + why + " is on)"
	}
	switch {
	case !isConfidence(in.Cause.Confidence):
		return refuse(saw, "confidence %s is not a number from 0 to 1", diagnosed)
	case !isConfidence(threshold):
		return refuse(saw, "the threshold %s is not a number from 0 to 1", need)
	case lowered < float64(threshold):
		return wait(in.Now.Add(soon), saw, "confidence %s%s is below the threshold %s", have, text, need)
	}
	return agree(saw, "confidence %s%s reaches the threshold %s", have, text, need)
}

// lower takes the largest lowering of all planned events that are on from the confidence. They are not added up, for
// each says how far the same observations may be due to something planned.
func lower(in Input) (lowered, by float64, why string) {
	for _, event := range in.Planned {
		if event.Effect != jenner.PlannedLower || !event.Covers(in.Service, in.Now) {
			continue
		}
		if share := lowering(event); share > by {
			by, why = share, quoted(event.Summary)
		}
	}
	lowered = float64(in.Cause.Confidence)
	if by > 0 {
		// Rounding undoes binary fractions: 0.95-0.05 is 0.8999999999999999.
		lowered = max(0, math.Round((lowered-by)*1e9)/1e9)
	}
	return lowered, by, why
}

// lowering is by how much an event lowers the confidence: all of it where the event says no share from 0 to 1.
func lowering(event jenner.Planned) float64 {
	if event.LowerBy >= 0 && event.LowerBy <= 1 {
		return event.LowerBy
	}
	return 1
}

// isConfidence is false for NaN, with which every comparison is false.
func isConfidence(c jenner.Confidence) bool { return c >= 0 && c <= 1 }

// figures writes two numbers short, but never so short that two different ones look the same.
func figures(a, b float64) (string, string) {
	if a != b && figure(a) == figure(b) {
		return strconv.FormatFloat(a, 'g', -1, 64), strconv.FormatFloat(b, 'g', -1, 64)
	}
	return figure(a), figure(b)
}

// figure writes a number short.
func figure(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
