package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// modes checks how far a policy may go by itself.
func (d document) modes(policy jenner.Policy) {
	d.oneOf("/mode", "mode", string(policy.Mode), spelled(jenner.Modes)...)
	for _, environment := range slices.Sorted(maps.Keys(policy.Modes)) {
		path, mode := strict.Join("/modes", environment), policy.Modes[environment]
		d.oneOf(path, "mode", string(mode), spelled(jenner.Modes)...)
		if mode == "" {
			d.problem(path, "the mode for %s is empty; write one of %s", environment, strings.Join(spelled(jenner.Modes), ", "))
		}
		if !slices.Contains(d.index.environments, environment) {
			d.about(kindService).warn(path, "no service has the environment %q, so its mode never holds%s", environment,
				strict.Hint(environment, d.index.environments))
		}
	}
	if policy.AutoExecute == nil || policy.Mode == "" {
		return
	}
	if *policy.AutoExecute != (policy.Mode == jenner.ModeAuto) {
		d.problem("/auto_execute", "auto_execute: %v contradicts mode: %s; leave one of them out", *policy.AutoExecute, policy.Mode)
	}
}

func spelled[T ~string](words []T) []string {
	list := make([]string, 0, len(words))
	for _, word := range words {
		list = append(list, string(word))
	}
	return list
}

// ceiling is a mode that a policy allows, and where that is written.
type ceiling struct {
	path, where string
	mode        jenner.Mode
}

// ceilings are the modes that a policy allows: those of environments, and the one for the services in none of them. A
// word that is no mode is told elsewhere.
func (d document) ceilings(policy jenner.Policy) []ceiling {
	var all []ceiling
	elsewhere := func(s jenner.Service) bool { _, said := policy.Modes[s.Environment]; return !said }
	if len(policy.Modes) == 0 || slices.ContainsFunc(picked(d.docs, policy.Services), elsewhere) {
		path := "/mode"
		if policy.Mode == "" {
			path = "/auto_execute"
		}
		all = append(all, ceiling{path, "", policy.EffectiveMode()})
	}
	for _, environment := range slices.Sorted(maps.Keys(policy.Modes)) {
		all = append(all, ceiling{strict.Join("/modes", environment), " in " + environment, policy.Modes[environment]})
	}
	return slices.DeleteFunc(all, func(c ceiling) bool { return !slices.Contains(jenner.Modes, c.mode) })
}

// automation checks whether a machine may do it at all.
func (d document) automation(policy jenner.Policy) {
	d.oneOf("/automation", "automation", string(policy.Automation), spelled(automations)...)
	for _, c := range d.ceilings(policy) {
		if c.mode != jenner.ModeAuto {
			continue
		}
		if policy.IncidentType.NeverAutomatic() {
			d.warn(c.path, "%s is never healed automatically, whatever is written here; write mode: recommend", policy.IncidentType)
		}
		if policy.Automation == jenner.AutomationNever {
			d.warn(c.path, "the mode is auto and automation: never forbids it; write mode: recommend, or leave automation out")
		}
	}
}

// promotion checks what it takes to rise.
func (d document) promotion(policy jenner.Policy) {
	p := policy.Promotion
	if p == nil {
		return
	}
	d.oneOf("/promotion/start", "mode", string(p.Start), spelled(jenner.Modes)...)
	d.start(policy)
	d.atLeastOne("/promotion/decisions", "decisions of promotion", p.Decisions, "leave it out for 20")
	if d.written("/promotion/success") && (p.Success <= 0 || p.Success >= 1) {
		d.problem("/promotion/success", "success of promotion must lie between 0%% and 100%%, both excluded: no number of right "+
			"decisions reaches 100%%; write 80%%")
	}
	switch {
	case p.Proven < 0:
		d.problem("/promotion/proven", "proven of promotion is %d; it must be at least 0", p.Proven)
	case p.Proven == 0 && d.written("/promotion/proven"):
		d.warn("/promotion/proven", "proven: 0 counts as not said, which means 3; auto always needs a drill that proved it")
	}
	d.longer("/promotion/proof_age", "proof_age of promotion", p.ProofAge, "30d")
}

