package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestAFailedRunThatIsStillHeldHasFailedNow: it holds its targets on until what it changed is taken back, to a deadline
// that lies far ahead; the breaker counts from now and not from there.
func TestAFailedRunThatIsStillHeldHasFailedNow(t *testing.T) {
	run := jenner.LedgerEntry{Kind: jenner.LedgerAction, At: before(time.Minute), Until: now.Add(time.Hour), Result: string(jenner.Failed)}
	state, until, failures := BreakerOf(jenner.Breaker{Failures: 1}, []jenner.LedgerEntry{run}, now)
	if state != BreakerOpen || failures != 1 || !until.Equal(now.Add(DefaultBreakerOpenFor)) {
		t.Errorf("it is %s until %s after %d failures", state, until, failures)
	}
}
