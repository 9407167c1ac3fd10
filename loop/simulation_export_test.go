package loop

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// Take gives the intake one alert, as Run does for each change on the board.
func (in *Intake) Take(ctx context.Context, alert jenner.Alert) { in.take(ctx, alert) }

// Forget lets the intake forget, as Run does every second.
func (in *Intake) Forget() { in.forget() }
