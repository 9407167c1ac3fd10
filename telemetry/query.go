package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/jenner-heal/jenner"
)

// Series is the course of one series over a range of time.
type Series struct {
	Labels map[string]string `json:"labels,omitempty"`
	Points []Point           `json:"points"` // in order of time; a step without data has no point
}

// Point is one value of a series.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Query evaluates PromQL now. See QueryAt.
func (s *Store) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	return s.QueryAt(ctx, promql, time.Now())
}

// QueryAt evaluates PromQL at a time. A scalar becomes one sample without labels. A value that is not a number, such as
// 0/0, is no data and left out; infinite values stay. The samples' At is the time asked for, not that of the newest
// point. A comparison without `bool` filters, as PromQL says: it gives no samples where it does not hold, which reads
// the same as no data; who must tell the two apart asks for the number itself.
//
// An expression that does not parse, or gives a range vector or a string, is an error; so is a question that takes
// longer than 10 s.
func (s *Store) QueryAt(ctx context.Context, promql string, at time.Time) (jenner.Answer, error) {
	value, err := s.ask(ctx, promql, at, at, 0)
	if err != nil {
		return jenner.Answer{}, err
	}
	return answerOf(promql, value)
}

// QueryRange evaluates PromQL at from, and then every step until to, both included. step must be positive.
func (s *Store) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	if step < time.Millisecond || to.Before(from) {
		return nil, fmt.Errorf("PromQL %s: from %s to %s in steps of %s is no range; the step is 1ms or more", expr, from, to, step)
	}
	value, err := s.ask(ctx, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(promql.Matrix)
	if !ok {
		return nil, fmt.Errorf("PromQL %s: a range cannot be asked of a %s", expr, value.Type())
	}
	list := make([]Series, 0, len(matrix))
	for _, one := range matrix {
		if len(one.Histograms) > 0 {
			return nil, errHistogram(expr)
		}
		series := Series{Labels: one.Metric.Map()}
		for _, p := range one.Floats {
			if !math.IsNaN(p.F) {
				series.Points = append(series.Points, Point{At: time.UnixMilli(p.T), Value: p.F})
			}
		}
		if len(series.Points) > 0 {
			list = append(list, series)
		}
	}
	return list, nil
}

// ask runs one query; step 0 means an instant. The value is a copy that outlives the query.
func (s *Store) ask(ctx context.Context, expr string, from, to time.Time, step time.Duration) (parser.Value, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	opts := promql.NewPrometheusQueryOpts(false, s.LookbackDelta())
	var query promql.Query
	var err error
	if step == 0 {
		query, err = s.engine.NewInstantQuery(ctx, s.db, opts, expr, from)
	} else {
		query, err = s.engine.NewRangeQuery(ctx, s.db, opts, expr, from, to, step)
	}
	if err != nil {
		return nil, parseError(expr, err)
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return nil, fmt.Errorf("PromQL %s: %w", expr, result.Err)
	}
	if matrix, ok := result.Value.(promql.Matrix); ok {
		return copied(matrix), nil // Close gives its points back to a pool
	}
	return result.Value, nil
}

func copied(matrix promql.Matrix) promql.Matrix {
	own := make(promql.Matrix, len(matrix))
	for i, series := range matrix {
		own[i] = series
		own[i].Floats = append([]promql.FPoint(nil), series.Floats...)
	}
	return own
}

func answerOf(expr string, value parser.Value) (jenner.Answer, error) {
	var answer jenner.Answer
	add := func(set labels.Labels, t int64, v float64) {
		if !math.IsNaN(v) {
			answer.Samples = append(answer.Samples, jenner.Sample{Labels: set.Map(), Value: v, At: time.UnixMilli(t)})
		}
	}
	switch v := value.(type) {
	case promql.Vector:
		for _, one := range v {
			if one.H != nil {
				return jenner.Answer{}, errHistogram(expr)
			}
			add(one.Metric, one.T, one.F)
		}
	case promql.Scalar:
		add(labels.EmptyLabels(), v.T, v.V)
	default:
		return jenner.Answer{}, errType(expr, value.Type())
	}
	return answer, nil
}

func errHistogram(expr string) error {
	return fmt.Errorf("PromQL %s: the answer is a native histogram, not a number; use histogram_quantile or histogram_count", expr)
}

func errType(expr string, is parser.ValueType) error {
	hint := "write an expression whose answer is numbers"
	if is == parser.ValueTypeMatrix {
		hint = "wrap it in a function such as rate or avg_over_time"
	}
	return fmt.Errorf("PromQL %s: the answer is a %s, not numbers; %s", expr, parser.DocumentedType(is), hint)
}

// ParseCheck tells whether an expression is PromQL that QueryAt can answer. The error gives line and column within the
// expression, both counted from 1.
func ParseCheck(promql string) error {
	expr, err := promqlParser.ParseExpr(promql)
	if err != nil {
		return parseError(promql, err)
	}
	if is := expr.Type(); is != parser.ValueTypeVector && is != parser.ValueTypeScalar {
		return errType(promql, is)
	}
	return nil
}

// parseError keeps the first mistake: those after it mostly follow from it.
func parseError(expr string, err error) error {
	var several parser.ParseErrors
	if !errors.As(err, &several) || len(several) == 0 {
		return fmt.Errorf("PromQL %s: %w", expr, err)
	}
	first := several[0]
	return fmt.Errorf("PromQL %s: %s: %w", expr, first.PositionRange.StartPosInput(expr, 0), first.Err)
}
