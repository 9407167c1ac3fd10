package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) policy(policy jenner.Policy) {
	d := c.document(kindPolicy, policy.Name, policy.Source)
	if strings.TrimSpace(string(policy.IncidentType)) == "" {
		d.problem("/incident_type", "policy %s names no incident type", policy.Name)
	} else if cause := string(policy.IncidentType); !slices.Contains(c.index.causes, cause) {
		d.about(kindSignature, kindRunbook).problem("/incident_type", "no signature and no runbook's trigger gives the cause %q%s", cause,
			strict.Hint(cause, c.index.causes))
	}
	d.policyRunbooks(policy)
	d.modes(policy)
	d.automation(policy)
	d.promotion(policy)
	d.approval(policy)
	d.brakes(policy)
	d.selector("/services", policy.Services)
	if policy.MaxAttempts < 0 {
		d.problem("/max_attempts", "max_attempts %d is below 0", policy.MaxAttempts)
	}
	if policy.StableFor > 0 && policy.VerificationWindow > 0 && policy.StableFor > policy.VerificationWindow {
		d.problem("/stable_for", "checks cannot be stable for %s within a verification window of %s",
			policy.StableFor, policy.VerificationWindow)
	}
	for _, key := range slices.Sorted(maps.Keys(policy.BlastRadius)) {
		if unit, ok := strings.CutPrefix(key, "max_"); !ok || unit == "" {
			d.problem(strict.Join("/blast_radius", key), "blast radius %q must be max_ and a unit, such as max_targets", key)
		}
	}
	d.detectionSignal(policy)
	if channel := policy.EscalationChannel; channel != "" && !slices.Contains(c.index.channels, channel) {
		d.naming(kindChannel).warn("/escalation_channel", "there is no channel %q, so pages go to the terminal and to a file%s", channel,
			strict.Hint(channel, c.index.channels))
	}
}

func (d document) policyRunbooks(policy jenner.Policy) {
	for i, name := range policy.Runbooks {
		path := fmt.Sprintf("/runbooks/%d", i)
		d.unknown(path, "runbook", name, d.index.runbooks)
		if slices.Index(policy.Runbooks, name) < i {
			d.problem(path, "runbook %q stands twice", name)
		}
	}
	if book, known := d.docs.Runbook(string(policy.IncidentType)); len(policy.Runbooks) == 0 &&
		!(known && book.Trigger != nil) {
		d.about(kindRunbook).warn("/runbooks", "policy %s has no runbooks, so it only tells people", policy.Name)
	}
}

// detectionSignal must be an event, an alert or a probe that can be among the evidence.
func (d document) detectionSignal(policy jenner.Policy) {
	if policy.DetectionSignal == "" {
		return
	}
	known := slices.Concat(d.index.alerts, d.index.probes, d.index.events)
	if !slices.Contains(known, policy.DetectionSignal) && !d.index.foreign {
		d.about(kindService, kindRunbook, kindSignature, kindReceiver).problem("/detection_signal", "detection_signal %q names no alert, no probe and no event of a signature%s",
			policy.DetectionSignal, strict.Hint(policy.DetectionSignal, known))
	}
}
