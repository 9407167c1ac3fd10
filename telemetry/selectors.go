package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// HasData tells whether every metric that a PromQL expression reads has data now, whatever the expression makes of it:
// an empty answer of `errors > 5` may mean few errors, or no numbers at all, and only this tells which. A range selector
// has data where its metric has a sample that is not stale.
func (s *Store) HasData(ctx context.Context, promql string) (bool, error) {
	expr, err := promqlParser.ParseExpr(promql)
	if err != nil {
		return false, parseError(promql, err)
	}
	var selectors []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			selectors = append(selectors, selector.String())
		}
		return nil
	})
	for _, selector := range selectors {
		answer, err := s.QueryAt(ctx, selector, time.Now())
		if err != nil || answer.NoData() {
			return false, err
		}
	}
	return true, nil
}
