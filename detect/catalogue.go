package detect

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"

	"github.com/jenner-heal/jenner"
)

// cataloguePrefix begins the fingerprints of catalogues' alerts. A catalogue may have several rules of one name, so that only
// the fingerprint tells whose an alert is.
const cataloguePrefix = "c-"

// catalogued is what a rule of a catalogue has beside other rules.
type catalogued struct {
	id       string // begins the fingerprints of its alerts; it changes with all that tells the rule from others
	group    string // all rules of one group have the same text
	interval time.Duration
	records  bool // some rule of the group records
	limit    int
	written  jenner.GroupRule
	labels   map[string]string // of the group and the rule; templates in those of an alert
	server   jenner.Prometheus // that it is asked of; zero: of Jenner's own numbers

	ending map[string]time.Time         // fingerprints that fire although the expression does not hold any more, and since when
	series map[string]map[string]string // that it gave the last time, by their labels as one text
}

func (c *catalogued) key() string {
	if c == nil {
		return ""
	}
	return c.id + jenner.Hash(c.written)
}

func (c *catalogued) owns(alert jenner.Alert) bool { return strings.HasPrefix(alert.Fingerprint, c.id) }

// goOn takes over what the same rule of the documents before knew.
func (c *catalogued) goOn(before *catalogued) {
	if c != nil && before != nil {
		c.ending, c.series = before.ending, before.series
	}
}

// every is how often its group is evaluated: as the group says, or as often as the server is asked. Over Jenner's own numbers
// a group that records is evaluated at least every recordEvery.
func (c *catalogued) every(remote bool, server time.Duration) time.Duration {
	switch {
	case c.interval > 0 && (remote || !c.records):
		return c.interval
	case remote:
		return server
	case c.records && c.interval > 0:
		return min(c.interval, recordEvery)
	case c.records:
		return recordEvery
	}
	return DefaultGroupEvery
}

// over tells whether a firing alert whose expression holds no more is to be resolved by now, as keep_firing_for says. Until
// then it is not seen to fire, so that nothing is done because of it.
func (c *catalogued) over(fingerprint string, now time.Time) bool {
	if c == nil || c.written.KeepFiringFor == 0 {
		return true
	}
	since, known := c.ending[fingerprint]
	if !known {
		c.ending[fingerprint] = now
		return false
	}
	if now.Sub(since) < c.written.KeepFiringFor.Std() {
		return false
	}
	delete(c.ending, fingerprint)
	return true
}

// holds takes note of the alerts whose expression holds.
func (c *catalogued) holds(active map[string]bool) {
	if c != nil {
		maps.DeleteFunc(c.ending, func(fingerprint string, _ time.Time) bool { return active[fingerprint] })
	}
}

// catalogueRules are the rules of all catalogues. They are asked of the default server, where there is one: what its own
// recording rules record is recorded already then.
func (e *Engine) catalogueRules(docs *jenner.Documents) []*rule {
	e.setMapper(docs)
	server, remote := docs.Server(jenner.Service{})
	e.recorded = map[string]string{}
	var rules []*rule
	left := 0
	for _, catalogue := range docs.Catalogues {
		for _, group := range catalogue.Groups {
			for i, written := range group.Rules {
				if written.Record != "" {
					e.recorded[written.Record] = written.Expr
				}
				if written.Record != "" && (remote || e.record == nil) {
					left++
					continue
				}
				rules = append(rules, catalogueRule(catalogue, group, i, server))
			}
		}
	}
	if left > 0 {
		e.log.Info("detect: recording rules of catalogues are not evaluated here; the server must evaluate them", "rules", left,
			"server", server.Name)
	}
	return rules
}

func (e *Engine) setMapper(docs *jenner.Documents) {
	mapper, err := NewMapper(docs)
	if err != nil { // which `jenner check` tells too
		e.warnOnce("the mappings cannot be read, so alerts are mapped by their label service only", "error", err)
		mapper = &Mapper{docs: docs}
	}
	e.mapper = mapper
}

func catalogueRule(catalogue jenner.Catalogue, group jenner.RuleGroup, i int, server jenner.Prometheus) *rule {
	written := group.Rules[i]
	of := &catalogued{
		group: jenner.Fingerprint(catalogue.Source.File, catalogue.Name, group.Name), interval: group.Interval.Std(),
		records: slices.ContainsFunc(group.Rules, func(r jenner.GroupRule) bool { return r.Record != "" }),
		limit:   group.Limit, written: written, labels: maps.Clone(group.Labels), server: server,
		ending: map[string]time.Time{}, series: map[string]map[string]string{},
	}
	if of.labels == nil {
		of.labels = map[string]string{}
	}
	maps.Copy(of.labels, written.Labels)
	of.id = cataloguePrefix + jenner.Fingerprint(catalogue.Name, group.Name, written.Name(), written.Expr, jenner.Hash(of.labels))[:8] + "-"
	return &rule{kind: jenner.AlertRule, name: written.Name(), promql: written.Expr, hold: written.For.Std(), of: of}
}

