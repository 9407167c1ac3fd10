package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// world answers questions about services from alerts and probe states.
type world struct{ in Input }

// firing are the alerts of a service that fire, the one that began first in front.
func (w world) firing(service string) []jenner.Alert {
	var alerts []jenner.Alert
	for _, alert := range w.in.Firing(service) {
		if alert.Status == jenner.Firing {
			alerts = append(alerts, alert)
		}
	}
	slices.SortStableFunc(alerts, func(a, b jenner.Alert) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return alerts
}

// sick tells whether something is wrong with a service itself: an alert of it fires, or a probe that may raise alerts
// fails. A probe that is there for evidence only does not make its service sick.
func (w world) sick(service string) bool {
	return len(w.firing(service)) > 0 || len(w.failing(service)) > 0
}

// failing are the states of probes that may raise alerts and fail.
func (w world) failing(service string) []jenner.ProbeState {
	var states []jenner.ProbeState
	for _, state := range w.judging(service) {
		if w.status(state) == jenner.ProbeFailing {
			states = append(states, state)
		}
	}
	return states
}

// judging are the states of the probes that may raise alerts, the alive checks among them.
func (w world) judging(service string) []jenner.ProbeState {
	var states []jenner.ProbeState
	for _, state := range w.in.Telemetry.Probes(service) {
		written, known := w.in.Services[service].ProbeNamed(state.Name)
		if !known || written.Alert == nil || *written.Alert {
			states = append(states, state)
		}
	}
	return states
}

// status is a probe's status as far as it can be believed: what was not asked lately is unknown.
func (w world) status(state jenner.ProbeState) jenner.ProbeStatus {
	if !state.Fresh(w.in.Now) {
		return jenner.ProbeUnknown
	}
	return state.Status
}

// condition sums up a service: failing where an alert fires or any probe fails, unknown where there is no probe or one
// has no fresh answer, slow where one is slow, and passing where all pass.
func (w world) condition(service string) jenner.ProbeStatus {
	if len(w.firing(service)) > 0 {
		if w.onlySlow(service) {
			return jenner.ProbeSlow
		}
		return jenner.ProbeFailing
	}
	return w.probed(service)
}

// onlySlow tells a service that answers, but late, from one that fails: every alert of it comes from a slow probe.
func (w world) onlySlow(service string) bool {
	if w.probed(service) != jenner.ProbeSlow {
		return false
	}
	for _, alert := range w.firing(service) {
		state, known := w.in.Telemetry.Probe(service, alert.Labels["probe"])
		if alert.Kind != jenner.AlertProbe || !known || w.status(state) != jenner.ProbeSlow {
			return false
		}
	}
	return true
}

func (w world) probed(service string) jenner.ProbeStatus {
	states := w.in.Telemetry.Probes(service)
	if len(states) == 0 {
		return jenner.ProbeUnknown
	}
	has := map[jenner.ProbeStatus]bool{}
	for _, state := range states {
		has[w.status(state)] = true
	}
	for _, status := range []jenner.ProbeStatus{jenner.ProbeFailing, jenner.ProbeUnknown, jenner.ProbeSlow} {
		if has[status] {
			return status
		}
	}
	if len(has) == 1 && has[jenner.ProbePassing] {
		return jenner.ProbePassing
	}
	return jenner.ProbeUnknown // a status that nobody knows
}

// gone tells whether a process of the service does not live. That is no mere symptom: no dependency can explain it away.
func (w world) gone(service string) bool {
	for _, state := range w.alive(service) {
		if w.status(state) == jenner.ProbeFailing {
			return true
		}
	}
	return false
}

// alive are the states of the alive checks, one for each process target.
func (w world) alive(service string) []jenner.ProbeState {
	var states []jenner.ProbeState
	for _, state := range w.in.Telemetry.Probes(service) {
		if state.Name == jenner.AliveProbe || strings.HasPrefix(state.Name, jenner.AliveProbe+":") {
			states = append(states, state)
		}
	}
	if one, known := w.in.Telemetry.Probe(service, jenner.AliveProbe); known && len(states) == 0 {
		states = append(states, one)
	}
	slices.SortStableFunc(states, func(a, b jenner.ProbeState) int { return cmp.Compare(a.Target.String(), b.Target.String()) })
	return states
}

// unsure says why it is too early to name the root: below it stands a service that nobody looked at since the trouble
// began, or whose last answer was bad although it does not count as failing yet. Empty: it is not too early.
func (w world) unsure(root string) string {
	if w.gone(root) {
		return ""
	}
	began := w.began(root)
	for _, name := range Dependencies(w.in.Services, root) {
		if w.in.Services[name].External {
			continue
		}
		states := w.judging(name)
		if len(states) == 0 {
			return fmt.Sprintf("%s must be looked at first, and it has no probe; %s may only suffer from it", name, root)
		}
		for _, state := range states {
			if why := w.mustLookAgain(state, began); why != "" {
				return fmt.Sprintf("%s must be looked at first: %s; %s may only suffer from it", name, why, root)
			}
		}
	}
	return ""
}

func (w world) mustLookAgain(state jenner.ProbeState, began time.Time) string {
	switch {
	case state.At.IsZero():
		return fmt.Sprintf("probe %s was never answered", state.Name)
	case !state.At.After(began):
		return fmt.Sprintf("probe %s was not answered since the trouble began", state.Name)
	case !state.Fresh(w.in.Now):
		return fmt.Sprintf("probe %s was last answered %s ago", state.Name, ago(w.in.Now, state.At))
	case !state.LastOK && state.Streak >= 1 && state.Status != jenner.ProbeFailing:
		return fmt.Sprintf("the last %d answers of probe %s were bad, which is not enough to call it failing", state.Streak, state.Name)
	case state.Status != jenner.ProbePassing && state.Status != jenner.ProbeSlow && state.Status != jenner.ProbeFailing:
		return fmt.Sprintf("probe %s is %s", state.Name, state.Status)
	}
	return ""
}

// began is when the root's trouble began: its earliest alert, or where none fires, its probe that fails for longest;
// else the earliest alert of the incident's service. Zero where nothing fires at all.
func (w world) began(root string) time.Time {
	if alerts := w.firing(root); len(alerts) > 0 {
		return alerts[0].StartsAt
	}
	began := time.Time{}
	for _, state := range w.failing(root) {
		if began.IsZero() || state.Since.Before(began) {
			began = state.Since
		}
	}
	if alerts := w.firing(w.in.Service); began.IsZero() && len(alerts) > 0 {
		return alerts[0].StartsAt
	}
	return began
}

func ago(now, then time.Time) string {
	return jenner.Duration(now.Sub(then).Round(time.Millisecond)).String()
}
