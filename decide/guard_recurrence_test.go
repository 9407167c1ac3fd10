package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// healed is a repair of checkout that was verified, that long ago.
func healed(ago time.Duration) jenner.LedgerEntry {
	entry := did(ago)
	entry.Result = string(jenner.Passed)
	return entry
}

func TestRecurrence(t *testing.T) {
	with := func(change func(*jenner.LedgerEntry)) jenner.LedgerEntry {
		e := healed(time.Hour)
		change(&e)
		return e
	}
	twice := func(rule jenner.Recurrence, entries ...jenner.LedgerEntry) Input {
		return crashedBut(func(in *Input) { in.Ledger, in.Policy.Recurrence = entries, &rule })
	}
	two := jenner.Recurrence{Times: 2, Window: jenner.Duration(2 * time.Hour)}
	const once = "crashed on process/checkout was healed 1 times within 2h, and 2 are too many"
	const often = "crashed on process/checkout was healed 2 times within 2h and came back each time: the fix does not last, " +
		"and a person must find the reason"
	check(t, recurrence, []said{
		{"never", twice(two), jenner.DecideAct, "crashed on process/checkout was healed 0 times within 2h, and 2 are too many", 0,
			numbers{"healed": "0", "times": "2", "window": "2h"}},
		{"once", twice(two, healed(time.Hour)), jenner.DecideAct, once, 0, nil},
		{"too often", twice(two, healed(time.Hour), healed(time.Minute)), jenner.DecideRefuse, often, 0, numbers{"healed": "2"}},
		{"by another runbook", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Runbook = "drain" })), jenner.DecideRefuse, often, 0, nil},
		{"spelt otherwise", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Cause = "CRASHED" })), jenner.DecideRefuse, often, 0, nil},
		{"long ago", twice(two, healed(time.Minute), healed(2*time.Hour)), jenner.DecideAct, once, 0, nil},
		{"another cause", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Cause = "hung" })), jenner.DecideAct, once, 0, nil},
		{"another target", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Target.Name = "b" })), jenner.DecideAct, once, 0, nil},
		{"did not help", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Result = "failed" })), jenner.DecideAct, once, 0, nil},
		{"nobody knows whether it helped", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Result = "inconclusive" })), jenner.DecideAct, once, 0, nil},
		{"only touched", twice(two, healed(time.Minute), with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerTouch })), jenner.DecideAct, once, 0, nil},
		{"not said is five times in a day", twice(jenner.Recurrence{}, healed(time.Minute)), jenner.DecideAct,
			"crashed on process/checkout was healed 1 times within 1d, and 5 are too many", 0, nil},
	})
}

// TestL6AFixThatNeverLastsIsStopped: each repair lasts for hours, so that the attempts start anew each time, and the
// trouble comes back all the same.
func TestL6AFixThatNeverLastsIsStopped(t *testing.T) {
	var entries []jenner.LedgerEntry
	for _, ago := range []time.Duration{20 * time.Hour, 16 * time.Hour, 12 * time.Hour, 8 * time.Hour, 4 * time.Hour} {
		if got := Decide(tried(entries...)); got.Outcome != jenner.DecideAct {
			t.Fatalf("after %d entries: %s by %s: %s", len(entries), got.Outcome, got.Stopper().Guard, got.Stopper().Reason)
		}
		entries = append(entries, healed(ago), healthy(ago-time.Minute))
	}
	got := Decide(tried(entries...))
	if got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "recurrence" || got.Stopper().Numbers["healed"] != "5" {
		t.Errorf("the sixth time: %s by %s with %v; want refuse by recurrence", got.Outcome, got.Stopper().Guard, got.Stopper().Numbers)
	}
}
