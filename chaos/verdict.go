package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// Facts are all that a verdict is made from.
type Facts struct {
	Experiment  jenner.Experiment
	Aborted     string // why, where somebody or something stopped the drill
	NoTelemetry string // what could not be seen, where something could not
	Control     *jenner.ControlArm
	Bit         bool
	Witness     string
	InjectedAt  time.Time
	UndoneAt    time.Time // when the fault was taken back; zero: not yet

	Incident  *jenner.Incident // the one that the line opened for this trouble; nil where it opened none
	Touched   []string         // services that an action touched while the drill went on
	Recovered time.Time        // since when the service was steady again for good; zero where it was not
	Removed   bool             // the runbook itself removed the fault
	Armed     bool             // or the fault still held when the service was steady again
	Residue   string           // what was left behind after the undo
	Readings  []jenner.Reading // the invariants, where the treatment arm was run
	Changes   []Change         // what Jenner changed while the drill went on, whenever
	Stopped   time.Time        // when an incident ended with a human told and nothing was changed for a while; zero: never
}

// Change is one thing that a step of a runbook changed.
type Change struct {
	Service string
	What    string // the action and its target
	At      time.Time
}

// Judge says what a drill showed. It is a pure function of the facts; the order of its questions is the meaning of the
// verdicts: what spoils the experiment comes first, then harm, then success. Where nothing was to be healed, the questions
// about healing are not asked; but what would have passed without anybody, or was not shown to last, proves no restraint.
func Judge(facts Facts) (jenner.Verdict, []string) {
	questions := []func(Facts) (jenner.Verdict, []string){
		left, stopped, quiet, blind, toothless, harm, broken, alone, unhealed, untold, wrong, unmeasured, slow,
	}
	if facts.Experiment.Expect.Outcome.Negative() {
		questions = []func(Facts) (jenner.Verdict, []string){
			left, stopped, blind, toothless, meddled, broken, alone, unstopped, unmeasured, late, restrained,
		}
	}
	for _, ask := range questions {
		if verdict, reasons := ask(facts); verdict != "" {
			return verdict, reasons
		}
	}
	return jenner.VerdictProven, []string{fmt.Sprintf("%s; healed by %s on %s %s", facts.Witness, runbookOf(facts),
		targetOf(facts), held(facts))}
}

func held(facts Facts) string {
	if facts.Removed {
		return "which removed the fault"
	}
	return "while the fault still held"
}

func left(facts Facts) (jenner.Verdict, []string) {
	if facts.Residue != "" {
		return jenner.VerdictResidue, []string{facts.Residue}
	}
	return "", nil
}

func stopped(facts Facts) (jenner.Verdict, []string) {
	if facts.Aborted != "" {
		return jenner.VerdictAborted, []string{facts.Aborted}
	}
	return "", nil
}

// quiet judges the drill in which nothing is broken: nothing may be done.
func quiet(facts Facts) (jenner.Verdict, []string) {
	switch {
	case len(facts.Experiment.Faults) > 0:
		return "", nil
	case len(facts.Touched) > 0:
		return jenner.VerdictHarmful, []string{fmt.Sprintf("nothing was broken, and yet an action touched %v", facts.Touched)}
	case facts.NoTelemetry != "":
		return jenner.VerdictInconclusive, []string{facts.NoTelemetry}
	}
	for _, ask := range []func(Facts) (jenner.Verdict, []string){broken, unmeasured} {
		if verdict, reasons := ask(facts); verdict != "" {
			return verdict, reasons
		}
	}
	return jenner.VerdictNotNeeded, []string{"nothing was broken and nothing was done"}
}

func blind(facts Facts) (jenner.Verdict, []string) {
	if facts.NoTelemetry != "" {
		return jenner.VerdictInconclusive, []string{"telemetry was missing: " + facts.NoTelemetry}
	}
	return "", nil
}

func toothless(facts Facts) (jenner.Verdict, []string) {
	if !facts.Bit || (facts.Control != nil && !facts.Control.Bit) {
		return jenner.VerdictNoEffect, []string{"no witness saw the fault work"}
	}
	return "", nil
}

// harm looks for services that an action touched although they were not the ones to heal. That they depend on the
// broken one is no excuse.
func harm(facts Facts) (jenner.Verdict, []string) {
	for _, touched := range facts.Touched {
		if touched != expectedTarget(facts.Experiment) && !slices.Contains(facts.Experiment.Expect.MayTouch, touched) {
			return jenner.VerdictHarmful, []string{fmt.Sprintf("an action touched %s, and not only %s", touched,
				expectedTarget(facts.Experiment))}
		}
	}
	if facts.Incident == nil {
		return "", nil
	}
	if target := targetOf(facts); !facts.Incident.ActedAt.IsZero() && target != expectedTarget(facts.Experiment) {
		return jenner.VerdictHarmful, []string{fmt.Sprintf("the remediation acted on %s, not on %s", target,
			expectedTarget(facts.Experiment))}
	}
	return "", nil
}

