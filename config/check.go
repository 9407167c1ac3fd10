package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/runbook"
)

// Check finds every mistake of meaning: unknown names, parameters that their owners refuse, PromQL and CEL that cannot
// be read, circles of dependencies, and documents that nothing leads to. Nil: there is none.
func (l *Loaded) Check(names Names) Problems {
	c := l.check(names)
	return sorted(c.problems)
}

// Warnings are what is allowed and yet looks like a mistake. Nil: there is none.
func (l *Loaded) Warnings() Problems {
	c := l.check(nil)
	return sorted(c.warnings)
}

func (l *Loaded) check(names Names) *checker {
	c := &checker{loaded: l, docs: l.Documents, names: names, index: indexOf(l.Documents, names)}
	for _, service := range c.docs.Services {
		c.service(service)
	}
	c.cycles()
	for _, signature := range c.docs.Signatures {
		c.signature(signature)
	}
	for _, book := range c.docs.Runbooks {
		c.runbook(book)
	}
	for _, policy := range c.docs.Policies {
		c.policy(policy)
	}
	for _, experiment := range c.docs.Experiments {
		c.experiment(experiment)
	}
	for _, gameday := range c.docs.Gamedays {
		c.gameday(gameday)
	}
	for _, channel := range c.docs.Channels {
		c.channel(channel)
	}
	for _, team := range c.docs.Teams {
		c.team(team)
	}
	for _, calendar := range c.docs.Calendars {
		c.calendar(calendar)
	}
	for _, mapping := range c.docs.Mappings {
		c.mapping(mapping)
	}
	for _, receiver := range c.docs.Receivers {
		c.receiver(receiver)
	}
	for _, server := range c.docs.Prometheus {
		c.prometheus(server)
	}
	for _, catalogue := range c.docs.Catalogues {
		c.catalogue(catalogue)
	}
	c.limits(c.docs.Limits)
	return c
}

// checker is one call of Check or Warnings. Without names, what only the providers know is not looked at.
type checker struct {
	loaded             *Loaded
	docs               *jenner.Documents
	names              Names
	index              index
	problems, warnings Problems
}

// document is one document under examination.
type document struct {
	*checker
	at     positions
	silent bool // nothing is told, because it may only follow from a mistake of form
}

// document is the one of a kind that stands at source. One that could not be read as a whole is not examined.
func (c *checker) document(kind, name string, source jenner.Source) document {
	at := c.loaded.places[place{kind, name}]
	return document{checker: c, at: at, silent: at.source != source}
}

// object tells whether the document is no part of a file.
func (d document) object() bool { return d.at.source.File != "" && d.at.source.Line == 0 }

// written tells whether there is something at a JSON pointer, even a zero.
func (d document) written(path string) bool {
	_, written := d.at.lines[path]
	return written
}

func (d document) where(path, format string, args []any) Problem {
	problem := Problem{File: d.at.file, Line: d.at.lines.Line(path), Message: fmt.Sprintf(format, args...)}
	if problem.Line == 0 {
		problem.Path = specPath(path)
	}
	return problem
}

// problem and warn name what stands at a JSON pointer.
func (d document) problem(path, format string, args ...any) {
	if !d.silent {
		d.checker.problems = append(d.checker.problems, d.where(path, format, args))
	}
}

func (d document) warn(path, format string, args ...any) {
	if !d.silent {
		d.checker.warnings = append(d.checker.warnings, d.where(path, format, args))
	}
}

// params tells what an owner found in parameters that stand at base.
func (d document) params(base, what string, problems []strict.Problem, err error) {
	if err != nil {
		d.problem(base, "%s: %v", what, err)
	}
	for _, p := range problems {
		d.problem(base+p.Path, "%s: %s", what, p.Message)
	}
}

