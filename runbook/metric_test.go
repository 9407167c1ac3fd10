package runbook_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

// numbers is a world that also answers questions.
type numbers struct {
	world
	answers map[string][]float64
}

func (n numbers) Query(_ context.Context, promql string) (jenner.Answer, error) {
	values, known := n.answers[promql]
	if !known {
		return jenner.Answer{}, errors.New("the store is shut")
	}
	var answer jenner.Answer
	for _, value := range values {
		answer.Samples = append(answer.Samples, jenner.Sample{Value: value})
	}
	return answer, nil
}

func TestConditionsAskForMetrics(t *testing.T) {
	env := runbook.Env{Now: now, Service: "shop", Telemetry: numbers{seen, map[string][]float64{"rate(x[1m])": {7.25}, "none": {}, "two": {1, 2}}}}
	for expr, want := range map[string]string{
		`metric("rate(x[1m])") > 7`:                                 "true",
		`metric("rate(x[1m])") < 7.0`:                               "false",
		`metric("rate(x[1m])") > 7.0 && probe("ready").passing`:     "true",
		`metric("none") >= 0.0`:                                     `metric("none") has no data`,
		`metric("two") >= 0.0`:                                      `metric("two") has 2 series`,
		`metric("shut") >= 0.0`:                                     `metric("shut") cannot be asked: the store is shut`,
		`metric("none") < 5.0 || probe("payments", "open").failing`: "true", // CEL: one side decides
	} {
		condition, err := runbook.Compile(expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if holds, err := condition.Eval(env); err != nil {
			got = err.Error()
		} else if got = "false"; holds {
			got = "true"
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	if condition, err := runbook.Compile(`metric("x") > 1.0`, nil); err != nil {
		t.Error(err)
	} else if _, err := condition.Eval(runbook.Env{Now: now}); err == nil {
		t.Error("without telemetry a metric has a number")
	}
}

func TestAConditionSaysWhatItSaw(t *testing.T) {
	condition, err := runbook.Compile(`probe("payments", "open").passing && probe("ready").passing && metric("m") < 5.0 && metric("gone") < 1.0`, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := condition.Saw(runbook.Env{Now: now.Add(500 * time.Millisecond), Service: "shop", Telemetry: numbers{seen, map[string][]float64{"m": {7.5}, "gone": {}}}})
	want := `probe payments/open is failing for 12.5s; probe shop/ready is passing for 20.5s; metric(m) is 7.5; metric("gone") has no data`
	if got != want {
		t.Errorf("it saw\n%s\nwant\n%s", got, want)
	}
}
