package act

import (
	"context"
	"fmt"

	"github.com/jenner-heal/jenner"
)

// rehearsed is how a dry run ends: with what would be done and, where the target's own system can be asked, what it would
// make of it.
func rehearsed(ctx context.Context, order Order, intent jenner.Intent) (jenner.Intent, error) {
	intent.Summary = would(order)
	if asker, ok := order.Action.(DryRunner); ok {
		order.Call.Checkpoint = intent.Checkpoint
		result, err := asker.DryRun(ctx, order.Call)
		if err != nil {
			intent.State = jenner.IntentFailed
			return intent, fmt.Errorf("%s%s would be refused: %w", order.Name, on(order.Call.Target), err)
		}
		if result.Summary != "" {
			intent.Summary += ": " + result.Summary
		}
	}
	intent.State = jenner.IntentDone
	return intent, nil
}

// would is what a dry run says instead of doing it. Even a wait is only a sentence, for what it waits for may only come
// about by a step that was not done.
func would(order Order) string {
	text := "would do " + order.Name + on(order.Call.Target)
	if len(order.Params) > 0 {
		text += " with " + string(jenner.Raw(order.Params))
	}
	return text
}
