package runbook_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a Telemetry with probes that stand still.
type world map[string]jenner.ProbeState

func (w world) Query(context.Context, string) (jenner.Answer, error) { return jenner.Answer{}, nil }
func (w world) Probes(string) []jenner.ProbeState                    { return nil }
func (w world) Probe(service, name string) (jenner.ProbeState, bool) {
	state, known := w[service+"/"+name]
	return state, known
}

func probe(status jenner.ProbeStatus, lasting, age time.Duration) jenner.ProbeState {
	return jenner.ProbeState{Status: status, Since: now.Add(-lasting), At: now.Add(-age), Every: time.Second}
}

var seen = world{
	"shop/ready":    probe(jenner.ProbePassing, 20*time.Second, 0),
	"payments/open": probe(jenner.ProbeFailing, 12*time.Second, time.Second),
	"partner/ready": probe(jenner.ProbeSlow, 5*time.Second, 0),
	"old/ready":     probe(jenner.ProbeFailing, time.Hour, time.Minute),
	"never/ready":   {Status: jenner.ProbeFailing, Every: time.Second},
	"unsure/ready":  probe(jenner.ProbeUnknown, time.Hour, 0),
	"ahead/ready":   probe(jenner.ProbePassing, -time.Hour, 0),
}

func TestConditionsSeeStepsAndProbes(t *testing.T) {
	steps := []string{"look", "cut-one", "settled", "int", "probe", "waiting"}
	env := runbook.Env{Telemetry: seen, Now: now, Service: "shop", Steps: map[string]runbook.StepOutcome{
		"look":    {Status: jenner.StepPassed, Output: json.RawMessage(`{"value": 42, "pods": ["a", "b"]}`)},
		"cut-one": {Status: jenner.StepFailed},
		"settled": {Status: jenner.StepSkipped},
		"int":     {Status: jenner.StepFailed},
		"probe":   {Status: jenner.StepFailed},
	}}
	for expr, want := range map[string]bool{
		`look.passed`: true, `look.failed`: false, `look.skipped`: false,
		`steps["cut-one"].failed`: true, `steps.look.passed`: true, `settled.skipped && !settled.passed`: true,
		`steps["int"].failed`: true, `probe.failed`: true,
		`waiting.passed || waiting.failed || waiting.skipped`: false, `waiting.output == null`: true,
		`look.output.value > 41`: true, `look.output.value > 42.5`: false, `size(look.output.pods) == 2`: true,
		`probe("ready").passing`: true, `probe("ready").status == "passing"`: true,
		`probe("ready").passing_for == duration("20s")`:               true,
		`probe("ready").failing_for == duration("0s")`:                true,
		`probe("payments", "open").failing_for > duration("10s")`:     true,
		`probe("payments", "open").failing_for > duration("12s")`:     false,
		`probe("partner", "ready").slow`:                              true,
		`probe("partner", "ready").passing`:                           false,
		`probe("partner", "ready").passing_for > duration("0s")`:      false,
		`probe("old", "ready").failing`:                               false,
		`probe("old", "ready").status == "unknown"`:                   true,
		`probe("old", "ready").failing_for > duration("0s")`:          false,
		`probe("never", "ready").failing`:                             false,
		`probe("unsure", "ready").failing_for == duration("0s")`:      true,
		`probe("nobody", "ready").passing`:                            false,
		`probe("ahead", "ready").passing_for == duration("0s")`:       true,
		`probe("payments", "op" + "en").failing`:                      true,
		`!probe("payments", "open").passing && look.output.value > 1`: true,
	} {
		condition, err := runbook.Compile(expr, steps)
		if err != nil {
			t.Errorf("Compile(%s): %v", expr, err)
			continue
		}
		if got, err := condition.Eval(env); err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", expr, got, err, want)
		}
	}
}

