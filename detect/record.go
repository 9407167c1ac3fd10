package detect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"

	"github.com/jenner-heal/jenner"
)

// metricAlerts is the series that Prometheus writes of its alerts, which rules of catalogues read.
const metricAlerts = "ALERTS"

// evaluateRecord evaluates a recording rule and stores what it gives. As in Prometheus, a series that it does not give any more
// ends at once, and after an error nothing is stored.
func (e *Engine) evaluateRecord(ctx context.Context, r *rule) {
	ctx, cancel := context.WithTimeout(jenner.Asking(ctx, jenner.Question{}), queryTimeout)
	defer cancel()
	now := e.now()
	answer, err := e.telemetry.Query(ctx, r.promql)
	if err != nil {
		e.couldNotAsk(r, err)
		return
	}
	given := map[string]map[string]string{}
	var samples []jenner.Sample
	for _, sample := range answer.Samples {
		set := maps.Clone(sample.Labels)
		for name, text := range r.of.labels {
			if set[name] = text; text == "" {
				delete(set, name)
			}
		}
		set[model.MetricNameLabel] = r.of.written.Record
		key := labelText(set)
		if given[key] != nil {
			e.couldNotAsk(r, fmt.Errorf("two series give the same one, %s; its labels must tell them apart", key))
			return
		}
		given[key] = set
		samples = append(samples, jenner.Sample{Labels: set, Value: sample.Value, At: now})
	}
	if r.of.limit > 0 && len(samples) > r.of.limit {
		e.couldNotAsk(r, fmt.Errorf("it gives %d series, and the limit of its group is %d", len(samples), r.of.limit))
		return
	}
	r.failing = false
	e.store(r, given, samples, now)
}

// store stores a rule's series, and ends those that it does not give any more.
func (e *Engine) store(r *rule, given map[string]map[string]string, samples []jenner.Sample, now time.Time) {
	for key, set := range r.of.series {
		if given[key] == nil {
			samples = append(samples, jenner.Sample{Labels: set, Value: math.Float64frombits(value.StaleNaN), At: now})
		}
	}
	r.of.series = given
	if len(samples) == 0 {
		return
	}
	if err := e.record(samples...); err != nil && !errors.Is(err, context.Canceled) {
		e.warnOnce("what a rule of a catalogue gives cannot be stored", "rule", r.name, "error", err)
	}
}

// recordAlerts stores the series ALERTS of a rule over Jenner's own numbers, for other rules of catalogues read it.
func (e *Engine) recordAlerts(r *rule, now time.Time) {
	if r.of == nil || r.server != "" || e.record == nil {
		return
	}
	given := map[string]map[string]string{}
	var samples []jenner.Sample
	add := func(alert jenner.Alert, state string) {
		set := maps.Clone(alert.Labels)
		set[model.MetricNameLabel], set["alertstate"] = metricAlerts, state
		given[labelText(set)] = set
		samples = append(samples, jenner.Sample{Labels: set, Value: 1, At: now})
	}
	for _, alert := range e.firingFor(r) {
		if r.owns(alert) {
			add(alert, "firing")
		}
	}
	e.store(r, given, samples, now)
}
