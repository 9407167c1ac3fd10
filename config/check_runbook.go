package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/runbook"
)

func (c *checker) runbook(book jenner.Runbook) {
	d := c.document(kindRunbook, book.Name, book.Source)
	named := book.Trigger != nil && slices.Contains(c.index.alerts, book.Trigger.Alert)
	for _, p := range runbook.Check(book) {
		if p.Path == "/trigger/alert" && named {
			continue // the name of an alert need not be PromQL
		}
		if p.Path == "/trigger/alert" {
			d.about(kindService, kindRunbook).problem(p.Path, "%s", p.Message) // one of them may raise it
			continue
		}
		d.problem(p.Path, "%s", p.Message)
	}
	if book.Trigger != nil && !named {
		if near := strict.Nearest(book.Trigger.Alert, c.index.alerts); near != "" && near != book.Name {
			d.about(kindService, kindRunbook).warn("/trigger/alert", "no alert is called %q, so it is read as PromQL; did you mean %q?", book.Trigger.Alert, near)
		}
	}
	subjects := c.subjects(book)
	for i, step := range book.Steps {
		d.step(fmt.Sprintf("/steps/%d", i), step, book, i, subjects)
	}
	d.through(book, subjects)
	if book.RevertWhen != "" {
		if condition, err := runbook.Compile(book.RevertWhen, runbook.StepNames(book)); err == nil {
			d.probesOf("/revert_when", condition, subjects)
		}
	}
	if !slices.ContainsFunc(c.docs.Policies, func(p jenner.Policy) bool { return uses(p, book) }) {
		switch {
		case book.Trigger != nil:
			d.about(kindPolicy).warn("/name", "no policy uses runbook %s; its trigger can only recommend it", book.Name)
		case d.object(): // objects come one by one, and this one does no harm
			d.warn("/name", "no policy uses runbook %s, so it never runs", book.Name)
		default:
			d.about(kindPolicy).problem("/name", "no policy uses runbook %s, so it never runs; name it in a policy, or give it a trigger", book.Name)
		}
	}
}

// uses tells whether the policy leads to the runbook.
func uses(policy jenner.Policy, book jenner.Runbook) bool {
	return slices.Contains(policy.Runbooks, book.Name) ||
		book.Trigger != nil && string(policy.IncidentType) == book.Name
}

// subjects are the services that the runbook may run for: those that its policies pick, or all where it has none.
func (c *checker) subjects(book jenner.Runbook) []jenner.Service {
	var policies []jenner.Policy
	for _, policy := range c.docs.Policies {
		if uses(policy, book) {
			policies = append(policies, policy)
		}
	}
	var services []jenner.Service
	for _, service := range c.docs.Services {
		if len(policies) == 0 || slices.ContainsFunc(policies, func(p jenner.Policy) bool { return p.Services.Picks(service) }) {
			services = append(services, service)
		}
	}
	return services
}

func (d document) step(base string, step jenner.Step, book jenner.Runbook, i int, subjects []jenner.Service) {
	what := "step " + step.Name
	if step.Action != "" {
		d.action(base, what, step.Action, step.Target, step.Params, subjects)
	}
	if step.Undo != nil && step.Undo.Action != "" {
		target := step.Undo.Target
		if target == "" {
			target = step.Target // an undo acts where its step did
		}
		d.action(base+"/undo", "the undo of "+what, step.Undo.Action, target, step.Undo.Params, subjects)
	}
	if step.Condition != "" {
		if condition, err := runbook.Compile(step.Condition, runbook.StepNames(book)[:i]); err == nil {
			d.probesOf(base+"/condition", condition, subjects)
		}
	}
}

// action finds the action for every kind of target that the step may meet; one of them must know it.
func (d document) action(base, what, action, target string, params jenner.Params, subjects []jenner.Service) {
	d.knownParams(base+"/params", what, verbOf(action), params, subjects)
	kinds, known := d.kinds(target, subjects)
	if !known {
		d.about(kindService, kindPolicy).problem(base+"/target", "%s names an unknown target %q%s", what, target,
			strict.Hint(target, append(slices.Clone(d.index.targets), d.index.services...)))
		return
	}
	if d.names == nil {
		return
	}
	if d.object() && target == "" && len(kinds) == 1 && kinds[0] == "" {
		d.anywhere(base, what, action)
		return
	}
	var failed error
	found := false
	for _, kind := range kinds {
		_, problems, err := d.names.Action(action, kind, params)
		if err != nil {
			failed = err
			continue
		}
		found = true
		for _, p := range problems {
			d.problem(base+"/params"+p.Path, "%s: %s", what, p.Message)
		}
	}
	if !found {
		d.about(kindService, kindPolicy).problem(base+"/action", "%s: %v", what, failed)
	}
}

// anywhere checks an action of an object for which there is no service with a target yet: it may come later.
func (d document) anywhere(base, what, action string) {
	if _, _, err := d.names.Action(action, "*", nil); err != nil {
		d.problem(base+"/action", "%s: %v", what, err)
	}
}

// verbOf is an action's name without its provider.
func verbOf(action string) string { return action[strings.LastIndexByte(action, '.')+1:] }

// kinds are the kinds of targets that a step may act on, "" where there is no target; false for an unknown target.
func (d document) kinds(target string, subjects []jenner.Service) (kinds []string, known bool) {
	add := func(kind string) {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if target != "" {
		if len(subjects) == 0 {
			subjects = []jenner.Service{{}}
		}
		for _, service := range subjects {
			if _, found, err := d.docs.Target(target, service); err == nil {
				add(found.Kind)
			}
		}
		return kinds, len(kinds) > 0
	}
	for _, service := range subjects {
		for _, one := range service.Targets {
			add(one.Kind)
		}
	}
	if len(kinds) == 0 {
		add("")
	}
	return kinds, true
}

// knownParams checks what only the documents know of a step's parameters: probes, and PromQL.
func (d document) knownParams(base, what, verb string, params jenner.Params, subjects []jenner.Service) {
	text := func(name string) string {
		var value string
		if json.Unmarshal(params[name], &value) != nil {
			return "" // the action's own parameters say what it must be
		}
		return value
	}
	switch verb {
	case "wait_for_probe":
		if probe := text("probe"); probe != "" {
			d.probeOfAll(base+"/probe", what, probe, subjects)
		}
	case "wait_for_metric", "query_metrics":
		if metric := text("metric"); metric != "" {
			d.promql(base+"/metric", what, metric)
		}
	}
}
