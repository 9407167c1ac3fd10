package decide

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/jenner-heal/jenner"
)

const unitTargets = "targets"

// blast limits how much is touched at once, by the limits of the files and the caps that hold whatever is written.
// Remediation and chaos share one ledger: a target that either still holds counts as taken. What the run itself would
// touch counts once, also where it is taken, for a fault on it is the trouble itself. What would never fit is refused;
// what does not fit now, because others are taken, waits. No target at all refuses: empty is not everything.
func blast(in Input) jenner.GuardResult {
	if in.Target.Kind == "" || in.Target.Name == "" || in.Service.Name == "" {
		return refuse(numbers{"target": in.Target.String(), "service": in.Service.Name},
			"the target %q of service %q is not fully named, and an empty target is never every target",
			in.Target.String(), in.Service.Name)
	}
	for _, place := range in.Places {
		if !isNamed(place) {
			return refuse(numbers{"place": place}, "%q among the targets of %s is not fully named (SERVICE/KIND/NAME), "+
				"and an empty target is never every target", place, in.Runbook.Name)
		}
	}
	parts := []jenner.GuardResult{targetsOfService(in), targetsAtOnce(in), healthyEnough(in)}
	parts = append(parts, targetsElsewhere(in)...)
	parts = append(parts, stepSizes(in)...)
	parts = append(parts, policyUnits(in)...)
	return shyest(parts)
}

// targetsOfService holds the service's taken targets against what is allowed of it.
func targetsOfService(in Input) jenner.GuardResult {
	want, taken, allowed := targetsWanted(in), others(in, in.Service.Name), allowedOfService(in)
	saw := numbers{"targets_total": strconv.Itoa(in.Siblings.Total), "targets_taken": strconv.Itoa(taken),
		"targets_wanted": strconv.Itoa(want), "targets_allowed": strconv.Itoa(allowed)}
	text := fmt.Sprintf("%d of %d targets of %s wanted, %d others taken, %d allowed at once",
		want, in.Siblings.Total, in.Service.Name, taken, allowed)
	return fits(in, saw, text, want, taken, allowed)
}

// allowedOfService is the smallest of the cap, the policy's limit and the limits of the steps.
func allowedOfService(in Input) int {
	allowed := in.Limits.OfService()
	if limit, limited := in.Policy.BlastRadius["max_"+unitTargets]; limited {
		allowed = min(allowed, limit.Of(in.Siblings.Total))
	}
	for _, step := range in.Runbook.Steps {
		if limit, limited := step.BlastRadius["max_"+unitTargets]; limited {
			allowed = min(allowed, limit.Of(in.Siblings.Total))
		}
	}
	return allowed
}

// targetsElsewhere holds each other service that the run would touch against the cap of one service.
func targetsElsewhere(in Input) []jenner.GuardResult {
	var parts []jenner.GuardResult
	places := wantedPlaces(in)
	for _, service := range servicesOf(places) {
		if service == in.Service.Name {
			continue
		}
		want, taken, allowed := placesOf(places, service), others(in, service), in.Limits.OfService()
		saw := numbers{service + "_taken": strconv.Itoa(taken), service + "_wanted": strconv.Itoa(want),
			service + "_allowed": strconv.Itoa(allowed)}
		text := fmt.Sprintf("%d targets of %s wanted, %d others taken, %d allowed at once", want, service, taken, allowed)
		parts = append(parts, fits(in, saw, text, want, taken, allowed))
	}
	return parts
}

func targetsAtOnce(in Input) jenner.GuardResult {
	places, allowed := wantedPlaces(in), in.Limits.AtOnce()
	want := len(places) - placesOf(places, in.Service.Name) + targetsWanted(in)
	taken := others(in, "")
	saw := numbers{"all_taken": strconv.Itoa(taken), "all_wanted": strconv.Itoa(want), "all_allowed": strconv.Itoa(allowed)}
	text := fmt.Sprintf("%d wanted in all, %d others taken, %d allowed at once", want, taken, allowed)
	return fits(in, saw, text, want, taken, allowed)
}

func fits(in Input, saw numbers, text string, want, taken, allowed int) jenner.GuardResult {
	switch {
	case want > allowed:
		return refuse(saw, "%s", text)
	case want > allowed-taken:
		return wait(in.Now.Add(soon), saw, "%s", text)
	}
	return agree(saw, "%s", text)
}

// targetsWanted is how many targets of the service the run would touch: those that it names, or what its widest step
// would touch, for the steps of a runbook work on the same targets.
func targetsWanted(in Input) int {
	want := placesOf(wantedPlaces(in), in.Service.Name)
	for _, size := range in.Steps {
		if size.Unit == unitTargets {
			want = max(want, size.Want)
		}
	}
	return want
}

// placesOf counts the places of one service.
func placesOf(places []string, service string) int {
	count := 0
	for _, place := range places {
		if serviceOf(place) == service {
			count++
		}
	}
	return count
}

// others counts the targets, each once, that somebody still holds and that the run would not touch: those of one service,
// or all where none is named.
func others(in Input, service string) int {
	wanted, taken := wantedPlaces(in), map[string]bool{}
	for _, entry := range in.Ledger {
		if entry.Holds(in.Now) && (service == "" || entry.Service == service) && !slices.Contains(wanted, entry.Place()) {
			taken[entry.Place()] = true
		}
	}
	return len(taken)
}

