package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// brakes checks what stops a policy: its limits, its breaker, and its budgets.
func (d document) brakes(policy jenner.Policy) {
	if policy.MaxConcurrent < 0 {
		d.problem("/max_concurrent", "max_concurrent %d is below 0; leave it out where there is no limit", policy.MaxConcurrent)
	}
	if breaker := policy.CircuitBreaker; breaker != nil {
		d.atLeastOne("/circuit_breaker/failures", "failures of circuit_breaker", breaker.Failures, "leave it out for 3")
		d.longer("/circuit_breaker/window", "window of circuit_breaker", breaker.Window, "1h")
		d.longer("/circuit_breaker/open_for", "open_for of circuit_breaker", breaker.OpenFor, "15m")
	}
	if recurrence := policy.Recurrence; recurrence != nil {
		d.atLeastOne("/recurrence/times", "times of recurrence", recurrence.Times, "leave it out for 5")
		d.longer("/recurrence/window", "window of recurrence", recurrence.Window, "24h")
	}
	if policy.ErrorBudget != nil {
		d.errorBudget(*policy.ErrorBudget, picked(d.docs, policy.Services))
	}
	d.costBudget(policy)
}

// errorBudget must name an SLO of the services that the policy is for.
func (d document) errorBudget(rule jenner.BudgetRule, services []jenner.Service) {
	if d.written("/error_budget/ask_below") && rule.RecommendBelow > rule.AskBelow {
		d.problem("/error_budget/recommend_below", "recommend_below lies above ask_below, so that nobody would ever be asked; "+
			"the shyer answer needs the smaller budget")
	}
	if strings.TrimSpace(rule.SLO) == "" {
		d.problem("/error_budget/slo", "the error_budget names no SLO; write the name of one that the services have")
		return
	}
	var without, known []string
	for _, service := range services {
		has := false
		for _, slo := range service.SLOs {
			known = append(known, slo.Name)
			has = has || slo.Name == rule.SLO
		}
		if !has {
			without = append(without, service.Name)
		}
	}
	slices.Sort(known)
	d = d.about(kindService)
	switch {
	case len(without) == 0:
	case len(without) == len(services):
		d.problem("/error_budget/slo", "no service of the policy has an SLO %q%s", rule.SLO, strict.Hint(rule.SLO, slices.Compact(known)))
	default:
		d.warn("/error_budget/slo", "there is no SLO %q in %s, so a person is always asked there", rule.SLO, strings.Join(without, ", "))
	}
}

// costBudget must be one that the runbooks can keep.
func (d document) costBudget(policy jenner.Policy) {
	budget := policy.CostBudget
	if budget != nil {
		d.longer("/cost_budget/window", "window of cost_budget", budget.Window, "24h")
		if budget.Max <= 0 {
			d.problem("/cost_budget/max", "max of cost_budget is %v; it must be more than 0, or nothing that costs could ever run", budget.Max)
			return
		}
	}
	d = d.about(kindRunbook)
	for _, book := range d.docs.Runbooks {
		if !uses(policy, book) {
			continue
		}
		total, dearest := costs(book)
		switch {
		case total <= 0:
		case budget == nil:
			d.warn(usedAt(policy, book), "runbook %s costs up to %v, and the policy has no cost_budget; add cost_budget: {max: ...}",
				book.Name, total)
		case dearest.Cost > budget.Max:
			d.problem("/cost_budget/max", "step %s of runbook %s costs %v, more than the %v of the cost_budget: it could never run",
				dearest.Name, book.Name, dearest.Cost, budget.Max)
		case total > budget.Max:
			d.warn("/cost_budget/max", "the steps of runbook %s cost %v together, more than the %v of the cost_budget", book.Name,
				total, budget.Max)
		}
	}
}

// costs are what all steps of a runbook cost together, and the step that costs most.
func costs(book jenner.Runbook) (total jenner.Number, dearest jenner.Step) {
	for _, step := range book.Steps {
		total += max(0, step.Cost) // less than nothing is told elsewhere
		if step.Cost > dearest.Cost {
			dearest = step
		}
	}
	return total, dearest
}

// usedAt is where the policy names the runbook.
func usedAt(policy jenner.Policy, book jenner.Runbook) string {
	if i := slices.Index(policy.Runbooks, book.Name); i >= 0 {
		return fmt.Sprintf("/runbooks/%d", i)
	}
	return "/incident_type"
}