// start must be a rung that the files allow, and one from which there is something to rise to.
func (d document) start(policy jenner.Policy) {
	ceilings, start := d.ceilings(policy), policy.Promotion.Start
	if start != "" && !slices.Contains(jenner.Modes, start) {
		return
	}
	d = d.about(kindService) // whether the mode of other environments holds for anybody
	rises := false
	for _, c := range ceilings {
		rises = rises || c.mode.Boldness() != start.Boldness() // a lower one is a mistake of its own
		if start.Boldness() > c.mode.Boldness() {
			d.problem("/promotion/start", "promotion starts at %s, which is bolder than the mode %s that is allowed%s; start at %s, "+
				"or raise the mode", start, c.mode, c.where, c.mode)
		}
	}
	if len(ceilings) > 0 && !rises {
		d.warn("/promotion", "the policy can never rise: it starts at %s, and its mode allows no more; write mode: auto",
			jenner.Modes[start.Boldness()])
	}
}

// atLeastOne refuses a count below 1 that was written.
func (d document) atLeastOne(path, what string, count int, otherwise string) {
	if count < 0 || count == 0 && d.written(path) {
		d.problem(path, "%s is %d; it must be at least 1, or %s", what, count, otherwise)
	}
}

// longer refuses a duration of 0 that was written.
func (d document) longer(path, what string, length jenner.Duration, usual string) {
	if length <= 0 && d.written(path) {
		d.problem(path, "%s is 0; it must be longer, such as %s, which holds where it is not said", what, usual)
	}
}

// approval checks who may agree.
func (d document) approval(policy jenner.Policy) {
	approval := policy.Approval
	if approval == nil {
		return
	}
	d.atLeastOne("/approval/count", "count of approval", approval.Count, "leave it out for 1")
	d.longer("/approval/expires", "expires of approval", approval.Expires, "30m")
	for i, name := range approval.By {
		path := fmt.Sprintf("/approval/by/%d", i)
		if strings.TrimSpace(name) == "" {
			d.problem(path, "by of approval names nobody; write a person, a team, or owner")
		} else if slices.Index(approval.By, name) < i {
			d.problem(path, "%q stands twice in by of approval", name)
		}
		d.approver(path, name)
	}
	d.enough(policy, *approval)
	if slices.Contains(approval.By, owner) {
		d.owners(fmt.Sprintf("/approval/by/%d", slices.Index(approval.By, owner)), picked(d.docs, policy.Services))
	}
}

// owner is the word in an approval that stands for the team that owns the service.
const owner = "owner"

// approver tells of a name that looks like a team's. Persons are not in the files, so no name can be refused.
func (d document) approver(path, name string) {
	known := append([]string{owner}, d.index.teams...)
	if slices.Contains(known, name) || slices.Contains(d.index.members, name) {
		return
	}
	if near := strict.Nearest(name, known); near != "" {
		d.about(kindTeam).warn(path, "no team is called %q, so it is read as a person; did you mean %q?", name, near)
	}
}

// owners must be said where they are to agree, and should be teams.
func (d document) owners(path string, services []jenner.Service) {
	d = d.about(kindService)
	var without []string
	for _, service := range services {
		switch {
		case service.Owner == "":
			without = append(without, service.Name)
		case !slices.Contains(d.index.teams, service.Owner):
			d.naming(kindTeam).warn(path, "the owner %q of service %s is no team in the files, so only a person of that name may agree%s",
				service.Owner, service.Name, strict.Hint(service.Owner, d.index.teams))
		}
	}
	if len(without) > 0 {
		d.problem(path, "the owner is to agree, and nobody owns %s; write owner: there, or name persons here", strings.Join(without, ", "))
	}
}

// enough refuses a count that there are not enough people for. Where nobody is named anybody may agree.
func (d document) enough(policy jenner.Policy, approval jenner.Approval) {
	if len(approval.By) == 0 {
		return
	}
	for _, service := range picked(d.docs, policy.Services) {
		if service.Owner == "" && slices.Contains(approval.By, owner) {
			continue // told already
		}
		if people := d.docs.Approvers(approval, service); len(people) < approval.Count {
			d.about(kindService, kindTeam).problem("/approval/count", "%d different persons must agree for service %s, and only %d may: %s",
				approval.Count, service.Name, len(people), strings.Join(people, ", "))
			return // it is the same for the others, or mended by the same line
		}
	}
}
