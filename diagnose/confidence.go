package diagnose

import (
	"fmt"

	"github.com/jenner-heal/jenner"
)

// DefaultTriggerConfidence is medium: how sure a trigger is that does not say.
const DefaultTriggerConfidence jenner.Confidence = 0.75

// support is the share of the evidence that matched, in [0,1]; 0 where there is no evidence.
func support(matched, total float64) float64 {
	if total <= 0 {
		return 0
	}
	return min(1, matched/total)
}

// confidence is s × (1 − max(0, rival − ½)): see the package comment. Both are in [0,1], and so is the result.
func confidence(s, rival float64) float64 {
	return s * (1 - max(0, rival-0.5))
}

// weigh gives each candidate its confidence, in view of the best signature of any other cause.
func weigh(candidates []candidate) {
	for i := range candidates {
		rival := candidate{}
		for _, other := range candidates {
			if other.cause.Cause != candidates[i].cause.Cause && stronger(other, rival) {
				rival = other
			}
		}
		one := &candidates[i]
		s := one.support()
		one.cause.Confidence = jenner.Confidence(confidence(s, rival.support()))
		one.cause.Formula = formula(*one, rival)
	}
}

// stronger orders rivals by support, and equal ones by name, so that the order of the files does not show.
func stronger(a, b candidate) bool {
	if a.support() != b.support() {
		return a.support() > b.support()
	}
	return a.cause.Signature < b.cause.Signature
}

func formula(one, rival candidate) string {
	text := fmt.Sprintf("%s of %s matched: %s", figure(one.matched), figure(one.total), figure(one.support()))
	if rival.support() == 0 {
		return text + ", no rival"
	}
	return text + fmt.Sprintf("; rival %s has %s: %s × (1 − max(0, %s − ½)) = %s", rival.cause.Cause,
		figure(rival.support()), figure(one.support()), figure(rival.support()), figure(float64(one.cause.Confidence)))
}
