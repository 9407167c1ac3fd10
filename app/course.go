package app

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/telemetry"
)

// Course is how PromQL came out over a stretch of time, at every step of it.
func (a *App) Course(ctx context.Context, promql string, from, to time.Time, step time.Duration) ([]telemetry.Series, error) {
	return a.metrics.QueryRange(ctx, promql, from, to, step)
}

// Bounds are what is normal for an SLI; false where nothing is declared and nothing learned yet.
func (a *App) Bounds(service, sli string) (detect.Bounds, bool) {
	return a.engine.Steady().Bounds(service, sli)
}
