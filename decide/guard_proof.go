package decide

import (
	"time"

	"github.com/jenner-heal/jenner"
)

// proof asks a person unless a drill has shown lately that the runbook heals this service: a proof with the verdict
// PROVEN for this cause that is not stale (jenner.Proof.Stale), younger than the policy demands and of the documents as they stand now. A
// later round or drill that found the runbook harmful or without effect takes the proof back.
func proof(in Input) jenner.GuardResult {
	if in.Policy.RequiresProof == 0 {
		return agree(nil, "no proof is required")
	}
	age := in.Policy.RequiresProof.Std()
	saw := numbers{"requires_proof": lasting(age)}
	var proven, disproven, told time.Time
	why := "there is none"
	for _, one := range in.Proofs {
		if one.Service != in.Service.Name || one.Runbook != in.Runbook.Name || one.At.After(in.Now) {
			continue
		}
		if one.Refutes() {
			disproven = later(disproven, one.At)
		}
		if one.Verdict != jenner.VerdictProven || one.Cause != "" && one.Cause != in.Cause.Cause {
			continue // healing one cause says nothing about another
		}
		stale := one.Stale(in.Now, age, in.Versions)
		switch {
		case stale == "":
			proven = later(proven, one.At)
		case !one.At.Before(told):
			told, why = one.At, stale
		}
	}
	saw["proven"] = since(in.Now, proven) + " ago"
	switch {
	case proven.IsZero():
		return asking(in, saw, why)
	case !disproven.Before(proven):
		return asking(in, saw, "a drill "+since(in.Now, disproven)+" ago failed")
	}
	return agree(saw, "proven %s ago, and %s is asked for", since(in.Now, proven), lasting(age))
}

func asking(in Input, saw numbers, why string) jenner.GuardResult {
	return leave(saw, "a proof of %s on %s younger than %s is required: %s",
		in.Runbook.Name, in.Service.Name, lasting(in.Policy.RequiresProof.Std()), why)
}
