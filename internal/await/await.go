// Package await waits, in tests, for what must come true.
//
// It is for tests of what another goroutine, process or machine does in its own time, and gives up only on what never comes. It
// is not for measuring: how long something took belongs into a benchmark. What can run on a false clock needs no waiting at all.
package await

import (
	"testing"
	"time"
)

// Patience is how long something may take to come true. Only what never does reaches it, on however busy a machine.
const Patience = 4 * time.Minute

// Pause is how long True and OK wait between two questions.
const Pause = 5 * time.Millisecond

// True asks again and again until holds says yes. It ends the test where holds still says no after Patience, and what says what
// was waited for. It is for the goroutine of the test, as tb.Fatal is.
func True(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	Every(tb, Pause, what, holds)
}

// Every is True for questions that cost more, with as long a pause as is asked for.
func Every(tb testing.TB, pause time.Duration, what string, holds func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited %s, and still not: %s", Patience, what)
		}
	}
}

// OK is True for something that says why it does not hold yet: it asks until try gives no error, and the test fails with the
// last one.
func OK(tb testing.TB, what string, try func() error) {
	tb.Helper()
	deadline := time.Now().Add(Patience)
	for last := try(); last != nil; last = try() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited %s, and still not: %s: %v", Patience, what, last)
		}
		time.Sleep(Pause)
	}
}

// Closed waits until a channel gives something or is closed.
func Closed[T any](tb testing.TB, what string, done <-chan T) {
	tb.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		tb.Fatalf("waited %s, and still not: %s", Patience, what)
	}
}
