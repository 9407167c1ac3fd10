package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/jenner-heal/jenner"
)

// silence finds out what it means that a metric has no data. The rules of catalogues read metrics that exist only while
// something is wrong, such as the reason why a container waits; their absence says that nothing is, but only where what would
// tell of it is there and says nothing.
type silence struct {
	ask      func(ctx context.Context, promql string) (jenner.Answer, error)
	has      func(ctx context.Context, selector selector) (bool, error)
	origin   string        // the labels that every number and the `up` of where it came from have in common
	age      time.Duration // how old `up` may be
	recorded map[string]string
}

// remembered is how far back it is looked where the numbers of a metric came from.
const remembered = "1h"

// maxRecorded is how many recording rules may stand upon each other.
const maxRecorded = 10

// complete tells of each metric that an expression reads that it has data, or that everything that gave it within the last
// hour is up, or else the jobs that the selector names. Of a metric that a rule records, the rule's own metrics are looked at.
func (s silence) complete(ctx context.Context, promql string, depth int) (bool, error) {
	if depth > maxRecorded {
		return false, nil
	}
	selectors, err := selectorsOf(promql)
	if err != nil {
		return false, err
	}
	for _, selector := range selectors {
		complete, err := s.of(ctx, selector, depth)
		if err != nil || !complete {
			return false, err
		}
	}
	return true, nil
}

func (s silence) of(ctx context.Context, selector selector, depth int) (bool, error) {
	if has, err := s.has(ctx, selector); has || err != nil {
		return has, err
	}
	if expr, recorded := s.recorded[selector.node.Name]; recorded {
		return s.complete(ctx, expr, depth+1)
	}
	now := *selector.node
	now.OriginalOffset, now.Offset, now.Timestamp, now.StartOrEnd = 0, 0, nil, 0
	up, known, err := s.up(ctx, "", fmt.Sprintf(" and on (%s) last_over_time(%s[%s])", s.origin, now.String(), remembered))
	if known || err != nil {
		return up, err
	}
	jobs := jobsOf(selector.node)
	if jobs == "" {
		return false, nil
	}
	up, _, err = s.up(ctx, jobs, "")
	return up, err
}

// up tells whether all of certain `up` are 1; not known where there is none.
func (s silence) up(ctx context.Context, matchers, which string) (up, known bool, err error) {
	answer, err := s.ask(ctx, fmt.Sprintf("min((up%s == bool 1) * (time() - timestamp(up%s) <= bool %g)%s)", matchers, matchers,
		s.age.Seconds(), which))
	if err != nil || answer.NoData() {
		return false, false, err
	}
	return answer.Samples[0].Value == 1, true, nil
}

// jobsOf is the selector of the jobs that a selector names, {job="…"}, or nothing where it names none.
func jobsOf(node *parser.VectorSelector) string {
	var of []*labels.Matcher
	for _, matcher := range node.LabelMatchers {
		positive := matcher.Type == labels.MatchEqual || matcher.Type == labels.MatchRegexp
		if matcher.Name == model.JobLabel && positive && !matcher.Matches("") {
			of = append(of, matcher)
		}
	}
	if len(of) == 0 {
		return ""
	}
	return (&parser.VectorSelector{LabelMatchers: of}).String()
}

// Complete tells whether an expression that holds for nothing was evaluated over all that there is: each metric that it reads
// has data, or is absent while everything that gave it within the last hour, or the jobs that its selector names, are up.
// recorded are the expressions of metrics that rules record, by name.
func (s *Store) Complete(ctx context.Context, promql string, recorded map[string]string) (bool, error) {
	return silence{ask: s.Query, origin: "service, instance", age: s.LookbackDelta(), recorded: recorded,
		has: func(ctx context.Context, one selector) (bool, error) {
			answer, err := s.Query(ctx, one.text)
			return !answer.NoData(), err
		},
	}.complete(ctx, promql, 0)
}

// Complete is what Store.Complete is, for what the server knows.
func (r *Remote) Complete(ctx context.Context, promql string, recorded map[string]string) (bool, error) {
	return silence{ask: r.ask, has: r.has, origin: "job, instance", age: r.maxAge(), recorded: recorded}.complete(ctx, promql, 0)
}
