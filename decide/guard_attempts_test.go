package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func tried(entries ...jenner.LedgerEntry) Input {
	return crashedBut(func(in *Input) { in.Ledger = entries })
}

func TestAttempts(t *testing.T) {
	with := func(change func(*jenner.LedgerEntry)) jenner.LedgerEntry { e := did(time.Minute); change(&e); return e }
	const tooMany = "crashed on process/checkout was treated 2 times, and 2 are allowed before it was healthy for 10m"
	check(t, attempts, []said{
		{"first", tried(), jenner.DecideAct, "attempt 1 of 2", 0, numbers{"attempts": "0", "max_attempts": "2", "reset_after": "10m"}},
		{"second", tried(did(time.Hour)), jenner.DecideAct, "attempt 2 of 2", 0, nil},
		{"third", tried(did(time.Hour), did(time.Minute)), jenner.DecideRefuse, tooMany, 0, nil},
		{"by two runbooks", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Runbook = "drain" })), jenner.DecideRefuse, tooMany, 0, nil},
		{"one of them still runs", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Until = time.Time{} })), jenner.DecideRefuse, tooMany, 0, nil},
		{"another cause", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Cause = "hung" })), jenner.DecideAct, "attempt 2 of 2", 0, nil},
		{"another target", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Target.Name = "b" })), jenner.DecideAct, "attempt 2 of 2", 0, nil},
		{"faults are no attempts", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerFault })), jenner.DecideAct, "attempt 2 of 2", 0, nil},
		{"nor are further targets of a run", tried(did(time.Hour), with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerTouch })), jenner.DecideAct, "attempt 2 of 2", 0, nil},
		{"as the policy says", crashedBut(func(in *Input) { in.Ledger, in.Policy.MaxAttempts = []jenner.LedgerEntry{did(time.Hour)}, 1 }),
			jenner.DecideRefuse, "crashed on process/checkout was treated 1 times, and 1 are allowed before it was healthy for 10m", 0, nil},
		{"a number below zero allows none", crashedBut(func(in *Input) { in.Policy.MaxAttempts = -1 }),
			jenner.DecideRefuse, "crashed on process/checkout was treated 0 times, and -1 are allowed before it was healthy for 10m", 0, nil},
	})
}

// TestL6EachTimeSuccessfulIsStillTooOften: the runbook works each time, and the trouble comes back six minutes later.
func TestL6EachTimeSuccessfulIsStillTooOften(t *testing.T) {
	in := tried(did(12*time.Minute), healthy(11*time.Minute), did(6*time.Minute), healthy(5*time.Minute))
	if got := attempts(in); got.Outcome != jenner.DecideRefuse || got.Numbers["attempts"] != "2" {
		t.Errorf("the third repair of what breaks every six minutes: %s, %v", got.Outcome, got.Numbers)
	}
}

func TestL15AttemptsResetOnlyAfterHealthThatLasted(t *testing.T) {
	twice := []jenner.LedgerEntry{did(62 * time.Minute), did(61 * time.Minute)}
	after := func(entries ...jenner.LedgerEntry) Input { return tried(append(entries, twice...)...) }
	const tooMany = "crashed on process/checkout was treated 2 times, and 2 are allowed before it was healthy for 10m"
	check(t, attempts, []said{
		{"never healthy", after(), jenner.DecideRefuse, tooMany, 0, nil},
		{"healthy for an hour", after(healthy(time.Hour)), jenner.DecideAct, "attempt 1 of 2", 0, nil},
		{"healthy a moment ago", after(healthy(3 * time.Second)), jenner.DecideRefuse, tooMany, 0, nil},
		{"healthy for ten minutes until the alert, to the moment", after(healthy(10*time.Minute + 2*time.Second)),
			jenner.DecideAct, "attempt 1 of 2", 0, nil},
		{"a second less", after(healthy(10*time.Minute + time.Second)), jenner.DecideRefuse, tooMany, 0, nil},
		{"another target's health", after(func() jenner.LedgerEntry {
			e := healthy(time.Hour)
			e.Target.Name = "checkout-2"
			return e
		}()), jenner.DecideRefuse, tooMany, 0, nil},
		{"the whole service's health", after(func() jenner.LedgerEntry {
			e := healthy(time.Hour)
			e.Target = jenner.TargetRef{}
			return e
		}()), jenner.DecideAct, "attempt 1 of 2", 0, nil},
		{"as the policy says", crashedBut(func(in *Input) {
			in.Ledger = append([]jenner.LedgerEntry{healthy(time.Minute)}, twice...)
			in.Policy.AttemptsResetAfter = jenner.Duration(30 * time.Second)
		}), jenner.DecideAct, "attempt 1 of 2", 0, nil},
	})
}

// TestL15WaitingIsNotHealth: health that ended when the alert began does not grow while a decision waits.
func TestL15WaitingIsNotHealth(t *testing.T) {
	in := tried(did(32*time.Minute), did(31*time.Minute), healthy(30*time.Minute))
	in.Alerts[0].StartsAt = before(29 * time.Minute)
	if got := attempts(in); got.Outcome != jenner.DecideRefuse {
		t.Errorf("healthy for one minute, then sick for 29: %s, want refuse", got.Outcome)
	}
}
