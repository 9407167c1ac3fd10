package decide

import (
	"maps"
	"time"

	"github.com/jenner-heal/jenner"
)

// proof asks a person unless a drill has shown lately that the runbook heals this service: a proof with the verdict
// PROVEN, younger than the policy demands, of the documents as they stand now. A later drill that found the runbook
// harmful or without effect takes the proof back.
func proof(in Input) jenner.GuardResult {
	if in.Policy.RequiresProof == 0 {
		return agree(nil, "no proof is required")
	}
	age := in.Policy.RequiresProof.Std()
	saw := numbers{"requires_proof": lasting(age)}
	var proven, disproven time.Time
	why := "there is none"
	for _, one := range in.Proofs {
		if one.Service != in.Service.Name || one.Runbook != in.Runbook.Name || one.At.After(in.Now) {
			continue
		}
		switch {
		case one.Verdict == jenner.VerdictHarmful || one.Verdict == jenner.VerdictNotRemediated:
			disproven = later(disproven, one.At)
		case one.Verdict != jenner.VerdictProven:
		case len(one.Versions) == 0 || !maps.Equal(one.Versions, in.Versions):
			why = "the documents have changed since drill " + one.Drill
		default:
			proven = later(proven, one.At)
		}
	}
	saw["proven"] = since(in.Now, proven) + " ago"
	switch {
	case proven.IsZero():
		return asking(in, saw, why)
	case in.Now.Sub(proven) >= age:
		return asking(in, saw, "the last one is "+since(in.Now, proven)+" old")
	case !disproven.Before(proven):
		return asking(in, saw, "a drill "+since(in.Now, disproven)+" ago failed")
	}
	return agree(saw, "proven %s ago, and %s is asked for", since(in.Now, proven), lasting(age))
}

func asking(in Input, saw numbers, why string) jenner.GuardResult {
	return leave(saw, "a proof of %s on %s younger than %s is required: %s",
		in.Runbook.Name, in.Service.Name, lasting(in.Policy.RequiresProof.Std()), why)
}
