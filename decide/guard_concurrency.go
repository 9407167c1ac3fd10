package decide

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jenner-heal/jenner"
)

// concurrency sees to it that a target has one run at a time, and a policy not more than it allows: where another
// incident's run still holds a target that this one would touch, or as many hold something under the policy, it waits.
// Every hold has an end (jenner.LedgerEntry.Holds), and all that a run needs is taken at once, so that two runs never
// wait for each other. A run that would not touch its own target refuses: something is wrong with its plan.
func concurrency(in Input) jenner.GuardResult {
	if len(in.Places) > 0 && !slices.Contains(in.Places, placeOf(in)) {
		return refuse(numbers{"target": placeOf(in), "places": strings.Join(in.Places, ", ")},
			"%s is not among the targets that %s would touch (%s)", placeOf(in), in.Runbook.Name, strings.Join(in.Places, ", "))
	}
	return shyest([]jenner.GuardResult{oneRunATarget(in), runsOfPolicy(in)})
}

func oneRunATarget(in Input) jenner.GuardResult {
	wanted := wantedPlaces(in)
	saw := numbers{"places": strconv.Itoa(len(wanted)), "places_taken": "0"}
	taken := map[string]string{}
	for _, entry := range in.Ledger {
		if isRunOfOthers(in, entry) && slices.Contains(wanted, entry.Place()) {
			taken[entry.Place()] = entry.By
		}
	}
	if len(taken) == 0 {
		return agree(saw, "no other run holds what this one would touch")
	}
	saw["places_taken"] = strconv.Itoa(len(taken))
	var words []string
	for _, place := range wanted {
		if by, held := taken[place]; held {
			words = append(words, by+" holds "+place)
			saw[place] = by
		}
	}
	return wait(in.Now.Add(soon), saw, "%s", strings.Join(words, ", and "))
}

// runsOfPolicy counts the other incidents, each once, that hold something under the policy.
func runsOfPolicy(in Input) jenner.GuardResult {
	most := in.Policy.MaxConcurrent
	if most <= 0 {
		return agree(nil, "the policy does not limit its runs")
	}
	others := map[string]bool{}
	for _, entry := range in.OfPolicy {
		if isRunOfOthers(in, entry) {
			others[entry.By] = true
		}
	}
	for _, entry := range in.Ledger {
		if isRunOfOthers(in, entry) && entry.Policy == policyName(in) {
			others[entry.By] = true
		}
	}
	saw := numbers{"runs": strconv.Itoa(len(others)), "max_concurrent": strconv.Itoa(most)}
	if len(others) >= most {
		return wait(in.Now.Add(soon), saw, "%d other runs of policy %s are on, and %d are allowed at the same time",
			len(others), policyName(in), most)
	}
	return agree(saw, "%d other runs of policy %s are on, and %d are allowed at the same time", len(others), policyName(in), most)
}

// isRunOfOthers tells whether an entry is one with which a remediation for another incident holds its target now.
// Whatever else holds the target is the trouble itself.
func isRunOfOthers(in Input, entry jenner.LedgerEntry) bool {
	remediates := entry.Kind == jenner.LedgerAction || entry.Kind == jenner.LedgerTouch
	return remediates && entry.By != in.Incident.ID && entry.Holds(in.Now)
}
