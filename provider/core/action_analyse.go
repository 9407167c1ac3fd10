package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Action("analyse", "Watch several metrics of a new release for a while, and judge it", func() act.Action {
		return &Analyse{For: jenner.Duration(time.Minute), Every: jenner.Duration(time.Second), Fails: 3, Traffic: Traffic{AtLeast: 1}}
	})
}

// Analyse judges a canary, or any new release, by several metrics over a while. It passes where each of them was within
// its bounds to the end. It fails as soon as one of them was out of bounds in some looks in a row. Otherwise, and that is
// an error too, it is inconclusive: there was too little traffic, or a metric had no data, and what nobody uses has proved
// nothing. The step's output says which as `verdict`: passed, failed or inconclusive.
type Analyse struct {
	Metrics []Metric `json:"metrics"`
	Traffic Traffic  `json:"traffic"`
	// For is for how long it is watched, 1m where not said.
	For jenner.Duration `json:"for,omitempty"`
	// Every is the time between two looks, 1s where not said.
	Every jenner.Duration `json:"every,omitempty"`
	// Fails is how many looks in a row a metric must be out of bounds; 3 where not said.
	Fails int `json:"fails,omitempty"`
}

// Metric is one number and its bounds. One bound at least is needed; all that are there must hold.
type Metric struct {
	Name   string         `json:"name"`
	PromQL string         `json:"promql"` // one number: of the new release
	Below  *jenner.Number `json:"below,omitempty"`
	Above  *jenner.Number `json:"above,omitempty"`
	// Baseline is PromQL that gives the same number of the old release, which AtMost and AtLeast are times of.
	Baseline string         `json:"baseline,omitempty"`
	AtMost   *jenner.Number `json:"at_most,omitempty"`  // times the baseline: 1.2 is a fifth more
	AtLeast  *jenner.Number `json:"at_least,omitempty"` // times the baseline: 0.9 is a tenth less
}

// Traffic is how much use makes the metrics worth anything.
type Traffic struct {
	PromQL  string        `json:"promql"`             // one number, such as requests a second to the new release
	AtLeast jenner.Number `json:"at_least,omitempty"` // less is too little; 1 where not said
}

// The verdicts.
const (
	analysedWell   = "passed"
	analysedBadly  = "failed"
	analysedNoSure = "inconclusive"
)

// analysis is the output.
type analysis struct {
	Verdict string            `json:"verdict"`
	Why     string            `json:"why,omitempty"`
	Looks   int               `json:"looks"`
	Last    map[string]string `json:"last"` // what was seen of each metric in the last look
}

// Validate checks the expressions and the bounds.
func (a *Analyse) Validate() error {
	switch {
	case len(a.Metrics) == 0:
		return errors.New("metrics is empty; write one at least")
	case a.Every <= 0 || a.For < a.Every:
		return fmt.Errorf("for %s is shorter than every %s", a.For, a.Every)
	case a.Fails < 1:
		return fmt.Errorf("fails is %d; write 1 or more", a.Fails)
	case a.Traffic.AtLeast <= 0:
		return errors.New("traffic.at_least must be above 0: without any traffic nothing is known")
	}
	if err := checkPromQL("traffic.promql", a.Traffic.PromQL); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, metric := range a.Metrics {
		if seen[metric.Name] {
			return fmt.Errorf("metric %q stands twice", metric.Name)
		}
		seen[metric.Name] = true
		if err := metric.validate(); err != nil {
			return fmt.Errorf("metric %q: %w", metric.Name, err)
		}
	}
	return nil
}

func (m Metric) validate() error {
	relative := m.AtMost != nil || m.AtLeast != nil
	switch {
	case m.Name == "":
		return errors.New("it has no name")
	case m.Below == nil && m.Above == nil && !relative:
		return errors.New("it has no bound; write below, above, at_most or at_least")
	case relative && m.Baseline == "":
		return errors.New("at_most and at_least are times a baseline, which is missing")
	case !relative && m.Baseline != "":
		return errors.New("the baseline is compared to nothing; write at_most or at_least")
	case m.Below != nil && m.Above != nil && *m.Above >= *m.Below:
		return fmt.Errorf("no number is above %s and below %s", number(float64(*m.Above)), number(float64(*m.Below)))
	}
	if m.Baseline != "" {
		if err := telemetry.ParseCheck(m.Baseline); err != nil {
			return err
		}
	}
	return checkPromQL("promql", m.PromQL)
}

// ReadOnly marks that nothing is changed.
func (*Analyse) ReadOnly() {}

