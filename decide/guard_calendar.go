package decide

import (
	"maps"
	"strconv"

	"github.com/jenner-heal/jenner"
)

// calendar heeds what is planned for the service at this moment: a freeze waits until it is over, an event that wants
// approval asks, and one that lowers the confidence agrees here and counts in guard confidence. An effect that nobody
// knows asks. So does a calendar that cannot be read, for then nobody knows whether something is planned.
func calendar(in Input) jenner.GuardResult {
	var parts []jenner.GuardResult
	for _, event := range in.Planned {
		if event.Covers(in.Service, in.Now) {
			parts = append(parts, planned(event))
		}
	}
	saw := numbers{"planned": strconv.Itoa(len(parts)), "unread_calendars": strconv.Itoa(len(in.Gaps))}
	for _, gap := range in.Gaps {
		parts = append(parts, leave(nil, "nobody knows whether something is planned: %s", gap))
	}
	if len(parts) == 0 {
		return agree(saw, "nothing is planned")
	}
	whole := shyest(parts)
	maps.Copy(whole.Numbers, saw)
	return whole
}

func planned(event jenner.Planned) jenner.GuardResult {
	until := instant(event.Until)
	saw := numbers{event.Calendar + "/" + event.Summary: string(event.Effect) + " until " + until}
	what := quoted(event.Summary) + " of calendar " + event.Calendar
	switch event.Effect {
	case jenner.PlannedFreeze:
		return wait(event.Until, saw, "%s freezes everything until %s", what, until)
	case jenner.PlannedApprove:
		return leave(saw, "%s is on until %s, and a person must agree while it is", what, until)
	case jenner.PlannedLower:
		return agree(saw, "%s is on until %s and lowers the confidence by %s", what, until, figure(lowering(event)))
	}
	return leave(saw, "%s is on until %s with the effect %q, which nobody knows; write lower, approve or freeze",
		what, until, event.Effect)
}
