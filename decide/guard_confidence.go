package decide

import (
	"strconv"

	"github.com/jenner-heal/jenner"
)

// DefaultConfidence is the threshold of a policy that does not say one.
const DefaultConfidence jenner.Confidence = 0.9

// confidence waits until the diagnosis is as sure as the policy asks: more evidence may still arrive, and the expiry of
// the alert (guard freshness) ends a wait for evidence that never does. A number outside [0,1], or none at all, refuses.
func confidence(in Input) jenner.GuardResult {
	threshold := in.Policy.ConfidenceThreshold
	if threshold == 0 {
		threshold = DefaultConfidence
	}
	have, need := figures(float64(in.Cause.Confidence), float64(threshold))
	saw := numbers{"confidence": have, "threshold": need}
	switch {
	case !isConfidence(in.Cause.Confidence):
		return refuse(saw, "confidence %s is not a number from 0 to 1", have)
	case !isConfidence(threshold):
		return refuse(saw, "the threshold %s is not a number from 0 to 1", need)
	case in.Cause.Confidence < threshold:
		return wait(in.Now.Add(soon), saw, "confidence %s is below the threshold %s", have, need)
	}
	return agree(saw, "confidence %s reaches the threshold %s", have, need)
}

// isConfidence is false for NaN, with which every comparison is false.
func isConfidence(c jenner.Confidence) bool { return c >= 0 && c <= 1 }

// figures writes two numbers short, but never so short that two different ones look the same.
func figures(a, b float64) (string, string) {
	short := func(f float64) string { return strconv.FormatFloat(f, 'g', 4, 64) }
	if a != b && short(a) == short(b) {
		return strconv.FormatFloat(a, 'g', -1, 64), strconv.FormatFloat(b, 'g', -1, 64)
	}
	return short(a), short(b)
}
