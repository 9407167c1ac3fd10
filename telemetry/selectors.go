package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// selector is one part of an expression that reads a metric.
type selector struct {
	text  string // as PromQL, with its offset
	node  *parser.VectorSelector
	fixed bool // at a time of its own, by @
}

// selectorsOf are the parts of an expression that read metrics, each once.
func selectorsOf(promql string) ([]selector, error) {
	expr, err := promqlParser.ParseExpr(promql)
	if err != nil {
		return nil, parseError(promql, err)
	}
	var found []selector
	seen := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if vector, ok := node.(*parser.VectorSelector); ok && !seen[vector.String()] {
			seen[vector.String()] = true
			found = append(found, selector{vector.String(), vector, vector.Timestamp != nil || vector.StartOrEnd != 0})
		}
		return nil
	})
	return found, nil
}

// age is the question how many seconds old its newest number is, beyond the offset that it asks for.
func (s selector) age() string {
	if s.fixed {
		return fmt.Sprintf("0 * count(%s)", s.text)
	}
	return fmt.Sprintf("time() - max(timestamp(%s)) - %g", s.text, s.node.OriginalOffset.Seconds())
}

// HasData tells whether every metric that a PromQL expression reads has data now, whatever the expression makes of it:
// an empty answer of `errors > 5` may mean few errors, or no numbers at all, and only this tells which. A range selector
// has data where its metric has a sample that is not stale.
func (s *Store) HasData(ctx context.Context, promql string) (bool, error) {
	selectors, err := selectorsOf(promql)
	if err != nil {
		return false, err
	}
	for _, selector := range selectors {
		answer, err := s.QueryAt(ctx, selector.text, time.Now())
		if err != nil || answer.NoData() {
			return false, err
		}
	}
	return true, nil
}
