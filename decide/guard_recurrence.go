package decide

import (
	"strconv"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultRecurrenceTimes is after how many verified repairs the fix counts as one that does not last, where the
	// policy does not say.
	DefaultRecurrenceTimes = 5
	// DefaultRecurrenceWindow is the time within which those repairs are counted.
	DefaultRecurrenceWindow = 24 * time.Hour
)

// recurrence refuses a fix that helps each time and never for long: a person must find the reason. It counts what
// guard attempts forgives, namely repairs that were verified, of the same cause on the same target by whatever runbook.
func recurrence(in Input) jenner.GuardResult {
	times, window := DefaultRecurrenceTimes, DefaultRecurrenceWindow
	if rule := in.Policy.Recurrence; rule != nil {
		if rule.Times != 0 {
			times = rule.Times
		}
		window = rule.Window.Or(DefaultRecurrenceWindow)
	}
	healed := 0
	for _, entry := range in.Ledger {
		if entry.Kind == jenner.LedgerAction && isHere(in, entry) && entry.Result == string(jenner.Passed) &&
			plainly(entry.Cause) == plainly(in.Cause.Cause) && entry.At.After(in.Now.Add(-window)) {
			healed++
		}
	}
	saw := numbers{"healed": strconv.Itoa(healed), "times": strconv.Itoa(times), "window": lasting(window)}
	if healed >= times {
		return refuse(saw, "%s on %s was healed %d times within %s and came back each time: the fix does not last, "+
			"and a person must find the reason", in.Cause.Cause, in.Target, healed, lasting(window))
	}
	return agree(saw, "%s on %s was healed %d times within %s, and %d are too many", in.Cause.Cause, in.Target, healed,
		lasting(window), times)
}
