package telemetry

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// What a metric without data means: nothing is wrong, or nobody knows.
func TestComplete(t *testing.T) {
	now := time.Now()
	at := func(age time.Duration, value float64, labels ...string) jenner.Sample {
		set := map[string]string{}
		for i := 0; i < len(labels); i += 2 {
			set[labels[i]] = labels[i+1]
		}
		return jenner.Sample{Labels: set, Value: value, At: now.Add(-age)}
	}
	const page, other = "ksm:1", "ksm:2"
	up := func(instance string, value float64) jenner.Sample {
		return at(0, value, "__name__", "up", "service", "ksm", "instance", instance, "job", "ksm")
	}
	waited := func(instance string) jenner.Sample {
		return at(5*time.Minute, 1, "__name__", "waiting", "service", "ksm", "instance", instance, "job", "ksm")
	}
	recorded := map[string]string{"rec:waiting": "sum(waiting)", "rec:rec": "rec:waiting", "rec:circle": "rec:circle"}
	for name, test := range map[string]struct {
		promql  string
		samples []jenner.Sample
		want    bool
	}{
		"there is data":                     {"waiting > 5", []jenner.Sample{at(0, 1, "__name__", "waiting")}, true},
		"nothing is known":                  {"waiting > 0", nil, false},
		"who told of it is up":              {"waiting > 0", []jenner.Sample{waited(page), up(page, 1)}, true},
		"who told of it is down":            {"waiting > 0", []jenner.Sample{waited(page), up(page, 0)}, false},
		"one of two is down":                {"waiting > 0", []jenner.Sample{waited(page), waited(other), up(page, 1), up(other, 0)}, false},
		"another one is down":               {"waiting > 0", []jenner.Sample{waited(page), up(page, 1), up(other, 0)}, true},
		"who told of it is gone":            {"waiting > 0", []jenner.Sample{waited(page)}, false},
		"somebody else is up":               {"waiting > 0", []jenner.Sample{waited(page), up(other, 1)}, false},
		"never seen, the job is up":         {`waiting{job="ksm"} > 0`, []jenner.Sample{up(page, 1)}, true},
		"never seen, a job is up":           {`waiting{job=~"ksm|x"} > 0`, []jenner.Sample{up(page, 1)}, true},
		"never seen, the job is half up":    {`waiting{job="ksm"} > 0`, []jenner.Sample{up(page, 1), up(other, 0)}, false},
		"never seen, not the job":           {`waiting{job!="x"} > 0`, []jenner.Sample{up(page, 1)}, false},
		"never seen, any job":               {`waiting{job=~".*"} > 0`, []jenner.Sample{up(page, 1)}, false},
		"never seen, another job":           {`waiting{job="x"} > 0`, []jenner.Sample{up(page, 1)}, false},
		"one of two metrics":                {"waiting > 0 or lost > 0", []jenner.Sample{waited(page), up(page, 1)}, false},
		"a number without metrics":          {"vector(1) > 2", nil, true},
		"over a range":                      {"max_over_time(waiting[5m] offset 1m) > 0", []jenner.Sample{waited(page), up(page, 1)}, true},
		"what a rule records":               {"rec:waiting > 0", []jenner.Sample{waited(page), up(page, 1)}, true},
		"what a rule records of a rule":     {"rec:rec > 0", []jenner.Sample{waited(page), up(page, 1)}, true},
		"what a rule records of the lost":   {"rec:rec > 0", []jenner.Sample{waited(page)}, false},
		"what a rule records of itself":     {"rec:circle > 0", nil, false},
		"the page itself says that it left": {`up{job="ksm"} == 0`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t, 0)
			if err := store.Append(test.samples...); err != nil {
				t.Fatal(err)
			}
			got, err := store.Complete(t.Context(), test.promql, recorded)
			if err != nil || got != test.want {
				t.Errorf("%s: got %v, %v", test.promql, got, err)
			}
		})
	}
	if _, err := open(t, 0).Complete(t.Context(), "waiting >", nil); err == nil {
		t.Error("what is no PromQL is complete")
	}
}