// Do watches to the end, or until it is clear that the release is bad.
func (a *Analyse) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if call.Host.Telemetry == nil {
		return act.Result{}, jenner.Permanent(errNoTelemetry, "")
	}
	ticker := time.NewTicker(a.Every.Std())
	defer ticker.Stop()
	over := time.NewTimer(a.For.Std())
	defer over.Stop()
	found, streaks := analysis{}, map[string]int{}
	for {
		open := a.look(ctx, call.Host.Telemetry, &found, streaks)
		if found.Verdict == analysedBadly {
			return found.result()
		}
		select {
		case <-ctx.Done():
			found.Verdict, found.Why = analysedNoSure, "it was broken off"
			result, err := found.result()
			return result, errors.Join(err, context.Cause(ctx))
		case <-over.C:
			found.Verdict, found.Why = analysedWell, ""
			if open != "" {
				found.Verdict, found.Why = analysedNoSure, open
			}
			return found.result()
		case <-ticker.C:
		}
	}
}

// look asks everything once. It gives what keeps the release from being judged at present, or nothing. A look without
// enough traffic neither adds to what speaks against a metric nor takes it away.
func (a *Analyse) look(ctx context.Context, asked jenner.Telemetry, found *analysis, streaks map[string]int) (open string) {
	found.Looks++
	found.Last = map[string]string{}
	traffic, err := one(ctx, asked, a.Traffic.PromQL)
	switch {
	case err != nil:
		return "traffic: " + err.Error()
	case !(traffic >= float64(a.Traffic.AtLeast)):
		return fmt.Sprintf("traffic is %s, and %s is needed to tell anything", number(traffic), number(float64(a.Traffic.AtLeast)))
	}
	for _, metric := range a.Metrics {
		good, saw, err := metric.judge(ctx, asked)
		if err != nil {
			found.Last[metric.Name] = err.Error()
			open = metric.Name + ": " + err.Error()
			continue
		}
		found.Last[metric.Name] = saw
		if good {
			streaks[metric.Name] = 0
			continue
		}
		streaks[metric.Name]++
		open = metric.Name + " is " + saw
		if streaks[metric.Name] >= a.Fails {
			found.Verdict, found.Why = analysedBadly, fmt.Sprintf("%s is %s, %d times in a row", metric.Name, saw, a.Fails)
			return open
		}
	}
	return open
}

// judge tells whether the metric is within all its bounds now, and what was seen.
func (m Metric) judge(ctx context.Context, asked jenner.Telemetry) (good bool, saw string, err error) {
	value, err := one(ctx, asked, m.PromQL)
	if err != nil {
		return false, "", err
	}
	var broken []string
	check := func(holds bool, what string, bound float64) {
		if !holds { // NaN compares to nothing, and so holds nowhere
			broken = append(broken, what+" "+number(bound))
		}
	}
	if m.Below != nil {
		check(value < float64(*m.Below), "not below", float64(*m.Below))
	}
	if m.Above != nil {
		check(value > float64(*m.Above), "not above", float64(*m.Above))
	}
	if m.Baseline != "" {
		base, err := one(ctx, asked, m.Baseline)
		if err != nil {
			return false, "", fmt.Errorf("the baseline: %w", err)
		}
		if m.AtMost != nil {
			check(value <= base*float64(*m.AtMost), "more than", base*float64(*m.AtMost))
		}
		if m.AtLeast != nil {
			check(value >= base*float64(*m.AtLeast), "less than", base*float64(*m.AtLeast))
		}
	}
	if len(broken) > 0 {
		return false, number(value) + ", " + strings.Join(broken, ", "), nil
	}
	return true, number(value), nil
}

// one asks for one number. No data, several series and what is no number are errors.
func one(ctx context.Context, asked jenner.Telemetry, promql string) (float64, error) {
	answer, err := asked.Query(ctx, promql)
	switch {
	case err != nil:
		return 0, fmt.Errorf("could not ask: %w", err)
	case answer.NoData():
		return 0, errors.New("no data")
	case len(answer.Samples) > 1:
		return 0, fmt.Errorf("%d series and not one; sum them up", len(answer.Samples))
	case math.IsNaN(answer.Samples[0].Value):
		return 0, errors.New("it is no number, as a share of nothing is")
	}
	return answer.Samples[0].Value, nil
}

func (a analysis) result() (act.Result, error) {
	result := act.Result{Output: a}
	switch a.Verdict {
	case analysedWell:
		result.Summary = fmt.Sprintf("all metrics stayed within their bounds in %d looks", a.Looks)
		return result, nil
	case analysedBadly:
		return result, jenner.Permanent(fmt.Errorf("the release is bad: %s", a.Why), "")
	}
	return result, jenner.Permanent(fmt.Errorf("inconclusive: %s", a.Why), "a release that nobody used has proved nothing")
}
