package chaos

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/jenner-heal/jenner"
)

// worst orders verdicts from the one that says most against a drill to the best one.
var worst = []jenner.Verdict{jenner.VerdictResidue, jenner.VerdictHarmful, jenner.VerdictAborted, jenner.VerdictNotRemediated,
	jenner.VerdictNoEffect, jenner.VerdictInconclusive, jenner.VerdictNotNeeded, jenner.VerdictProvenSlow, jenner.VerdictProven}

// Overall is what all rounds of a drill showed together: PROVEN only where every one of them did, else the worst of them.
// Without a round it is INCONCLUSIVE.
func Overall(results []jenner.DrillResult) jenner.Overall {
	overall := jenner.Overall{Verdict: jenner.VerdictInconclusive, Rounds: len(results)}
	var detected, acted, recovered []int64
	at := len(worst)
	for _, result := range results {
		if place := slices.Index(worst, result.Verdict); place < at {
			at = place
		}
		if result.Verdict == jenner.VerdictProven {
			overall.Proven++
		}
		detected, acted, recovered = append(detected, result.DetectedMS), append(acted, result.ActedMS), append(recovered, result.RecoveredMS)
	}
	if at >= 0 && at < len(worst) {
		overall.Verdict = worst[at]
	}
	overall.Detected, overall.Acted, overall.Recovered = SpreadOf(detected), SpreadOf(acted), SpreadOf(recovered)
	return overall
}

// SpreadOf is how times in milliseconds are spread; those below zero did not happen and are left out. The percentiles are
// by nearest rank, as jenner.Spread says.
func SpreadOf(times []int64) jenner.Spread {
	times = slices.DeleteFunc(slices.Clone(times), func(ms int64) bool { return ms < 0 })
	if len(times) == 0 {
		return jenner.Spread{Min: -1, P50: -1, P90: -1, Max: -1}
	}
	slices.Sort(times)
	rank := func(percent float64) int64 {
		return times[max(1, int(math.Ceil(percent/100*float64(len(times))-1e-9)))-1]
	}
	return jenner.Spread{Count: len(times), Min: times[0], P50: rank(50), P90: rank(90), Max: times[len(times)-1]}
}

// Break says which bound of an invariant does not hold, with both values; nothing where all hold. A value that is to be
// compared as a number and is none is an error: it is not known whether the invariant holds.
func Break(invariant jenner.Invariant, before, after string) (string, error) {
	if invariant.Same && before != after {
		return fmt.Sprintf("%s is %s and was %s", invariant.Name, short(after), short(before)), nil
	}
	if invariant.RisesAtMost == nil && invariant.Below == nil && invariant.Above == nil {
		return "", nil
	}
	was, err := number(invariant.Name, before)
	if err != nil {
		return "", err
	}
	is, err := number(invariant.Name, after)
	if err != nil {
		return "", err
	}
	switch {
	case invariant.RisesAtMost != nil && is-was > float64(*invariant.RisesAtMost)+1e-9:
		return fmt.Sprintf("%s rose from %s to %s, and may rise by %v at most", invariant.Name, before, after, *invariant.RisesAtMost), nil
	case invariant.Below != nil && is > float64(*invariant.Below):
		return fmt.Sprintf("%s is %s, above %v, and was %s", invariant.Name, after, *invariant.Below, before), nil
	case invariant.Above != nil && is < float64(*invariant.Above):
		return fmt.Sprintf("%s is %s, below %v, and was %s", invariant.Name, after, *invariant.Above, before), nil
	}
	return "", nil
}

func number(name, text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) {
		return 0, fmt.Errorf("%s is %q, which is no number to compare", name, short(text))
	}
	return value, nil
}

// short is an answer for people: the beginning of a long one.
func short(answer string) string {
	const most = 80
	if runes := []rune(answer); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return answer
}
