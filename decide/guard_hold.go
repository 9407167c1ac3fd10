package decide

import (
	"cmp"
	"slices"

	"github.com/jenner-heal/jenner"
)

// hold waits while somebody forbids new actions: by the kill switch, or for this service. A hold with an end is waited
// for until then; one without is looked at again every second. Undo does not ask this guard and is never held.
func hold(in Input) jenner.GuardResult {
	var holding []jenner.Hold
	for _, one := range in.Holds {
		if one.Covers(in.Service.Name, in.Now) || one.Covers(in.Incident.Service, in.Now) {
			holding = append(holding, one)
		}
	}
	slices.SortStableFunc(holding, func(a, b jenner.Hold) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.At.Compare(b.At))
	})
	var parts []jenner.GuardResult
	for _, one := range holding {
		until := one.Until
		if until.IsZero() {
			until = in.Now.Add(soon)
		}
		parts = append(parts, wait(until, numbers{"hold": one.Scope, "by": one.By, "since": instant(one.At)},
			"%s", describe(one)))
	}
	if len(parts) == 0 {
		return agree(nil, "no hold")
	}
	return shyest(parts)
}

func rank(h jenner.Hold) int {
	if h.Scope == jenner.HoldAll {
		return 0
	}
	return 1
}

func describe(h jenner.Hold) string {
	text := "service " + h.Scope + " is held by "
	if h.Scope == jenner.HoldAll {
		text = "everything is stopped by "
	}
	text += h.By + " since " + instant(h.At)
	if !h.Until.IsZero() {
		text += " until " + instant(h.Until)
	}
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}
