package runbook

import (
	"cmp"
	"slices"

	"github.com/jenner-heal/jenner"
)

// Choose finds the policy that answers a cause on a service, and its runbooks in order, the least disruptive first.
//
// Among the policies for that incident type whose selector picks the service, the one with the most specific selector
// wins: the one with more fields set, then names over owner over environment over tier, then by the policy's name.
// triggers are the runbooks with a trigger, by name. Where the cause is such a runbook and no policy has it as its
// incident type, a policy that lists the runbook decides, with this runbook alone; without one, the mode is recommend.
// False: nothing answers the cause.
func Choose(policies []jenner.Policy, cause jenner.RankedCause, service jenner.Service,
	triggers map[string]jenner.Runbook) (jenner.Policy, []string, bool) {
	name := string(cause.Cause)
	_, triggered := triggers[name]

	policy, found := mostSpecific(policies, service, func(p jenner.Policy) bool { return p.IncidentType == cause.Cause })
	switch {
	case found && len(policy.Runbooks) == 0 && triggered:
		return policy, []string{name}, true
	case found:
		return policy, slices.Clone(policy.Runbooks), true
	case !triggered:
		return jenner.Policy{}, nil, false
	}
	policy, found = mostSpecific(policies, service, func(p jenner.Policy) bool { return slices.Contains(p.Runbooks, name) })
	if found {
		return policy, []string{name}, true
	}
	return jenner.Policy{
		Name:         name,
		Description:  "made for the trigger of runbook " + name + ", which no policy names",
		IncidentType: cause.Cause,
		Runbooks:     []string{name},
		Mode:         jenner.ModeRecommend,
	}, []string{name}, true
}

func mostSpecific(policies []jenner.Policy, service jenner.Service, fits func(jenner.Policy) bool) (jenner.Policy, bool) {
	var candidates []jenner.Policy
	for _, policy := range policies {
		if fits(policy) && policy.Services.Picks(service) {
			candidates = append(candidates, policy)
		}
	}
	if len(candidates) == 0 {
		return jenner.Policy{}, false
	}
	return slices.MinFunc(candidates, func(a, b jenner.Policy) int {
		return cmp.Or(slices.Compare(specificity(b.Services), specificity(a.Services)), cmp.Compare(a.Name, b.Name))
	}), true
}

// specificity orders selectors: how many fields are set, then which.
func specificity(s jenner.Selector) []int {
	set := []int{min(1, len(s.Names)), min(1, len(s.Owner)), min(1, len(s.Environment)), min(1, len(s.Tier))}
	return append([]int{set[0] + set[1] + set[2] + set[3]}, set...)
}
