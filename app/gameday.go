package app

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// RunGameday runs a game day to its end; see loop.Lab.RunGameday.
func (a *App) RunGameday(ctx context.Context, day jenner.Gameday, tell func(jenner.Entry)) (jenner.GamedayRun, error) {
	return a.lab.RunGameday(ctx, day, tell)
}
