package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// ran is a run of restart on some service that began a minute before it ended, that long ago.
func ran(result jenner.CheckOutcome, ago time.Duration) jenner.LedgerEntry {
	return jenner.LedgerEntry{Kind: jenner.LedgerAction, At: before(ago + time.Minute), Until: before(ago), By: "i0", Service: "gateway",
		Target: jenner.TargetRef{Kind: "process", Name: "gateway"}, Runbook: "restart", Result: string(result)}
}

func failedAt(agos ...time.Duration) []jenner.LedgerEntry {
	var runs []jenner.LedgerEntry
	for _, ago := range agos {
		runs = append(runs, ran(jenner.Failed, ago))
	}
	return runs
}

func TestBreakerOf(t *testing.T) {
	const m = time.Minute
	passed := func(ago time.Duration) jenner.LedgerEntry { return ran(jenner.Passed, ago) }
	runs := func(failed []jenner.LedgerEntry, more ...jenner.LedgerEntry) []jenner.LedgerEntry {
		return append(failed, more...)
	}
	fault, touch, going := ran(jenner.Failed, m), ran(jenner.Failed, m), ran("", m)
	fault.Kind, touch.Kind = jenner.LedgerFault, jenner.LedgerTouch
	noEnd := ran(jenner.Failed, m)
	noEnd.Until = time.Time{}
	long := passed(m) // it began when the breaker was open
	long.At = before(30 * m)
	for _, c := range []struct {
		name     string
		rule     jenner.Breaker
		runs     []jenner.LedgerEntry
		state    BreakerState
		until    time.Duration // after now
		failures int
	}{
		{"no runs", jenner.Breaker{}, nil, BreakerClosed, 0, 0},
		{"two failed", jenner.Breaker{}, failedAt(3*m, 2*m), BreakerClosed, 0, 2},
		{"three failed", jenner.Breaker{}, failedAt(3*m, 2*m, m), BreakerOpen, 14 * m, 3},
		{"in whatever order they are told", jenner.Breaker{}, failedAt(m, 3*m, 2*m), BreakerOpen, 14 * m, 3},
		{"one passed between", jenner.Breaker{}, runs(failedAt(4*m, 3*m, m), passed(2*m)), BreakerClosed, 0, 1},
		{"one was inconclusive between", jenner.Breaker{}, runs(failedAt(4*m, 3*m, m), ran(jenner.Inconclusive, 2*m)), BreakerOpen, 14 * m, 3},
		{"one has not ended", jenner.Breaker{}, runs(failedAt(3*m, 2*m), going), BreakerClosed, 0, 2},
		{"a fault is no run", jenner.Breaker{}, runs(failedAt(3*m, 2*m), fault), BreakerClosed, 0, 2},
		{"a further target is no run", jenner.Breaker{}, runs(failedAt(3*m, 2*m), touch), BreakerClosed, 0, 2},
		{"no end counts from the beginning", jenner.Breaker{}, runs(failedAt(4*m, 3*m), noEnd), BreakerOpen, 13 * m, 3},
		{"an hour apart is in a row still", jenner.Breaker{}, failedAt(61*m, 31*m, m), BreakerOpen, 14 * m, 3},
		{"more than an hour apart", jenner.Breaker{}, failedAt(62*m, 31*m, m), BreakerClosed, 0, 2},
		{"long ago", jenner.Breaker{}, failedAt(70*m, 65*m), BreakerClosed, 0, 0},
		{"open to the last moment", jenner.Breaker{}, failedAt(17*m, 16*m, 15*m-1), BreakerOpen, 1, 3},
		{"half-open", jenner.Breaker{}, failedAt(17*m, 16*m, 15*m), BreakerHalfOpen, 0, 3},
		{"half-open for days", jenner.Breaker{}, failedAt(3000*m, 3000*m, 3000*m), BreakerHalfOpen, 0, 3},
		{"the trial passed", jenner.Breaker{}, runs(failedAt(43*m, 42*m, 41*m), passed(m)), BreakerClosed, 0, 0},
		{"the trial failed", jenner.Breaker{}, failedAt(43*m, 42*m, 41*m, m), BreakerOpen, 14 * m, 4},
		{"the trial was inconclusive", jenner.Breaker{}, runs(failedAt(43*m, 42*m, 41*m), ran(jenner.Inconclusive, m)), BreakerHalfOpen, 0, 3},
		{"what passed began when it was open", jenner.Breaker{}, runs(failedAt(43*m, 42*m, 41*m), long), BreakerHalfOpen, 0, 3},
		{"what ended while it was open and failed", jenner.Breaker{}, failedAt(23*m, 22*m, 21*m, 10*m), BreakerOpen, 5 * m, 4},
		{"it counts anew after a trial that passed", jenner.Breaker{}, runs(failedAt(63*m, 62*m, 61*m, m), passed(20*m)), BreakerClosed, 0, 1},
		{"as the policy says", jenner.Breaker{Failures: 1, OpenFor: jenner.Duration(5 * m)}, failedAt(m), BreakerOpen, 4 * m, 1},
		{"its window too", jenner.Breaker{Failures: 2, Window: jenner.Duration(m)}, failedAt(3*m, m), BreakerClosed, 0, 1},
		{"fewer than one is one", jenner.Breaker{Failures: -1}, failedAt(m), BreakerOpen, 14 * m, 1},
		{"one that passes at the same moment hides nothing", jenner.Breaker{}, append([]jenner.LedgerEntry{passed(m)}, failedAt(3*m, 2*m, m)...),
			BreakerOpen, 14 * m, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, until, failures := BreakerOf(c.rule, c.runs, now)
			var left time.Duration
			if !until.IsZero() {
				left = until.Sub(now)
			}
			if state != c.state || left != c.until || failures != c.failures {
				t.Errorf("got %s for %s with %d failures, want %s for %s with %d", state, left, failures, c.state, c.until, c.failures)
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	const m = time.Minute
	after := func(runs ...jenner.LedgerEntry) Input { return crashedBut(func(in *Input) { in.OfRunbook = runs }) }
	trial, own := ran("", m), ran("", m)
	trial.Until, own.Until, own.By = now.Add(m), now.Add(m), "i1"
	drain := failedAt(3*m, 2*m, m)
	for i := range drain {
		drain[i].Runbook = "drain"
	}
	strict := after(failedAt(m)...)
	strict.Policy.CircuitBreaker = &jenner.Breaker{Failures: 1}
	odd := after()
	odd.Policy.CircuitBreaker = &jenner.Breaker{Failures: -1}
	check(t, breaker, []said{
		{"fewer than one cannot open it", odd, jenner.DecideAct, "the breaker of restart is closed: 0 runs in a row failed, and 1 open it", 0,
			numbers{"failures_allowed": "0"}},
		{"closed, also where nobody wrote of breakers", after(failedAt(m)...), jenner.DecideAct,
			"the breaker of restart is closed: 1 runs in a row failed, and 3 open it", 0,
			numbers{"state": "closed", "failures": "1", "failures_allowed": "2", "window": "1h", "open_for": "15m"}},
		{"open", after(failedAt(3*m, 2*m, m)...), jenner.DecideRefuse,
			"the breaker of restart is open until 2026-03-01T12:14:00Z: 3 runs in a row failed, and a person must look", 0,
			numbers{"state": "open", "until": "2026-03-01T12:14:00Z"}},
		{"half-open", after(failedAt(43*m, 42*m, 41*m)...), jenner.DecideAct,
			"the breaker of restart is half-open after 3 failed runs in a row, and this run is the trial", 0, nil},
		{"half-open, and another tries", after(append(failedAt(43*m, 42*m, 41*m), trial)...), jenner.DecideWait,
			"the breaker of restart is half-open, and i0 tries it at this moment", time.Second, numbers{"trial": "i0"}},
		{"half-open, and this one tries", after(append(failedAt(43*m, 42*m, 41*m), own)...), jenner.DecideAct,
			"the breaker of restart is half-open after 3 failed runs in a row, and this run is the trial", 0, nil},
		{"closed, and another runs", after(trial), jenner.DecideAct, "the breaker of restart is closed: 0 runs in a row failed, and 3 open it", 0, nil},
		{"another runbook's", after(drain...), jenner.DecideAct, "the breaker of restart is closed: 0 runs in a row failed, and 3 open it", 0, nil},
		{"as the policy says", strict, jenner.DecideRefuse,
			"the breaker of restart is open until 2026-03-01T12:14:00Z: 1 runs in a row failed, and a person must look", 0, nil},
	})
}

// TestL2ABreakerThatClosesReplaysNothing: what was refused while it was open is not made up for when it lets runs through.
func TestL2ABreakerThatClosesReplaysNothing(t *testing.T) {
	in := crashedBut(func(in *Input) {
		in.OfRunbook = failedAt(43*time.Minute, 42*time.Minute, 41*time.Minute)
		in.Alerts[0].StartsAt = before(40 * time.Minute)
	})
	if got := breaker(in); got.Outcome != jenner.DecideAct || got.Numbers["state"] != "half-open" {
		t.Fatalf("the breaker says %s, %v", got.Outcome, got.Numbers)
	}
	if got := Decide(in); got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "freshness" {
		t.Errorf("an alert of forty minutes ago: %s by %s; want refuse by freshness", got.Outcome, got.Stopper().Guard)
	}
}

// TestL3ABreakerIsNotInTheWayOfRecovery: a breaker that is open stops the runs of its own runbook and nothing else; and it
// opens a way back by itself, without anybody who resets it.
func TestL3ABreakerIsNotInTheWayOfRecovery(t *testing.T) {
	open := crashedBut(func(in *Input) { in.OfRunbook = failedAt(3*time.Minute, 2*time.Minute, time.Minute) })
	if got := Decide(open); got.Outcome != jenner.DecideRefuse || got.Stopper().Guard != "breaker" {
		t.Fatalf("decided %s by %s; want refuse by breaker", got.Outcome, got.Stopper().Guard)
	}
	other := open
	other.Runbook.Name = "drain"
	if got := Decide(other); got.Outcome != jenner.DecideAct {
		t.Errorf("another runbook: %s by %s", got.Outcome, got.Stopper().Guard)
	}
	later := open
	later.Now = now.Add(14 * time.Minute)
	if got := breaker(later); got.Outcome != jenner.DecideAct {
		t.Errorf("a quarter of an hour later: %s: %s", got.Outcome, got.Reason)
	}
	trial := ran(jenner.Passed, 0)
	trial.At, trial.Until = now.Add(14*time.Minute), now.Add(15*time.Minute)
	later.OfRunbook = append(failedAt(3*time.Minute, 2*time.Minute, time.Minute), trial)
	later.Now = now.Add(16 * time.Minute)
	if got := breaker(later); got.Outcome != jenner.DecideAct || got.Numbers["state"] != "closed" {
		t.Errorf("after a trial that passed: %s, %v", got.Outcome, got.Numbers)
	}
}
