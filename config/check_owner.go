package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/runbook"
)

// through checks the controllers that the steps of a runbook act through, and tells where one is missing.
func (d document) through(book jenner.Runbook, subjects []jenner.Service) {
	for i, step := range book.Steps {
		base := fmt.Sprintf("/steps/%d", i)
		if step.Cost < 0 {
			d.problem(base+"/cost", "the cost %v of step %s is below 0", step.Cost, step.Name)
		}
		targets := d.targetsOf(step, subjects)
		if step.Through == "" {
			d.unowned(base, step, book)
			continue
		}
		manages := func(t owned) bool { return t.target.ManagedBy == step.Through }
		switch {
		case !slices.Contains(d.index.controllers, step.Through):
			d.about(kindService).problem(base+"/through", "no target is managed_by %q%s", step.Through,
				strict.Hint(step.Through, d.index.controllers))
		case len(targets) > 0 && !slices.ContainsFunc(targets, manages):
			d.about(kindService, kindPolicy).warn(base+"/through", "step %s acts through %s, which manages none of its targets: %s",
				step.Name, step.Through, strings.Join(called(targets), ", "))
		}
	}
}

// owned is a target with its service.
type owned struct {
	service jenner.Service
	target  jenner.Target
}

func called(targets []owned) []string {
	var list []string
	for _, one := range targets {
		list = append(list, one.service.Name+"/"+one.target.Name)
	}
	return list
}

// targetsOf are the targets that a step may act on: the one it names, or whichever of the subjects is diagnosed.
func (d document) targetsOf(step jenner.Step, subjects []jenner.Service) []owned {
	var targets []owned
	for _, service := range subjects {
		if step.Target == "" {
			for _, target := range service.Targets {
				targets = append(targets, owned{service, target})
			}
			continue
		}
		at, target, err := d.docs.Target(step.Target, service)
		known := func(o owned) bool { return o.service.Name == at.Name && o.target.Name == target.Name }
		if err == nil && !slices.ContainsFunc(targets, known) {
			targets = append(targets, owned{at, target})
		}
	}
	return targets
}

// unowned tells of a step that a policy would do by itself, and that changes what a controller would change back. What
// only looks, waits or tells changes nothing.
func (d document) unowned(base string, step jenner.Step, book jenner.Runbook) {
	verb := verbOf(step.Action)
	for _, harmless := range []string{"wait_", "query_", "page_"} {
		if strings.HasPrefix(verb, harmless) {
			return
		}
	}
	for _, policy := range d.docs.Policies {
		if !uses(policy, book) {
			continue
		}
		var subjects []jenner.Service
		for _, service := range picked(d.docs, policy.Services) {
			// Where several policies are for a cause, a more specific one may decide for this service.
			decides, _, _ := runbook.Choose(d.docs.Policies, jenner.RankedCause{Cause: policy.IncidentType}, service, nil)
			if decides.Name == policy.Name && policy.ModeFor(service.Environment) == jenner.ModeAuto {
				subjects = append(subjects, service)
			}
		}
		for _, one := range d.targetsOf(step, subjects) {
			if controller := one.target.ManagedBy; controller != "" {
				d.about(kindService, kindPolicy).warn(base+"/action", "policy %s would do step %s by itself on %s/%s, which %s manages and "+
					"would change back, so it will be refused; act through it and add through: %s", policy.Name, step.Name,
					one.service.Name, one.target.Name, controller, controller)
				return
			}
		}
	}
}