// promql refuses what PromQL cannot read.
func (d document) promql(path, what, expr string) {
	if strings.TrimSpace(expr) == "" {
		d.problem(path, "%s has no PromQL", what)
		return
	}
	if _, err := parser.NewParser(parser.Options{}).ParseExpr(expr); err != nil {
		d.problem(path, "the PromQL of %s cannot be read: %s", what, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

// condition refuses what CEL cannot read, and probes that are not there.
func (d document) condition(path, expr string, steps []string, subjects []jenner.Service) {
	condition, err := runbook.Compile(expr, steps)
	if err != nil {
		d.problem(path, "%v", err)
		return
	}
	d.probesOf(path, condition, subjects)
	for _, promql := range condition.Metrics() {
		d.promql(path, fmt.Sprintf("condition %#q", condition), promql)
	}
}

// probesOf looks up the probes that a condition names.
func (d document) probesOf(path string, condition *runbook.Condition, subjects []jenner.Service) {
	for _, probe := range condition.Probes() {
		written := probe.Name
		if probe.Service != "" {
			written = probe.Service + "/" + probe.Name
		}
		d.probeOfAll(path, fmt.Sprintf("condition %#q", condition), written, subjects)
	}
}

// probe looks up NAME, of at least one of the subjects, or SERVICE/NAME. What lives has the probe alive.
func (d document) probe(path, what, written string, subjects []jenner.Service) {
	d = d.about(kindService, kindPolicy) // policies say who the subjects are
	if service, name, both := strings.Cut(written, "/"); both {
		owner, known := d.docs.Service(service)
		if !known {
			d.problem(path, "%s names the probe %s of an unknown service%s", what, written,
				strict.Hint(service, d.index.services))
		} else if !d.hasProbe(owner, name) {
			d.problem(path, "%s names a probe that service %s does not have: %s%s", what, service, name,
				strict.Hint(name, probeNames([]jenner.Service{owner})))
		}
		return
	}
	if !slices.ContainsFunc(subjects, func(s jenner.Service) bool { return d.hasProbe(s, written) }) {
		d.problem(path, "%s names an unknown probe %q%s", what, written, strict.Hint(written, probeNames(subjects)))
	}
}

// probeOfAll looks up a probe that every subject should have, for a step asks for it whichever of them is ill.
func (d document) probeOfAll(path, what, written string, subjects []jenner.Service) {
	d = d.about(kindService, kindPolicy)
	d.probe(path, what, written, subjects)
	var without []string
	for _, service := range subjects {
		if !strings.Contains(written, "/") && !d.hasProbe(service, written) {
			without = append(without, service.Name)
		}
	}
	if len(without) > 0 && len(without) < len(subjects) {
		d.warn(path, "%s names the probe %q, which is unknown for %s", what, written, strings.Join(without, ", "))
	}
}

func (d document) hasProbe(service jenner.Service, name string) bool {
	_, written := service.ProbeNamed(name)
	return written || name == jenner.AliveProbe && lives(d.names, service)
}

// lives tells whether a target of the service has the probe alive, which nobody writes. Without names any may have it.
func lives(names Names, service jenner.Service) bool {
	return slices.ContainsFunc(service.Targets, func(target jenner.Target) bool { return names == nil || names.Alive(target.Kind) })
}

func probeNames(services []jenner.Service) []string {
	var names []string
	for _, service := range services {
		for _, probe := range service.Probes {
			if !slices.Contains(names, probe.Name) {
				names = append(names, probe.Name)
			}
		}
	}
	return names
}

// oneOf refuses a word that is not among the known ones. An empty word is one that was not written.
func (d document) oneOf(path, what, word string, known ...string) {
	if word != "" && !slices.Contains(known, word) {
		d.problem(path, "unknown %s %q%s", what, word, strict.Hint(word, known))
	}
}

// unknown refuses a name of a document that is not there; what is its kind, or something else that has names.
func (d document) unknown(path, what, name string, known []string) {
	if !slices.Contains(known, name) {
		d.naming(what).problem(path, "unknown %s %q%s", what, name, strict.Hint(name, known))
	}
}

// twice refuses names that stand twice in a list at base.
func (d document) twice(base, what string, names []string) {
	for i, name := range names {
		path := fmt.Sprintf("%s/%d/name", base, i)
		if strings.TrimSpace(name) == "" {
			d.problem(path, "%s %d has an empty name", what, i+1)
		} else if slices.Index(names, name) < i {
			d.problem(path, "there are two %ss called %q", what, name)
		}
	}
}

// channel checks one channel.
func (c *checker) channel(channel jenner.Channel) {
	d := c.document(kindChannel, channel.Name, channel.Source)
	if c.names != nil {
		problems, err := c.names.Notifier(channel.Kind, channel.Params)
		d.params(strict.Join("", channel.Kind), "channel "+channel.Name, problems, err)
	}
}
