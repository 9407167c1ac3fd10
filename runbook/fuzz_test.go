package runbook_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/runbook"
)

// FuzzConditionWorld holds conditions against worlds at the edge of what can be: any output of a step, and a probe that
// has been failing since any time, the future included. Whatever comes, there is an answer or an error.
func FuzzConditionWorld(f *testing.F) {
	for _, expr := range []string{
		`probe("p").failing_for > duration("0s")`, `probe("p").failing_for > duration("-1s")`,
		`probe("p").failing_for + probe("p").failing_for > duration("1s")`, `probe("p").failing_for - duration("320000h") < duration("0")`,
		`probe("p").failing_for == duration("9223372036.854775807s")`, `duration("1e3s") < probe("p").failing_for`,
		`duration("315576000001s") > duration("1s")`, `duration(a.output) > duration("1ns")`, `int(probe("p").failing_for.getMilliseconds()) > 5`,
		`probe("p").failing_for.getHours() >= 2562047`, `a.output.x > 0 && a.output.x / 0 == 1`, `a.output.x + 9223372036854775807 > 0`,
		`-a.output.x < 0`, `a.output[9223372036854775807] == 1`, `a.output[-1] == 1`, `a.output.x == 1e308 * 10.0`, `0.0 / 0.0 == a.output.x`,
		`a.output.x % 0 == 1`, `uint(a.output.x) > 18446744073709551615u`, `size(a.output) > 0`, `a.output.matches("(a*)*$")`,
		`timestamp("9999-12-31T23:59:59Z") + probe("p").failing_for > timestamp("0001-01-01T00:00:00Z")`, `has(a.output.x)`,
		`[1,2,3,4,5,6,7,8,9].all(x, [1,2,3,4,5,6,7,8,9].all(y, [1,2,3,4,5,6,7,8,9].all(z, [1,2,3,4,5,6,7,8,9].all(w, x+y+z+w > 0))))`,
		`probe(a.output).passing`, `string(a.output) == "x"`, `a.output == null`,
	} {
		f.Add(expr, []byte(`{"x": 9223372036854775807}`), int64(0))
		f.Add(expr, []byte(`"-1h"`), int64(1<<63-1))
		f.Add(expr, []byte(`[1e308, null]`), int64(-1<<63))
	}
	sane, err := runbook.Compile(`probe("p").failing_for >= duration("0s") && probe("p").passing_for >= duration("0s")`, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string, output []byte, lasting int64) {
		state := jenner.ProbeState{Status: jenner.ProbeFailing, At: now, Every: time.Second, Since: now.Add(-time.Duration(lasting))}
		env := runbook.Env{Telemetry: world{"shop/p": state}, Now: now, Service: "shop", Steps: map[string]runbook.StepOutcome{
			"a": {Status: jenner.StepFailed, Output: json.RawMessage(output)},
		}}
		if holds, err := sane.Eval(env); err != nil || !holds {
			t.Fatalf("a probe that fails for %s since %s lasts less than nothing (%v)", time.Duration(lasting), state.Since, err)
		}
		condition, err := runbook.Compile(expr, []string{"a"})
		if err != nil {
			return
		}
		one, failed := condition.Eval(env)
		again, failedToo := condition.Eval(env)
		if one != again || (failed == nil) != (failedToo == nil) {
			t.Fatalf("%s is %v (%v) and then %v (%v)", expr, one, failed, again, failedToo)
		}
	})
}

// A trigger that was read is PromQL as it stands, and reads as itself.
func FuzzTrigger(f *testing.F) {
	for _, seed := range []string{`a > 90%`, `a > 99.9%`, `90% < a`, `a % 2`, `90%b > 5%`, `5%%3`, `5% % 3`, `a{x="50%"} > 50%`, `a > 0x5%`, `a > 1e999%`,
		`a > Inf%`, `a > NaN %`, `a > 1_000%`, `a > 5% # 6%`, `a[5m%]`, `5m% > 1`, `-5%`, `5%`, `a > 00%`, `a > .5%`, `a > 5.%`, `(5%)^2%`,
		`a offset 5%`, `""`, `%`, ``, "a > 5%\n", "a > \xff%", `rate(a[5m]) > bool 5% unless on (x) b`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, alert string) {
		promql, err := runbook.Trigger(jenner.Trigger{Alert: alert})
		if err != nil {
			return
		}
		if again, err := runbook.Trigger(jenner.Trigger{Alert: promql}); err != nil || again != promql {
			t.Fatalf("%q is read as %q, and that as %q (%v)", alert, promql, again, err)
		}
	})
}
