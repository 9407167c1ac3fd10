// Package diagnose explains: from the alerts of an incident it finds the lowest failing service, holds the known
// signatures against what is seen of it, and ranks the causes with how sure it is of each and why.
//
// How sure: the support s of a signature is the weight of its evidence that matched, divided by the weight of all its
// evidence. Evidence that could not be had counts as not matched: it makes less sure, never more. Where another cause
// explains the same root nearly as well, neither is certain:
//
//	confidence = s × (1 − max(0, s₂ − ½))
//
// where s₂ is the support of the best signature of any other cause. A rival with half of its evidence or less takes
// nothing away; a rival with all of it halves the confidence. The formula is Jenner's own; it is to be calibrated
// against measured outcomes, and each cause carries it with its numbers. A runbook's trigger is not a rival, and has the
// confidence that is written beside it.
//
// The package is not for deciding whether to act: a cause may be certain and acting forbidden. It reads the clock and
// the world only through its Input.
package diagnose

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// Input is what a diagnosis may look at. Firing and Telemetry must be set.
type Input struct {
	Now        time.Time
	Service    string // the incident's
	Services   map[string]jenner.Service
	Signatures []jenner.Signature
	Triggers   []jenner.Runbook // runbooks with a trigger
	Firing     func(service string) []jenner.Alert
	Telemetry  jenner.Telemetry
	// Observed tells whether something tells of the conditions of targets of that kind; nil: of none.
	Observed func(kind string) bool
	// Changes are what others changed of a service since a time, the newest first; nil: nothing tells of changes.
	Changes func(service string, since time.Time) []jenner.ChangeEvent
}

// Diagnose finds the root and ranks what may be its cause. It always gives an answer: a question that could not be
// asked, also because ctx ended, is missing evidence. Where Unsure is set, the causes are those known so far. It may be
// called concurrently.
func Diagnose(ctx context.Context, in Input) jenner.Diagnosis {
	world := world{in}
	root, path := LowestFailing(in.Services, in.Service, world.sick)
	diagnosis := jenner.Diagnosis{At: in.Now, Root: root, Path: path, Unsure: world.unsure(root)}
	candidates := world.bySignature(ctx, root)
	weigh(candidates)
	candidates = append(candidates, world.byTrigger(root)...)
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(
			-cmp.Compare(a.cause.Confidence, b.cause.Confidence),
			-cmp.Compare(a.support(), b.support()),
			cmp.Compare(a.cause.Signature, b.cause.Signature))
	})
	for _, one := range candidates {
		diagnosis.Causes = append(diagnosis.Causes, one.cause)
	}
	return diagnosis
}

// candidate is a cause on its way to being ranked.
type candidate struct {
	cause          jenner.RankedCause
	matched, total float64 // weights
}

func (c candidate) support() float64 { return support(c.matched, c.total) }
