package decide

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// numbers are what a guard saw, by name, as text.
type numbers = map[string]string

func agree(saw numbers, reason string, args ...any) jenner.GuardResult {
	return answer(jenner.DecideAct, saw, reason, args)
}

func refuse(saw numbers, reason string, args ...any) jenner.GuardResult {
	return answer(jenner.DecideRefuse, saw, reason, args)
}

// leave leaves it to a person: whoever may approve is asked.
func leave(saw numbers, reason string, args ...any) jenner.GuardResult {
	return answer(jenner.DecideAsk, saw, reason, args)
}

func recommend(saw numbers, reason string, args ...any) jenner.GuardResult {
	return answer(jenner.DecideRecommend, saw, reason, args)
}

func wait(until time.Time, saw numbers, reason string, args ...any) jenner.GuardResult {
	result := answer(jenner.DecideWait, saw, reason, args)
	result.RetryAt = until
	return result
}

func answer(outcome jenner.DecisionOutcome, saw numbers, reason string, args []any) jenner.GuardResult {
	return jenner.GuardResult{Outcome: outcome, Reason: fmt.Sprintf(reason, args...), Numbers: saw}
}

// shyest puts the parts of one guard together: the outcome of the shyest part, the reasons of all parts that ask for
// it, the latest of their waits, and the numbers of all.
func shyest(parts []jenner.GuardResult) jenner.GuardResult {
	whole := jenner.GuardResult{Outcome: jenner.DecideAct, Numbers: numbers{}}
	for _, part := range parts {
		if part.Outcome.Shyness() > whole.Outcome.Shyness() {
			whole.Outcome = part.Outcome
		}
		maps.Copy(whole.Numbers, part.Numbers)
	}
	var reasons []string
	for _, part := range parts {
		if part.Outcome != whole.Outcome {
			continue
		}
		reasons = append(reasons, part.Reason)
		if part.RetryAt.After(whole.RetryAt) {
			whole.RetryAt = part.RetryAt
		}
	}
	whole.Reason = strings.Join(reasons, "; ")
	return whole
}

func lasting(d time.Duration) string {
	return jenner.Duration(d.Round(time.Millisecond)).String()
}

func instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func quoted(text string) string { return strconv.Quote(text) }