// severityOf is how people are told: who writes critical or page wants to be woken.
func severityOf(labels map[string]string) jenner.Severity {
	switch strings.ToLower(labels["severity"]) {
	case "critical", "page":
		return jenner.SeverityPage
	}
	return jenner.SeverityTicket
}

// catalogueAlert is the alert of one series, as it would fire now: with the labels that Prometheus would give it, about the
// service that the mappings find. One that is nobody's is on the board without a service, and opens no incident; false where
// the mappings ignore it.
func (e *Engine) catalogueAlert(ctx context.Context, r *rule, sample jenner.Sample, now time.Time) (jenner.Alert, bool) {
	expand := r.of.expander(ctx, e, sample, now)
	set := maps.Clone(sample.Labels)
	if set == nil {
		set = map[string]string{}
	}
	delete(set, model.MetricNameLabel)
	for name, text := range r.of.labels {
		if set[name] = expand(text); set[name] == "" {
			delete(set, name)
		}
	}
	set[model.AlertNameLabel] = r.name
	whole := maps.Clone(r.of.server.Labels) // as Prometheus adds them when it sends an alert
	if whole == nil {
		whole = map[string]string{}
	}
	maps.Copy(whole, set)
	mapped := e.mapper.Explain(whole)
	switch mapped.Nobody {
	case NobodyIgnored:
		if e.first("ignored\x00" + r.name + "\x00" + mapped.By) {
			e.ignored.Add(1)
			e.log.Info("detect: an alert of a catalogue is ignored, as a mapping says", "alert", r.name, "by", mapped.By)
		}
		return jenner.Alert{}, false
	case NobodyUnmapped:
		if e.first("unmapped\x00" + r.name) {
			e.log.Warn("detect: an alert of a catalogue is no service's, so it opens no incident; add a rule to a mapping, or `ignore: true`",
				"alert", r.name, "labels", labelText(set), "saw", mapped.Saw)
		}
	}
	return jenner.Alert{
		Fingerprint: r.of.id + jenner.Fingerprint(mapped.Service, labelText(set)),
		Name:        r.name, Kind: r.kind, Service: mapped.Service, Target: mapped.Target,
		Status: jenner.Firing, Severity: severityOf(set), StartsAt: now, SeenAt: now,
		Summary: summaryOf(r, expand), Labels: set, Value: sample.Value,
	}, true
}

func labelText(set map[string]string) string { return labels.FromMap(set).String() }

// maxSummary is how long the summary of an alert gets.
const maxSummary = 500

// summaryOf is what the annotations say, the short text first.
func summaryOf(r *rule, expand func(string) string) string {
	var texts []string
	for _, name := range []string{"summary", "description", "message"} {
		if text := strings.Join(strings.Fields(expand(r.of.written.Annotations[name])), " "); text != "" {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return r.name + ": " + r.promql
	}
	whole := []rune(strings.Join(texts, " – "))
	if len(whole) > maxSummary {
		return string(whole[:maxSummary]) + "…"
	}
	return string(whole)
}

// templateVariables are those that Prometheus gives to each template.
const templateVariables = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

// expander fills in Prometheus' templates for one series. Like there, a text that fails says so in place of what it should say.
func (c *catalogued) expander(ctx context.Context, e *Engine, sample jenner.Sample, now time.Time) func(text string) string {
	address, err := url.Parse(c.server.URL)
	if err != nil {
		address = &url.URL{}
	}
	data := template.AlertTemplateData(sample.Labels, c.server.Labels, c.server.URL, promql.Sample{F: sample.Value})
	query := func(ctx context.Context, expr string, _ time.Time) (promql.Vector, error) {
		answer, err := e.telemetry.Query(ctx, expr)
		var vector promql.Vector
		for _, one := range answer.Samples {
			vector = append(vector, promql.Sample{Metric: labels.FromMap(one.Labels), F: one.Value, T: now.UnixMilli()})
		}
		return vector, err
	}
	return func(text string) string {
		if !strings.Contains(text, "{{") {
			return text
		}
		filled, err := template.NewTemplateExpander(ctx, templateVariables+text, "__alert_"+c.written.Alert, data,
			model.TimeFromUnixNano(now.UnixNano()), query, address, nil).Expand()
		if err != nil {
			e.warnOnce("a template of a catalogue cannot be filled in", "alert", c.written.Alert, "error", err)
			return fmt.Sprintf("<error expanding template: %s>", err)
		}
		return filled
	}
}

// countNobody counts an alert that begins to fire and is no service's.
func (e *Engine) countNobody(alert jenner.Alert) {
	if alert.Service == "" {
		e.unmapped.Add(1)
	}
}

// Nobody is how many alerts of catalogues began to fire that are no service's, and of how many rules mappings ignore the
// alerts.
func (e *Engine) Nobody() (unmapped, ignored uint64) { return e.unmapped.Load(), e.ignored.Load() }