func alone(facts Facts) (jenner.Verdict, []string) {
	if facts.Experiment.Control && facts.Control == nil {
		return jenner.VerdictInconclusive, []string{"the control arm that the experiment asks for was not run"}
	}
	if facts.Control != nil && facts.Control.RecoveredAlone {
		return jenner.VerdictNotNeeded, []string{"without remediation it recovered by itself: " + facts.Control.Note}
	}
	if facts.Control != nil && !facts.Control.StayedBroken {
		return jenner.VerdictInconclusive, []string{"the control arm does not show that it stays broken: " + facts.Control.Note}
	}
	return "", nil
}

func unhealed(facts Facts) (jenner.Verdict, []string) {
	switch {
	case facts.Recovered.IsZero():
		return jenner.VerdictNotRemediated, []string{"it was not steady again in time: " + stateOf(facts)}
	case facts.Incident == nil || facts.Incident.ActedAt.IsZero():
		return jenner.VerdictNotRemediated, []string{"it recovered, but not by a remediation: " + stateOf(facts)}
	}
	return "", nil
}

func stateOf(facts Facts) string {
	switch {
	case facts.Incident == nil:
		return "no incident was opened"
	case facts.Incident.ActedAt.IsZero() && len(whileBroken(facts)) > 0:
		decisions := whileBroken(facts)
		last := decisions[len(decisions)-1]
		stopper := last.Stopper()
		if run := facts.Incident.Run(); last.Outcome == jenner.DecideAct && run != nil {
			return "the runbook " + run.Runbook.Name + " began and changed nothing: " + run.Error
		}
		return "nothing was done; guard " + stopper.Guard + ": " + stopper.Reason
	case facts.Incident.ActedAt.IsZero():
		return "nothing was done: " + facts.Incident.Diagnosis.Unsure
	}
	return "the runbook " + runbookOf(facts) + " ran"
}

// whileBroken are the decisions that were made before the fault was taken back: only they say why it was not healed.
func whileBroken(facts Facts) []jenner.Decision {
	var made []jenner.Decision
	for _, decision := range facts.Incident.Decisions {
		if facts.UndoneAt.IsZero() || decision.At.Before(facts.UndoneAt) {
			made = append(made, decision)
		}
	}
	return made
}

func untold(facts Facts) (jenner.Verdict, []string) {
	if !facts.Removed && !facts.Armed {
		return jenner.VerdictInconclusive, []string{"the fault ended by itself before the service was steady again"}
	}
	return "", nil
}

// wrong looks whether the expected cause was found and the expected runbook ran. Recovery by another way is a
// recovery, but no proof of what the experiment is about.
func wrong(facts Facts) (jenner.Verdict, []string) {
	expect := facts.Experiment.Expect
	cause, _ := facts.Incident.Diagnosis.Best()
	if expect.Cause != "" && cause.Cause != expect.Cause {
		return jenner.VerdictNotRemediated, []string{fmt.Sprintf("the cause was taken for %s, not %s", cause.Cause, expect.Cause)}
	}
	if expect.Runbook != "" && runbookOf(facts) != expect.Runbook {
		return jenner.VerdictNotRemediated, []string{fmt.Sprintf("runbook %s ran, not %s", runbookOf(facts), expect.Runbook)}
	}
	return "", nil
}

func slow(facts Facts) (jenner.Verdict, []string) {
	expect := facts.Experiment.Expect
	over := slices.Concat(overdue(facts, "detected", facts.Incident.OpenedAt, expect.DetectedWithin),
		overdue(facts, "recovered", facts.Recovered, expect.RecoveredWithin))
	if len(over) > 0 {
		return jenner.VerdictProvenSlow, over
	}
	return "", nil
}

func overdue(facts Facts, what string, at time.Time, within jenner.Duration) []string {
	if took := at.Sub(facts.InjectedAt); within > 0 && took > within.Std() {
		return []string{fmt.Sprintf("%s after %s, expected within %s", what, took.Round(time.Millisecond), within)}
	}
	return nil
}

func expectedTarget(experiment jenner.Experiment) string {
	if experiment.Expect.Target != "" {
		return experiment.Expect.Target
	}
	return experiment.Service
}

// targetOf is the service that the remediation acted on.
func targetOf(facts Facts) string {
	if facts.Incident.Diagnosis.Root != "" {
		return facts.Incident.Diagnosis.Root
	}
	return facts.Incident.Service
}

func runbookOf(facts Facts) string {
	if run := facts.Incident.Run(); run != nil {
		return run.Runbook.Name
	}
	return ""
}
