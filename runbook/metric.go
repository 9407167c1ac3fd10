package runbook

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/jenner-heal/jenner"
)

// metricPatience is how long one question of a condition may take.
const metricPatience = 5 * time.Second

// metricFunction is metric() as it stands now.
func metricFunction(env Env) cel.LateBoundFunction {
	return func(_ string, args ...ref.Val) ref.Val {
		value, err := metricNow(env, fmt.Sprint(args[0].Value()))
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Double(value)
	}
}

// metricNow asks for one number. No data is its own answer, which no condition may take for a number.
func metricNow(env Env, promql string) (float64, error) {
	if env.Telemetry == nil {
		return 0, errors.New("there is no telemetry to ask for metrics")
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricPatience)
	defer cancel()
	answer, err := env.Telemetry.Query(jenner.Asking(ctx, jenner.Question{Service: env.Service}), promql)
	switch {
	case err != nil:
		return 0, fmt.Errorf("metric(%q) cannot be asked: %w", promql, err)
	case answer.NoData():
		return 0, fmt.Errorf("metric(%q) has no data", promql)
	case len(answer.Samples) > 1:
		return 0, fmt.Errorf("metric(%q) has %d series; make one number of them, such as with sum", promql, len(answer.Samples))
	}
	return answer.Samples[0].Value, nil
}

// Metrics are the questions in PromQL that the condition names by literal text, in the order they are written.
func (c *Condition) Metrics() []string {
	var found []string
	c.visit(func(expr ast.Expr) {
		if expr.Kind() != ast.CallKind || expr.AsCall().FunctionName() != "metric" {
			return
		}
		if promql, literal := literalText(expr.AsCall().Args()[0]); literal {
			found = append(found, promql)
		}
	})
	return found
}

// Saw says what the probes and metrics are at present that the condition names, for people who are told that it does not
// hold: `probe shop/ready is failing; metric(up) is 0`.
func (c *Condition) Saw(env Env) string {
	var words []string
	for _, probe := range c.Probes() {
		if probe.Service == "" {
			probe.Service = env.Service
		}
		state := probeState(env, probe.Service, probe.Name)
		word := fmt.Sprintf("probe %s/%s is %s", probe.Service, probe.Name, state.Status)
		if lasting := max(state.PassingFor, state.FailingFor); lasting > 0 {
			word += " for " + lasting.Round(time.Millisecond).String()
		}
		words = append(words, word)
	}
	for _, promql := range c.Metrics() {
		value, err := metricNow(env, promql)
		if err != nil {
			words = append(words, err.Error())
			continue
		}
		words = append(words, fmt.Sprintf("metric(%s) is %s", promql, strconv.FormatFloat(value, 'g', 6, 64)))
	}
	return strings.Join(words, "; ")
}
