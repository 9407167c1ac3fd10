package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("wait_for_metric", "Wait until a metric is below or above a number", func() act.Action {
		return &WaitForMetric{Timeout: jenner.Duration(time.Minute)}
	})
}

// WaitForMetric asks the metrics until every series of the answer is within the bounds. No data never passes. It fails
// at its timeout, or when the step's own time is over, with the number it saw last.
type WaitForMetric struct {
	// Metric is PromQL.
	Metric string         `json:"metric"`
	Below  *jenner.Number `json:"below,omitempty"` // strictly; one of below and above is needed
	Above  *jenner.Number `json:"above,omitempty"` // strictly
	// Timeout is 1m where not said.
	Timeout jenner.Duration `json:"timeout,omitempty"`
	// StableFor is how long it must stay so; once is enough where not said.
	StableFor jenner.Duration `json:"stable_for,omitempty"`
}

// metricEvery is how often the metrics are asked. They are scraped once a second.
const metricEvery = 250 * time.Millisecond

// errOver says that a wait's own time is over.
var errOver = errors.New("it was not so within the timeout")

// Validate checks the expression and the bounds.
func (w *WaitForMetric) Validate() error {
	switch {
	case w.Below == nil && w.Above == nil:
		return errors.New("below and above are both missing; write one")
	case w.Below != nil && w.Above != nil && *w.Above >= *w.Below:
		return fmt.Errorf("no number is above %s and below %s", number(float64(*w.Above)), number(float64(*w.Below)))
	case w.StableFor > w.Timeout && w.Timeout != 0:
		return fmt.Errorf("stable_for %s is longer than timeout %s", w.StableFor, w.Timeout)
	}
	return checkPromQL("metric", w.Metric)
}

// ReadOnly marks that nothing is changed.
func (*WaitForMetric) ReadOnly() {}

// Do waits.
func (w *WaitForMetric) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if call.Host.Telemetry == nil {
		return act.Result{}, jenner.Permanent(errNoTelemetry, "")
	}
	var last []jenner.Sample
	saw, err := wait(ctx, metricEvery, w.Timeout.Or(time.Minute), w.StableFor.Std(), func(ctx context.Context) (bool, string, error) {
		answer, err := call.Host.Telemetry.Query(ctx, w.Metric)
		if err != nil {
			return false, "could not ask: " + err.Error(), nil // it may pass
		}
		last = answer.Samples
		return w.within(answer), shown(answer.Samples), nil
	})
	output := measured{Samples: samples(last)}
	if err != nil {
		return act.Result{Output: output}, jenner.Permanent(fmt.Errorf("%s is not %s: %w; last seen: %s", w.Metric, w.bounds(), err, saw), "")
	}
	return act.Result{Summary: fmt.Sprintf("%s is %s: %s", w.Metric, w.bounds(), saw), Output: output}, nil
}

func (w *WaitForMetric) within(answer jenner.Answer) bool {
	for _, sample := range answer.Samples {
		// Written so that NaN, which compares to nothing, is not within.
		below := w.Below == nil || sample.Value < float64(*w.Below)
		above := w.Above == nil || sample.Value > float64(*w.Above)
		if !below || !above {
			return false
		}
	}
	return !answer.NoData()
}

func (w *WaitForMetric) bounds() string {
	var words []string
	if w.Below != nil {
		words = append(words, "below "+number(float64(*w.Below)))
	}
	if w.Above != nil {
		words = append(words, "above "+number(float64(*w.Above)))
	}
	return strings.Join(words, " and ")
}
