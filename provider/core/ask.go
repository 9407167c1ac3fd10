package core

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// checkPromQL tells what is wrong with an expression.
func checkPromQL(name, promql string) error {
	if promql == "" {
		return fmt.Errorf("%s is missing; write PromQL", name)
	}
	return telemetry.ParseCheck(promql)
}

// sample is a jenner.Sample as an output: JSON has no infinite numbers, so those are words there.
type sample struct {
	Labels map[string]string `json:"labels,omitempty"`
	Value  any               `json:"value"`
	At     time.Time         `json:"at"`
}

func samples(answer []jenner.Sample) []sample {
	list := make([]sample, 0, len(answer))
	for _, one := range answer {
		value := any(one.Value)
		if math.IsInf(one.Value, 0) || math.IsNaN(one.Value) {
			value = number(one.Value)
		}
		list = append(list, sample{one.Labels, value, one.At})
	}
	return list
}

// shown is samples in a few words.
func shown(answer []jenner.Sample) string {
	if len(answer) == 0 {
		return "no data"
	}
	const most = 3
	var words []string
	for _, one := range answer[:min(most, len(answer))] {
		words = append(words, number(one.Value))
	}
	if more := len(answer) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', 6, 64) }

// wait asks again and again until the condition has held for stableFor, or the time is over. ask tells whether it holds
// now, and in words what it saw; an error ends the wait. It gives what was seen last.
func wait(ctx context.Context, every, timeout, stableFor time.Duration, ask func(context.Context) (bool, string, error)) (saw string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w of %s", errOver, jenner.Duration(timeout)))
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var since time.Time
	for {
		holds, now, err := ask(ctx)
		if ctx.Err() == nil || saw == "" {
			saw = now // an answer that the end of the time cut off tells nothing
		}
		switch {
		case ctx.Err() != nil:
			return saw, context.Cause(ctx)
		case err != nil:
			return saw, err
		case !holds:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if holds && time.Since(since) >= stableFor {
			return saw, nil
		}
		select {
		case <-ctx.Done():
			return saw, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
