package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) service(service jenner.Service) {
	d := c.document(kindService, service.Name, service.Source)
	if strings.ContainsAny(service.Name, "/ ") {
		d.problem("/name", "the name %q must not contain a slash or a blank", service.Name)
	}
	if service.Name == jenner.HoldAll {
		d.problem("/name", "no service may be called %s: holding it would stop everything", service.Name)
	}
	if service.Tier < 0 {
		d.problem("/tier", "tier %d is below 0; 1 matters most", service.Tier)
	}
	for i, name := range service.DependsOn {
		path := fmt.Sprintf("/depends_on/%d", i)
		d.unknown(path, "service", name, c.index.services)
		if slices.Index(service.DependsOn, name) < i {
			d.problem(path, "dependency %q stands twice", name)
		}
	}
	d.targets(service)
	d.probes(service)
	d.alerts(service)
	d.objectives(service)
	for i, source := range service.Metrics {
		d.metrics(service, fmt.Sprintf("/metrics/%d", i), source)
	}
	d.asked(service)
}

func (d document) metrics(service jenner.Service, base string, source jenner.MetricsSource) {
	for _, label := range slices.Sorted(maps.Keys(source.Labels)) {
		path := strict.Join(base+"/labels", label)
		switch {
		case !model.LegacyValidation.IsValidLabelName(label) || strings.HasPrefix(label, "__"):
			d.problem(path, "%q is no name of a label", label)
		case label == "service" || label == "instance":
			d.problem(path, "the label %s is added by itself", label)
		}
	}
	if source.Kind != "" {
		path := strict.Join(base, source.Kind)
		if d.names != nil {
			problems, err := d.names.Source(source.Kind, source.Params)
			d.params(path, "metrics source "+source.Kind, problems, err)
		}
		d.ownTarget(service, path, source.Params)
		return
	}
	address, err := url.Parse(source.Scrape)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		d.problem(base+"/scrape", "%q is no address to scrape; write http://HOST:PORT/metrics", source.Scrape)
	}
}

// ownTarget looks up what the setting `target` of a source or a probe names: always a target of the service itself.
func (d document) ownTarget(service jenner.Service, base string, params jenner.Params) {
	var name string
	if json.Unmarshal(params["target"], &name) != nil || name == "" {
		return // it has none, or one that its owner has refused
	}
	if _, known := service.TargetNamed(name); !known {
		var names []string
		for _, target := range service.Targets {
			names = append(names, target.Name)
		}
		d.problem(base+"/target", "service %s has no target %q%s", service.Name, name, strict.Hint(name, names))
	}
}

func (d document) targets(service jenner.Service) {
	var names []string
	for i, target := range service.Targets {
		names = append(names, target.Name)
		base := fmt.Sprintf("/targets/%d", i)
		if strings.Contains(target.Name, "/") {
			d.problem(base+"/name", "the target's name %q must not contain a slash", target.Name)
		}
		if d.names != nil {
			problems, err := d.names.Target(target.Kind, target.Params)
			if err != nil {
				d.problem(base+"/kind", "target %s: %v", target.Name, err)
			}
			d.params(base, "target "+target.Name, problems, nil)
		}
	}
	d.twice("/targets", "target", names)
}

func (d document) probes(service jenner.Service) {
	var names []string
	for i, probe := range service.Probes {
		names = append(names, probe.Name)
		base := fmt.Sprintf("/probes/%d", i)
		if probe.Name == jenner.AliveProbe && d.names != nil && lives(d.names, service) {
			d.problem(base+"/name", "a target of the service has the probe %q without writing it; name this one otherwise", probe.Name)
		}
		if d.names != nil {
			problems, err := d.names.Probe(probe.Kind, probe.Params)
			d.params(strict.Join(base, probe.Kind), "probe "+probe.Name, problems, err)
		}
		d.ownTarget(service, strict.Join(base, probe.Kind), probe.Params)
		if probe.Fails < 0 {
			d.problem(base+"/fails", "fails of probe %s is %d; it must be at least 1", probe.Name, probe.Fails)
		}
		if probe.Of < 0 || probe.Of > 0 && probe.Of < max(probe.Fails, 1) {
			d.problem(base+"/of", "probe %s cannot fail %d times of %d", probe.Name, probe.Fails, probe.Of)
		}
		if every := probe.Every.Or(time.Second); probe.Timeout.Std() > every {
			d.warn(base+"/timeout", "probe %s may take %s but is asked every %s; later answers wait for earlier ones",
				probe.Name, probe.Timeout, jenner.Duration(every))
		}
		if probe.Slow > 0 && probe.Timeout > 0 && probe.Slow >= probe.Timeout {
			d.warn(base+"/slow", "probe %s can never be slow: it times out after %s", probe.Name, probe.Timeout)
		}
	}
	d.twice("/probes", "probe", names)
}

func (d document) alerts(service jenner.Service) {
	var rules, indicators []string
	for i, rule := range service.Alerts {
		rules = append(rules, rule.Name)
		base := fmt.Sprintf("/alerts/%d", i)
		d.promql(base+"/promql", "alert "+rule.Name, rule.PromQL)
		d.oneOf(base+"/severity", "severity", rule.Severity, string(jenner.SeverityPage), string(jenner.SeverityTicket))
	}
	for i, sli := range service.SLIs {
		indicators = append(indicators, sli.Name)
		base := fmt.Sprintf("/slis/%d", i)
		d.promql(base+"/promql", "SLI "+sli.Name, sli.PromQL)
		if sli.Below != nil && sli.Above != nil && *sli.Below <= *sli.Above {
			d.problem(base+"/below", "SLI %s can never be well: it must be below %v and above %v", sli.Name, *sli.Below, *sli.Above)
		}
	}
	d.twice("/alerts", "alert", rules)
	d.twice("/slis", "SLI", indicators)
}

func (d document) objectives(service jenner.Service) {
	var names []string
	for i, slo := range service.SLOs {
		names = append(names, slo.Name)
		base := fmt.Sprintf("/slos/%d", i)
		d.promql(base+"/good", "SLO "+slo.Name, slo.Good)
		d.promql(base+"/total", "SLO "+slo.Name, slo.Total)
		if slo.Objective <= 0 || slo.Objective >= 1 {
			d.problem(base+"/objective", "the objective of SLO %s must lie between 0%% and 100%%, both excluded", slo.Name)
		}
		if slo.Window <= 0 {
			d.problem(base+"/window", "the window of SLO %s must be longer than 0", slo.Name)
		}
	}
	d.twice("/slos", "SLO", names)
}

// cycles tells every circle of dependencies once, at the service that closes it.
func (c *checker) cycles() {
	const open, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		path = append(path, name)
		service, _ := c.docs.Service(name)
		for i, next := range service.DependsOn {
			switch state[next] {
			case open:
				circle := append(slices.Clone(path[slices.Index(path, next):]), next)
				c.document(kindService, name, service.Source).problem(fmt.Sprintf("/depends_on/%d", i),
					"dependencies run in a circle: %s", strings.Join(circle, " → "))
			case done:
			default:
				visit(next)
			}
		}
		path = path[:len(path)-1]
		state[name] = done
	}
	for _, service := range c.docs.Services {
		if state[service.Name] == 0 {
			visit(service.Name)
		}
	}
}
