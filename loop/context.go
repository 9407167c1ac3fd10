package loop

import (
	"fmt"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// Context is all that is known about an incident, in a few lines for the person who is woken.
func Context(incident *jenner.Incident) string {
	var b strings.Builder
	for _, alert := range incident.Alerts {
		fmt.Fprintf(&b, "alert    %s on %s, %s since %s: %s\n", alert.Name, alert.Service, alert.Status,
			alert.StartsAt.Format(time.TimeOnly), alert.Summary)
	}
	if cause, known := incident.Diagnosis.Best(); known {
		fmt.Fprintf(&b, "cause    %s on %s %s, confidence %.2f = %s\n", cause.Cause, cause.Service, cause.Target,
			float64(cause.Confidence), cause.Formula)
		for _, evidence := range cause.Evidence {
			fmt.Fprintf(&b, "         %-11s %s (weight %g): %s\n", evidence.Finding, evidence.What, evidence.Weight, evidence.Saw)
		}
	} else {
		fmt.Fprintf(&b, "cause    unknown: no signature fits\n")
	}
	if len(incident.Decisions) > 0 {
		decision := incident.Decisions[len(incident.Decisions)-1]
		fmt.Fprintf(&b, "decision %s for %s by policy %s\n", decision.Outcome, decision.Runbook, decision.Policy)
		for _, guard := range decision.Guards {
			if guard.Outcome != jenner.DecideAct {
				fmt.Fprintf(&b, "         %s says %s: %s\n", guard.Guard, guard.Outcome, guard.Reason)
			}
		}
	}
	for _, run := range incident.Runs {
		fmt.Fprintf(&b, "run      %s: %s %s\n", run.Runbook.Name, run.State, run.Error)
		for _, record := range run.Steps {
			fmt.Fprintf(&b, "         %-8s %s %s %s%s\n", record.Status, record.Action, record.Target, record.Summary, record.Error)
		}
	}
	for _, check := range incident.Verification.Checks {
		if check.Outcome != jenner.Passed {
			fmt.Fprintf(&b, "check    %s %s: %s\n", check.Name, check.Outcome, check.Saw)
		}
	}
	return b.String()
}
