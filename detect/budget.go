package detect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// Budgets measures what is left of error budgets. An answer is kept for a while, since it is asked for at each decision
// and moves slowly. It is safe for concurrent use.
type Budgets struct {
	telemetry jenner.Telemetry
	now       func() time.Time

	mu   sync.Mutex
	kept map[budgetKey]keptBudget
}

type budgetKey struct {
	service string
	slo     jenner.SLO
}

type keptBudget struct {
	at   time.Time
	left float64
	err  error
}

const (
	budgetKeep  = 15 * time.Second
	budgetSteps = 500 // how many moments of the window are looked at
)

// NewBudgets measures with a telemetry and a clock.
func NewBudgets(telemetry jenner.Telemetry, now func() time.Time) *Budgets {
	return &Budgets{telemetry: telemetry, now: now, kept: map[budgetKey]keptBudget{}}
}

// Left is the share of an SLO's error budget that is left over its window: 1 is untouched, 0 used up, below 0 overdrawn.
// Where there is less data than the window, what there is counts. An error says why it is not known; no events at all
// are unknown and not 'untouched'.
//
// It is 1 - (1 - good/total) / (1 - objective), as in "The Site Reliability Workbook" (2018), chapter 2, with good and
// total summed over budgetSteps moments of the window.
func (b *Budgets) Left(ctx context.Context, service string, slo jenner.SLO) (float64, error) {
	key := budgetKey{service, slo}
	b.mu.Lock()
	known, is := b.kept[key]
	b.mu.Unlock()
	if age := b.now().Sub(known.at); is && age >= 0 && age < budgetKeep {
		return known.left, known.err
	}
	left, err := b.measure(ctx, service, slo)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept[key] = keptBudget{at: b.now(), left: left, err: err}
	return left, err
}

func (b *Budgets) measure(ctx context.Context, service string, slo jenner.SLO) (float64, error) {
	allowed := 1 - float64(slo.Objective)
	if allowed <= 0 || allowed > 1 {
		return 0, fmt.Errorf("SLO %s of %s promises %v, which leaves no error budget", slo.Name, service, slo.Objective)
	}
	good, err := b.sum(ctx, service, slo, slo.Good)
	if err != nil {
		return 0, err
	}
	total, err := b.sum(ctx, service, slo, slo.Total)
	if err != nil {
		return 0, err
	}
	if total <= 0 || math.IsNaN(total) || math.IsNaN(good) || math.IsInf(total, 0) || math.IsInf(good, 0) {
		return 0, fmt.Errorf("SLO %s of %s has no events within %s", slo.Name, service, slo.Window)
	}
	return 1 - (1-good/total)/allowed, nil
}

var errNoEvents = errors.New("no data")

func (b *Budgets) sum(ctx context.Context, service string, slo jenner.SLO, promql string) (float64, error) {
	step := max(slo.Window.Std()/budgetSteps, time.Second).Round(time.Second)
	ctx = jenner.Asking(ctx, jenner.Question{Service: service})
	answer, err := b.telemetry.Query(ctx, fmt.Sprintf("sum(sum_over_time((%s)[%ds:%ds]))", promql,
		int(slo.Window.Std().Seconds()), int(step.Seconds())))
	if err == nil && answer.NoData() {
		err = errNoEvents
	}
	if err != nil {
		return 0, fmt.Errorf("SLO %s of %s cannot be measured (%s): %w", slo.Name, service, promql, err)
	}
	return answer.Samples[0].Value, nil
}
