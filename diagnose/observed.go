package diagnose

import (
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// changedWithin is how long ago a change may have been where the evidence does not say.
const changedWithin = 15 * time.Minute

// judgeEvent looks for a condition that the system itself tells of the service, and names the target that it is about.
func (w world) judgeEvent(service jenner.Service, reason string) verdict {
	for _, alert := range w.firing(service.Name) {
		if alert.Kind == jenner.AlertEvent && alert.Name == reason {
			result := found(true, "since %s%s", alert.StartsAt.UTC().Format(time.RFC3339), because(alert.Summary))
			result.target = alert.Target
			return result
		}
	}
	for _, target := range service.Targets {
		if w.in.Observed != nil && w.in.Observed(target.Kind) {
			return found(false, "nothing of the kind is told")
		}
	}
	return missing("nothing tells of events of %s", service.Name)
}

// judgeChanged looks for a change of the service that others made before the trouble began. What came after it cannot be
// its cause.
func (w world) judgeChanged(service jenner.Service, kind jenner.ChangeKind, within time.Duration) verdict {
	if w.in.Changes == nil {
		return missing("no source of changes is connected")
	}
	began := w.began(service.Name)
	if began.IsZero() {
		began = w.in.Now
	}
	for _, event := range w.in.Changes(service.Name, began.Add(-within)) {
		if event.Kind != kind || event.At.After(began) {
			continue
		}
		by := ""
		if event.By != "" {
			by = " by " + event.By
		}
		result := found(true, "%s%s, %s before it began: %s", event.Object, by, ago(began, event.At), event.Summary)
		result.target = event.Target
		return result
	}
	return found(false, "%s", fmt.Sprintf("no %s within %s before it began", kind, jenner.Duration(within)))
}
