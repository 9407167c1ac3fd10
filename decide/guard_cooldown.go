package decide

import (
	"time"

	"github.com/jenner-heal/jenner"
)

// DefaultCooldown is the rest after an action where the policy does not say.
const DefaultCooldown = 5 * time.Minute

// cooldown waits until the same runbook has let the same target rest for long enough. The rest begins when the earlier
// action ended, not when it began; one that still holds the target has not ended.
func cooldown(in Input) jenner.GuardResult {
	rest := in.Policy.CooldownAfterAction.Or(DefaultCooldown)
	var over time.Time
	for _, entry := range in.Ledger {
		if entry.Kind != jenner.LedgerAction || !isHere(in, entry) || entry.Runbook != in.Runbook.Name {
			continue
		}
		ended := later(entry.At, entry.Until)
		if entry.Holds(in.Now) {
			ended = later(ended, in.Now)
		}
		over = later(over, ended.Add(rest))
	}
	saw := numbers{"cooldown": lasting(rest)}
	if over.IsZero() {
		return agree(saw, "%s was not run on %s before", in.Runbook.Name, in.Target)
	}
	saw["over_at"] = instant(over)
	if in.Now.Before(over) {
		return wait(over, saw, "%s was run on %s, which rests for %s; %s are left",
			in.Runbook.Name, in.Target, lasting(rest), lasting(over.Sub(in.Now)))
	}
	return agree(saw, "%s has let %s rest for %s", in.Runbook.Name, in.Target, lasting(rest))
}

// isHere tells whether an entry is about the target at hand. Targets of two services may share a name.
func isHere(in Input, entry jenner.LedgerEntry) bool {
	return entry.Service == in.Service.Name && entry.Target == in.Target
}