func TestConditionWithoutTelemetryKnowsNoProbe(t *testing.T) {
	condition, err := runbook.Compile(`probe("ready").status == "unknown" && !probe("ready").failing`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := condition.Eval(runbook.Env{Now: now, Service: "shop"}); err != nil || !holds {
		t.Fatalf("got %v, %v; want unknown and not failing", holds, err)
	}
}

func TestBadConditionsNameExpressionAndPosition(t *testing.T) {
	steps := []string{"settled", "cut-one"}
	for expr, want := range map[string]string{
		`settld.failed`:                    "condition `settld.failed`: 1:1: there is no earlier step \"settld\"; did you mean \"settled\"?",
		`settled.faild`:                    "condition `settled.faild`: 1:8: undefined field 'faild'",
		`true && settled.output.`:          "condition `true && settled.output.`: 1:24: Syntax error",
		`"yes"`:                            `gives string; it must be true or false`,
		`settled`:                          `it must be true or false`,
		`1 + 2`:                            `gives int; it must be true or false`,
		`steps["cut-on"].failed`:           `1:6: there is no earlier step "cut-on"; did you mean "cut-one"?`,
		`steps.cut.failed`:                 `there is no earlier step "cut"`,
		`prob("ready").failing`:            `1:5: undeclared reference to 'prob'`,
		`probe("a", "b", "c").failing`:     `found no matching overload for 'probe'`,
		`probe(1).failing`:                 `found no matching overload for 'probe'`,
		`probe("ready").broken`:            `undefined field 'broken'`,
		`probe("x").failing_for > 10`:      `found no matching overload for '_>_'`,
		`probe("x").failing_for > "10s"`:   `found no matching overload for '_>_'`,
		`duration("10 s") > duration("1")`: `invalid duration argument`,
		`  `:                               `the condition is empty`,
		strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200): `recursion limit`,
		strings.Repeat("true && ", 1000) + "true":                    `exceeds limit`,
	} {
		condition, err := runbook.Compile(expr, steps)
		if err == nil || condition != nil {
			t.Errorf("Compile(%.60s) passed, want %q", expr, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%.60s):\n got %.300v\nwant %s", expr, err, want)
		}
	}
}

func TestConditionThatCannotBeEvaluatedIsAnError(t *testing.T) {
	big := `[1,2,3,4,5,6,7,8,9,10]`
	costly := big
	for range 5 {
		costly = big + `.map(x, ` + costly + `)`
	}
	for expr, want := range map[string]string{
		`look.output.value > 3`:          "condition `look.output.value > 3`: no such key: value",
		`look.output.text`:               `gave string; it must be true or false`,
		`1 / size(look.output.none) > 0`: `division by zero`,
		`size(` + costly + `) > 0`:       `cost limit exceeded`,
		`broken.output == null`:          `the output of step "broken" is not JSON`,
	} {
		condition, err := runbook.Compile(expr, []string{"look", "broken"})
		if err != nil {
			t.Errorf("Compile(%.80s): %v", expr, err)
			continue
		}
		env := runbook.Env{Steps: map[string]runbook.StepOutcome{
			"look": {Status: jenner.StepPassed, Output: json.RawMessage(`{"text": "abc", "none": []}`)},
		}}
		if strings.HasPrefix(expr, "broken") {
			env.Steps["broken"] = runbook.StepOutcome{Output: json.RawMessage(`{`)}
		}
		if _, err := condition.Eval(env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Eval(%.80s): got %v, want %s", expr, err, want)
		}
	}
}

func TestConditionServesManyAtOnce(t *testing.T) {
	condition, err := runbook.Compile(`look.output.value > 10 && probe("ready").passing`, []string{"look"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			env := runbook.Env{Telemetry: seen, Now: now, Service: "shop", Steps: map[string]runbook.StepOutcome{
				"look": {Status: jenner.StepPassed, Output: jenner.Raw(map[string]int{"value": 7 + i})},
			}}
			if got, err := condition.Eval(env); err != nil || got != (7+i > 10) {
				t.Errorf("with %d: got %v, %v", 7+i, got, err)
			}
		})
	}
	all.Wait()
}

func FuzzCondition(f *testing.F) {
	for _, seed := range []string{`a.failed`, `steps["a-b"].passed`, `probe("x", "y").failing_for > duration("10s")`,
		`a.output.x[0] == 1`, `[1,2].all(x, x > 0)`, `"a`, `steps[a.output].failed`, `{}`, `a.output.map(x, x)`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		condition, err := runbook.Compile(expr, []string{"a", "a-b"})
		if err != nil {
			return
		}
		condition.Probes()
		_, _ = condition.Eval(runbook.Env{Telemetry: seen, Now: now, Service: "shop", Steps: map[string]runbook.StepOutcome{
			"a": {Status: jenner.StepPassed, Output: json.RawMessage(`{"x": [1, "b", null]}`)},
		}})
	})
}
