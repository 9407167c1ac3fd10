package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// analysing judges a release by errors, latency and orders; the answers are functions of how long it has been watched.
func analysing(numbers map[string]func(after time.Duration) []jenner.Sample) (*Analyse, act.Call) {
	began := time.Now()
	call := act.Call{Host: act.Host{Telemetry: world{query: func(promql string) (jenner.Answer, error) {
		give, known := numbers[promql]
		if !known {
			return jenner.Answer{}, errors.New("nobody knows " + promql)
		}
		return jenner.Answer{Samples: give(time.Since(began))}, nil
	}}}}
	return &Analyse{For: jenner.Duration(10 * time.Second), Every: jenner.Duration(time.Second), Fails: 3,
		Traffic: Traffic{PromQL: "requests", AtLeast: 5},
		Metrics: []Metric{
			{Name: "errors", PromQL: "bad", Below: threshold(0.05)},
			{Name: "latency", PromQL: "slow", Baseline: "slow_before", AtMost: threshold(1.5)},
			{Name: "orders", PromQL: "sold", Baseline: "sold_before", AtLeast: threshold(0.8)},
		}}, call
}

func always(values ...float64) func(time.Duration) []jenner.Sample {
	return func(time.Duration) []jenner.Sample { return samplesOf(values...).Samples }
}

func TestAnalyse(t *testing.T) {
	good := func() map[string]func(time.Duration) []jenner.Sample {
		return map[string]func(time.Duration) []jenner.Sample{"requests": always(20), "bad": always(0.01), "slow": always(0.12),
			"slow_before": always(0.1), "sold": always(9), "sold_before": always(10)}
	}
	for name, test := range map[string]struct {
		change  map[string]func(time.Duration) []jenner.Sample
		verdict string
		says    string
		after   time.Duration
	}{
		"well":                      {nil, "passed", "", 10 * time.Second},
		"errors":                    {map[string]func(time.Duration) []jenner.Sample{"bad": always(0.2)}, "failed", "errors is 0.2, not below 0.05, 3 times in a row", 2 * time.Second},
		"late":                      {map[string]func(time.Duration) []jenner.Sample{"slow": always(0.16)}, "failed", "latency is 0.16, more than 0.15", 2 * time.Second},
		"fewer orders":              {map[string]func(time.Duration) []jenner.Sample{"sold": always(7)}, "failed", "orders is 7, less than 8", 2 * time.Second},
		"nobody uses it":            {map[string]func(time.Duration) []jenner.Sample{"requests": always(0), "bad": always(0.9)}, "inconclusive", "traffic is 0, and 5 is needed", 10 * time.Second},
		"no traffic is known":       {map[string]func(time.Duration) []jenner.Sample{"requests": always()}, "inconclusive", "traffic: no data", 10 * time.Second},
		"no data of one":            {map[string]func(time.Duration) []jenner.Sample{"sold": always()}, "inconclusive", "orders: no data", 10 * time.Second},
		"no data of a baseline":     {map[string]func(time.Duration) []jenner.Sample{"slow_before": always()}, "inconclusive", "latency: the baseline: no data", 10 * time.Second},
		"no number":                 {map[string]func(time.Duration) []jenner.Sample{"bad": func(time.Duration) []jenner.Sample { return samplesOf(math.NaN()).Samples }}, "inconclusive", "errors: it is no number", 10 * time.Second},
		"two series":                {map[string]func(time.Duration) []jenner.Sample{"bad": always(0, 0)}, "inconclusive", "2 series and not one", 10 * time.Second},
		"bad with no data of other": {map[string]func(time.Duration) []jenner.Sample{"sold": always(), "bad": always(0.2)}, "failed", "errors is 0.2", 2 * time.Second},
		"a hiccup": {map[string]func(time.Duration) []jenner.Sample{"bad": func(after time.Duration) []jenner.Sample {
			if after < 2*time.Second {
				return samplesOf(1).Samples
			}
			return samplesOf(0).Samples
		}}, "passed", "", 10 * time.Second},
		"bad at the very end": {map[string]func(time.Duration) []jenner.Sample{"bad": func(after time.Duration) []jenner.Sample {
			if after > 8*time.Second {
				return samplesOf(1).Samples
			}
			return samplesOf(0).Samples
		}}, "inconclusive", "errors is 1, not below 0.05", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				numbers := good()
				for promql, give := range test.change {
					numbers[promql] = give
				}
				analyse, call := analysing(numbers)
				if err := analyse.Validate(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				result, err := analyse.Do(t.Context(), call)
				output := result.Output.(analysis)
				if output.Verdict != test.verdict || (err == nil) != (test.verdict == "passed") || time.Since(began) != test.after {
					t.Errorf("%s after %s, %+v, %v", output.Verdict, time.Since(began), output, err)
				}
				if !strings.Contains(output.Why, test.says) || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("it says %q, %v", output.Why, err)
				}
			})
		})
	}
}

// TestAnAnalysisThatIsBrokenOff: whoever stops Jenner gets no verdict.
func TestAnAnalysisThatIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		analyse, call := analysing(map[string]func(time.Duration) []jenner.Sample{"requests": always(0)})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(errors.New("somebody stopped Jenner")) })
		result, err := analyse.Do(ctx, call)
		if result.Output.(analysis).Verdict != "inconclusive" {
			t.Errorf("%+v", result.Output)
		}
		wantError(t, err, "somebody stopped Jenner")
	})
}

func TestAnalyseMistakes(t *testing.T) {
	for says, change := range map[string]func(*Analyse){
		"metrics is empty":         func(a *Analyse) { a.Metrics = nil },
		"shorter than every":       func(a *Analyse) { a.For = 1 },
		"fails is 0":               func(a *Analyse) { a.Fails = 0 },
		"must be above 0":          func(a *Analyse) { a.Traffic.AtLeast = 0 },
		"traffic.promql":           func(a *Analyse) { a.Traffic.PromQL = "" },
		"stands twice":             func(a *Analyse) { a.Metrics[1].Name = "errors" },
		"no name":                  func(a *Analyse) { a.Metrics[0].Name = "" },
		"no bound":                 func(a *Analyse) { a.Metrics[0].Below = nil },
		"times a baseline":         func(a *Analyse) { a.Metrics[1].Baseline = "" },
		"compared to nothing":      func(a *Analyse) { a.Metrics[0].Baseline = "m" },
		"no number is above":       func(a *Analyse) { a.Metrics[0].Above = threshold(1) },
		`metric "latency": PromQL`: func(a *Analyse) { a.Metrics[1].Baseline = "sum(" },
		"promql is missing":        func(a *Analyse) { a.Metrics[2].PromQL = "" },
	} {
		analyse, _ := analysing(nil)
		change(analyse)
		if err := analyse.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, fmt.Sprint(err))
		}
	}
}
