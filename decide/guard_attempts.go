package decide

import (
	"strconv"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultAttempts is how often one cause on one target is treated where the policy does not say.
	DefaultAttempts = 2
	// DefaultAttemptsReset is how long verified health must have lasted before the count starts anew.
	DefaultAttemptsReset = 10 * time.Minute
)

// attempts refuses to treat the same cause on the same target again and again; a person must look. The count starts
// anew only after health that was verified and then lasted: until the present trouble began, and with no action on the
// target meanwhile. Health that breaks again at once therefore never resets it, however much time passes.
func attempts(in Input) jenner.GuardResult {
	most := in.Policy.MaxAttempts
	if most == 0 {
		most = DefaultAttempts
	}
	lasted := in.Policy.AttemptsResetAfter.Or(DefaultAttemptsReset)
	reset := lastLastingHealth(in, lasted)
	made := 0
	for _, entry := range in.Ledger {
		if entry.Kind == jenner.LedgerAction && isHere(in, entry) && entry.Cause == in.Cause.Cause && entry.At.After(reset) {
			made++
		}
	}
	saw := numbers{"attempts": strconv.Itoa(made), "max_attempts": strconv.Itoa(most), "reset_after": lasting(lasted)}
	if made >= most {
		return refuse(saw, "%s on %s was treated %d times, and %d are allowed before it was healthy for %s",
			in.Cause.Cause, in.Target, made, most, lasting(lasted))
	}
	return agree(saw, "attempt %d of %d", made+1, most)
}

// lastLastingHealth is the time of the last verified health that lasted; zero where there is none.
func lastLastingHealth(in Input, lasted time.Duration) time.Time {
	broke := in.Now
	if began := troubleBegan(in); !began.IsZero() && began.Before(broke) {
		broke = began
	}
	var last time.Time
	for _, entry := range in.Ledger {
		everywhere := entry.Target == (jenner.TargetRef{}) && entry.Service == in.Service.Name
		if entry.Kind != jenner.LedgerHealth || !(everywhere || isHere(in, entry)) {
			continue
		}
		until := entry.At.Add(lasted)
		if !until.After(broke) && !touched(in, entry.At, until) {
			last = later(last, entry.At)
		}
	}
	return last
}

// touched tells whether an action on the target began in the time between, whatever its cause was.
func touched(in Input, from, until time.Time) bool {
	for _, entry := range in.Ledger {
		if entry.Kind == jenner.LedgerAction && isHere(in, entry) && entry.At.After(from) && !entry.At.After(until) {
			return true
		}
	}
	return false
}
