package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) signature(signature jenner.Signature) {
	d := c.document(kindSignature, signature.Name, signature.Source)
	if strings.TrimSpace(string(signature.Cause)) == "" {
		d.problem("/cause", "signature %s names no cause", signature.Name)
	}
	if len(signature.Evidence) == 0 {
		d.problem("/evidence", "signature %s has no evidence", signature.Name)
	}
	d.selector("/services", signature.Services)
	subjects := picked(c.docs, signature.Services)
	for i, pattern := range signature.Evidence {
		d.evidence(fmt.Sprintf("/evidence/%d", i), pattern, subjects)
	}
}

// kindsOf are the kinds of evidence that a pattern sets.
func kindsOf(p jenner.EvidencePattern) []string {
	var set []string
	for _, kind := range []struct{ name, value string }{{"alert", p.Alert}, {"promql", p.PromQL}, {"log", p.Log},
		{"probe", p.Probe}, {"process", p.Process}, {"dependency", p.Dependency}, {"changed", p.Changed},
		{"event", p.Event}} {
		if kind.value != "" {
			set = append(set, kind.name)
		}
	}
	return set
}

func (d document) evidence(base string, p jenner.EvidencePattern, subjects []jenner.Service) {
	kinds := kindsOf(p)
	switch len(kinds) {
	case 0:
		d.problem(base, "the evidence names nothing to look for; write one of alert, promql, log, probe, process, "+
			"dependency, changed or event")
	case 1:
	default:
		d.problem(base, "the evidence looks for %s at once; write an entry for each", strings.Join(kinds, " and "))
	}
	if p.PromQL != "" {
		d.promql(base+"/promql", "the evidence", p.PromQL)
	}
	if p.Alert != "" && !slices.Contains(d.index.alerts, p.Alert) && !d.index.foreign {
		d.about(kindService, kindRunbook, kindReceiver).problem(base+"/alert", "nothing raises the alert %q%s", p.Alert, strict.Hint(p.Alert, d.index.alerts))
	}
	d.evidenceWords(base, p, subjects)
	if p.Weight < 0 {
		d.problem(base+"/weight", "weight %v is below 0; leave evidence out rather than counting it against", p.Weight)
	}
}

func (d document) evidenceWords(base string, p jenner.EvidencePattern, subjects []jenner.Service) {
	d.oneOf(base+"/process", "state of a process", p.Process, "gone", "alive")
	d.oneOf(base+"/dependency", "state of a dependency", p.Dependency, "healthy", "failing", "slow")
	d.oneOf(base+"/changed", "change", p.Changed, jenner.ChangeKinds...)
	d.oneOf(base+"/is", "state of a probe", p.Is, "failing", "passing", "slow")
	switch {
	case p.Probe != "" && p.Is == "":
		d.problem(base+"/probe", "the evidence does not say what probe %s is; add is: failing, passing or slow", p.Probe)
	case p.Probe == "" && p.Is != "":
		d.problem(base+"/is", "is: %s needs a probe beside it", p.Is)
	}
	if p.Probe != "" {
		d.probe(base+"/probe", "the evidence", p.Probe, subjects)
	}
	if p.Within != 0 && p.Changed == "" {
		d.problem(base+"/within", "within needs changed beside it")
	}
}

// selector looks up the names that a selector lists, and tells where it picks nobody.
func (d document) selector(path string, selector jenner.Selector) {
	for i, name := range selector.Names {
		d.unknown(fmt.Sprintf("%s/names/%d", path, i), "service", name, d.index.services)
	}
	unknown := func(name string) bool { return !slices.Contains(d.index.services, name) }
	if len(picked(d.docs, selector)) == 0 && len(d.docs.Services) > 0 && !slices.ContainsFunc(selector.Names, unknown) {
		d.about(kindService).warn(path, "the selector picks none of the %d services", len(d.docs.Services))
	}
}

func picked(docs *jenner.Documents, selector jenner.Selector) []jenner.Service {
	var services []jenner.Service
	for _, service := range docs.Services {
		if selector.Picks(service) {
			services = append(services, service)
		}
	}
	return services
}