// healthyEnough waits until enough of the other targets are healthy. The target at hand is the one in trouble, so that
// the minimum is never more than all the others.
func healthyEnough(in Input) jenner.GuardResult {
	if in.Policy.MinHealthy == nil {
		return agree(nil, "no minimum of healthy targets is asked for")
	}
	total, healthy := in.Siblings.Total, min(in.Siblings.Healthy, in.Siblings.Total-1)
	need := atLeast(*in.Policy.MinHealthy, total)
	saw := numbers{"healthy": strconv.Itoa(in.Siblings.Healthy), "healthy_needed": strconv.Itoa(need)}
	if total <= 0 || in.Siblings.Healthy < 0 {
		return refuse(saw, "a minimum of healthy targets is asked for, and %d of %d healthy cannot be", in.Siblings.Healthy, total)
	}
	text := fmt.Sprintf("%d of the other %d targets are healthy, %d must be", healthy, total-1, need)
	if healthy < need {
		return wait(in.Now.Add(soon), saw, "%s", text)
	}
	return agree(saw, "%s", text)
}

// atLeast reads a limit as a minimum: a share rounds up, and of a share and a count the larger holds. That is the other
// way round than Limit.Of, because here more is safer.
func atLeast(limit jenner.Limit, total int) int {
	need := 0
	if limit.Share != nil {
		need = int(math.Ceil(float64(*limit.Share)*float64(total) - 1e-9))
	}
	if limit.Count != nil {
		need = max(need, *limit.Count)
	}
	return max(0, min(need, total-1))
}

// stepSizes holds each step against its own limits. A limit of which nobody knows how much the step would touch refuses.
func stepSizes(in Input) []jenner.GuardResult {
	var parts []jenner.GuardResult
	limits := map[string]jenner.BlastRadius{}
	for _, step := range in.Runbook.Steps {
		limits[step.Name] = step.BlastRadius
		for _, unit := range step.BlastRadius.Units() {
			if unit != unitTargets && !sized(in, step.Name, unit) {
				parts = append(parts, refuse(nil, "step %s has a limit of %s, and nobody knows how many it would touch",
					step.Name, unit))
			}
		}
	}
	for _, size := range in.Steps {
		of := func(limit jenner.Limit) int { return limit.Of(size.Total) }
		limit, limited := limits[size.Step]["max_"+size.Unit]
		parts = append(parts, oneSize(in, size, limit, limited, of))
	}
	return parts
}

func sized(in Input, step, unit string) bool {
	return slices.ContainsFunc(in.Steps, func(s StepSize) bool { return s.Step == step && s.Unit == unit })
}

func oneSize(in Input, size StepSize, limit jenner.Limit, limited bool, of func(jenner.Limit) int) jenner.GuardResult {
	allowed := max(size.Total, 0)
	if limited {
		allowed = of(limit)
	}
	key := size.Step + "_" + size.Unit
	saw := numbers{key: strconv.Itoa(size.Want), key + "_total": strconv.Itoa(size.Total), key + "_allowed": strconv.Itoa(allowed)}
	text := fmt.Sprintf("step %s would touch %d of %d %s, %d allowed", size.Step, size.Want, size.Total, size.Unit, allowed)
	if size.Want < 0 || size.Want > allowed {
		return refuse(saw, "%s", text)
	}
	// Nobody wrote a limit anywhere, and it would touch everything there is.
	_, byPolicy := in.Policy.BlastRadius["max_"+size.Unit]
	if size.Unit != unitTargets && !limited && !byPolicy && size.Total > 1 && size.Want == size.Total {
		return refuse(saw, "step %s would touch all %d %s, and nothing limits it; write blast_radius: {max_%s: …}",
			size.Step, size.Total, size.Unit, size.Unit)
	}
	return agree(saw, "%s", text)
}

// policyUnits holds what all steps would touch together against the policy's limits. The smallest whole that a step
// reports counts.
func policyUnits(in Input) []jenner.GuardResult {
	wants, totals := map[string]int{}, map[string]int{}
	for _, size := range in.Steps {
		if whole, known := totals[size.Unit]; !known || size.Total < whole {
			totals[size.Unit] = size.Total
		}
		wants[size.Unit] += max(size.Want, 0)
	}
	delete(wants, unitTargets) // counted with the ledger
	var parts []jenner.GuardResult
	for _, unit := range slices.Sorted(maps.Keys(wants)) {
		limit, limited := in.Policy.BlastRadius["max_"+unit]
		if !limited {
			continue
		}
		allowed := limit.Of(totals[unit])
		saw := numbers{unit + "_wanted": strconv.Itoa(wants[unit]), unit + "_allowed": strconv.Itoa(allowed)}
		text := fmt.Sprintf("the runbook would touch %d of %d %s, the policy allows %d", wants[unit], totals[unit], unit, allowed)
		parts = append(parts, fits(in, saw, text, wants[unit], 0, allowed))
	}
	return parts
}
