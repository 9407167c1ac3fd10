package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("query_metrics", "Ask the metrics and keep the answer", func() act.Action { return &QueryMetrics{} })
}

// QueryMetrics evaluates PromQL and keeps the samples as the step's output. That there is no data is an answer too.
type QueryMetrics struct {
	// Metric is PromQL.
	Metric string `json:"metric"`
	// Window, where set, adds the average, the lowest and the highest value over that time until now. At least 1s.
	Window jenner.Duration `json:"window,omitempty"`
}

// measured is the output.
type measured struct {
	Samples []sample `json:"samples"` // now
	Average []sample `json:"average,omitempty"`
	Lowest  []sample `json:"lowest,omitempty"`
	Highest []sample `json:"highest,omitempty"`
}

// Validate checks the expression and the window.
func (q *QueryMetrics) Validate() error {
	if q.Window != 0 && q.Window.Std() < time.Second {
		return fmt.Errorf("window %s is too short; write 1s or more", q.Window)
	}
	if err := checkPromQL("metric", q.Metric); err != nil || q.Window == 0 {
		return err
	}
	return checkPromQL("metric", q.over("avg"))
}

// ReadOnly marks that nothing is changed.
func (*QueryMetrics) ReadOnly() {}

// Do asks once.
func (q *QueryMetrics) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if call.Host.Telemetry == nil {
		return act.Result{}, jenner.Permanent(errNoTelemetry, "")
	}
	var (
		output measured
		now    []jenner.Sample
	)
	questions := []question{{q.Metric, &output.Samples}}
	if q.Window != 0 {
		questions = append(questions, question{q.over("avg"), &output.Average},
			question{q.over("min"), &output.Lowest}, question{q.over("max"), &output.Highest})
	}
	for _, question := range questions {
		answer, err := call.Host.Telemetry.Query(ctx, question.promql)
		if err != nil {
			return act.Result{}, jenner.Retryable(fmt.Errorf("%s could not be asked: %w", question.promql, err), "")
		}
		*question.into = samples(answer.Samples)
		if question.promql == q.Metric {
			now = answer.Samples
		}
	}
	return act.Result{Summary: q.Metric + ": " + shown(now), Output: output}, nil
}

type question struct {
	promql string
	into   *[]sample
}

// over is the expression folded over the window, in sixty steps of at least a second.
func (q *QueryMetrics) over(fold string) string {
	step := max(q.Window.Std()/60, time.Second)
	return fmt.Sprintf("%s_over_time((%s)[%dms:%dms])", fold, q.Metric, q.Window.Std().Milliseconds(), step.Milliseconds())
}

var errNoTelemetry = errors.New("there is no telemetry to ask")
