package learn

import (
	"time"

	"github.com/jenner-heal/jenner"
)

// FromIncident is how an incident ended, in the final phase given, at the time given.
//
// Durations: ToDetect runs from the first firing of one of its alerts to OpenedAt; ToAct from OpenedAt to the first
// intent, zero where nothing was done; ToRecover from OpenedAt to the first moment of confirmed health, and to now
// where the incident resolved without one (its alerts went away by themselves), zero where it did not resolve. None is
// negative.
//
// Success means that something was done and the incident is resolved. Undone means that a run was taken back because it
// did not help; taking back a mitigation after it did its work is part of its success.
func FromIncident(incident jenner.Incident, phase jenner.Phase, now time.Time) jenner.Outcome {
	outcome := jenner.Outcome{
		Incident: incident.ID, Service: incident.Service, Policy: incident.Policy.Name, Phase: phase, At: now,
		Acted:    !incident.ActedAt.IsZero(),
		ToDetect: between(firstFiring(incident), incident.OpenedAt),
		ToAct:    between(incident.OpenedAt, incident.ActedAt),
	}
	outcome.Success = outcome.Acted && phase == jenner.PhaseResolved
	if best, known := incident.Diagnosis.Best(); known {
		outcome.Cause, outcome.Signature = best.Cause, best.Signature
		outcome.Confidence, outcome.Target = float64(best.Confidence), best.Target
	}
	if run := incident.Run(); run != nil {
		outcome.Runbook, outcome.Target = run.Runbook.Name, run.Target
	}
	for _, run := range incident.Runs {
		reverted := run.Runbook.RevertWhen != "" && phase == jenner.PhaseResolved
		outcome.Undone = outcome.Undone || run.State == jenner.RunUndone && !reverted
	}
	if phase == jenner.PhaseResolved {
		recovered := incident.RecoveredAt
		if recovered.IsZero() {
			recovered = now
		}
		outcome.ToRecover = between(incident.OpenedAt, recovered)
	}
	return outcome
}

func firstFiring(incident jenner.Incident) time.Time {
	first := incident.OpenedAt
	for _, alert := range incident.Alerts {
		if !alert.StartsAt.IsZero() && alert.StartsAt.Before(first) {
			first = alert.StartsAt
		}
	}
	return first
}

// between is the time from one moment to a later one; zero where one is not known, or the order is the other one.
func between(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return max(to.Sub(from), 0)
}
