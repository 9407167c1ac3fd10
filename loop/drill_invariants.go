package loop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// askPatience is how long one look at an invariant may take where it does not say.
const askPatience = 5 * time.Second

// readBefore looks at the invariants before the fault.
func (l *Lab) readBefore(ctx context.Context, experiment jenner.Experiment) []jenner.Reading {
	var readings []jenner.Reading
	for _, invariant := range experiment.Expect.Invariants {
		reading := jenner.Reading{Name: invariant.Name}
		value, err := l.read(ctx, experiment, invariant)
		if err != nil {
			reading.Missing = "before the fault: " + err.Error()
		}
		reading.Before = value
		readings = append(readings, reading)
	}
	return readings
}

// readAfter looks at them again, and says which of them are broken. Those of a drill that was stopped are left as they are.
func (l *Lab) readAfter(ctx context.Context, drill *jenner.Drill) []jenner.Reading {
	experiment := drill.Present()
	if len(drill.Readings) != len(experiment.Expect.Invariants) || drill.Aborted != "" {
		return drill.Readings
	}
	readings := make([]jenner.Reading, len(drill.Readings))
	for i, invariant := range experiment.Expect.Invariants {
		reading := drill.Readings[i]
		value, err := l.read(ctx, experiment, invariant)
		reading.After = value
		if err == nil && reading.Missing == "" {
			reading.Broken, err = chaos.Break(invariant, reading.Before, reading.After)
		}
		if err != nil && reading.Missing == "" {
			reading.Missing = "after the fault: " + err.Error()
		}
		readings[i] = reading
	}
	return readings
}

// read looks at one invariant: a number, or a probe's answer.
func (l *Lab) read(ctx context.Context, experiment jenner.Experiment, invariant jenner.Invariant) (string, error) {
	if invariant.Ask != nil {
		if l.Ask == nil {
			return "", errors.New("there is nobody to ask")
		}
		service, _ := l.Docs().Service(experiment.Service)
		ctx, cancel := context.WithTimeout(ctx, invariant.Ask.Timeout.Or(askPatience))
		defer cancel()
		return l.Ask(ctx, service, *invariant.Ask)
	}
	ctx, cancel := context.WithTimeout(jenner.Asking(ctx, jenner.Question{Service: experiment.Service}), askPatience)
	defer cancel()
	answer, err := l.Telemetry.Query(ctx, invariant.PromQL)
	switch {
	case err != nil:
		return "", err
	case answer.NoData():
		return "", fmt.Errorf("%s has no data", invariant.PromQL)
	case len(answer.Samples) > 1:
		return "", fmt.Errorf("%s has %d series; make one number of them, such as with sum", invariant.PromQL, len(answer.Samples))
	}
	return strconv.FormatFloat(answer.Samples[0].Value, 'g', -1, 64), nil
}
