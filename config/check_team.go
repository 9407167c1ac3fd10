package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
)

func (c *checker) team(team jenner.Team) {
	d := c.document(kindTeam, team.Name, team.Source)
	if team.Name == owner {
		d.problem("/name", "a team cannot be called owner: in an approval that word stands for the team that owns the service")
	}
	if len(team.Members) == 0 {
		d.problem("/members", "team %s has no members, so nobody could agree for it", team.Name)
	}
	for i, member := range team.Members {
		path := fmt.Sprintf("/members/%d", i)
		if strings.TrimSpace(member) == "" {
			d.problem(path, "member %d of team %s has an empty name", i+1, team.Name)
		} else if slices.Index(team.Members, member) < i {
			d.problem(path, "member %q stands twice in team %s", member, team.Name)
		}
	}
	owns := func(s jenner.Service) bool { return s.Owner == team.Name }
	agrees := func(p jenner.Policy) bool { return p.Approval != nil && slices.Contains(p.Approval.By, team.Name) }
	if !slices.ContainsFunc(c.docs.Services, owns) && !slices.ContainsFunc(c.docs.Policies, agrees) {
		d.about(kindService, kindPolicy).warn("/name", "no service is owned by team %s and no approval names it", team.Name)
	}
}

// limits checks the one document of limits, where there is one.
func (c *checker) limits(limits jenner.Limits) {
	if _, written := c.loaded.places[place{kindLimits, ""}]; !written {
		return
	}
	d := c.document(kindLimits, "", limits.Source)
	d.atLeastOne("/max_targets_at_once", "max_targets_at_once", limits.MaxTargetsAtOnce,
		fmt.Sprintf("leave it out for %d", jenner.DefaultMaxTargetsAtOnce))
	d.atLeastOne("/max_targets_of_service", "max_targets_of_service", limits.MaxTargetsOfService,
		fmt.Sprintf("leave it out for %d", jenner.DefaultMaxTargetsOfService))
	if limits.MaxTargetsOfService > 0 && limits.MaxTargetsOfService > limits.AtOnce() {
		d.problem("/max_targets_of_service", "%d targets of one service are more than the %d that may be taken in all services "+
			"together; raise max_targets_at_once, or lower this", limits.MaxTargetsOfService, limits.AtOnce())
	}
}
