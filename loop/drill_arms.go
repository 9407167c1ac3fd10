package loop

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/line"
)

// inject breaks it.
func (l *Lab) inject(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	drill.Before = l.measure(ctx, drill.Present())
	drill.Readings = l.readBefore(ctx, drill.Present())
	drill.InjectedAt, drill.BitAt, drill.BrokenAt = l.Now(), time.Time{}, time.Time{}
	if next, stop := l.advance(ctx, step); stop {
		return next, nil
	}
	if len(drill.Experiment.Faults) == 0 {
		step.Note("inject", "nothing is broken", nil)
		return line.Go(jenner.PhaseObserve), nil
	}
	return line.Go(jenner.PhaseBite), nil
}

// bite waits for the witness: without it nothing that follows means anything. Faults that come later are waited for later.
func (l *Lab) bite(ctx context.Context, step *drillStep) (line.Next, error) {
	next, over := l.underFaults(ctx, step)
	switch drill := step.State; {
	case over:
		return next, nil
	case !drill.BitAt.IsZero():
		return line.Go(jenner.PhaseObserve), nil
	case !begun(drill) && l.allBiteSoFar(drill):
		return line.Go(jenner.PhaseObserve), nil
	}
	return line.Later(step.Now.Add(20 * time.Millisecond)), nil
}

// underFaults is what every stage does first while the faults of the treatment arm are on: it looks whether the drill may
// go on, does what is due of the faults, and keeps when the last of them was seen to work.
func (l *Lab) underFaults(ctx context.Context, step *drillStep) (line.Next, bool) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, true
	}
	if next, stop := l.advance(ctx, step); stop {
		return next, true
	}
	drill := step.State
	if yes, saw := bitten(drill); yes && drill.BitAt.IsZero() {
		drill.BitAt, drill.Witness = step.Now, saw
		step.Note("bite", saw, nil)
	}
	if l.toothless(drill) {
		step.Note("bite", "no witness saw the fault work", nil)
		return line.Go(jenner.PhaseUndo), true
	}
	return line.Next{}, false
}

// allBiteSoFar tells whether all faults that have been injected have been seen to work.
func (l *Lab) allBiteSoFar(drill *jenner.Drill) bool {
	for _, hit := range drill.Hits {
		if hit.Record != "" && hit.BitAt.IsZero() {
			return false
		}
	}
	return true
}

// control is the arm in which nobody helps: the fault must bite, and the service must stay broken.
func (l *Lab) control(ctx context.Context, step *drillStep) (line.Next, error) {
	drill := step.State
	arm := drill.Control
	l.holdFamily(step) // until all is calm again: what the undo leaves to settle is not for the remediation either
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	switch {
	case arm.Done:
		calm, next := l.calm(ctx, step)
		if !calm {
			return next, nil
		}
		drill.SteadySince = time.Time{}
		l.Release(step.ID)
		l.claim(step, "treatment")
		return line.Go(jenner.PhaseInject), nil
	case !anyBegun(drill):
		drill.InjectedAt = l.Now()
		if next, stop := l.advance(ctx, step); stop {
			return next, nil
		}
		return line.Later(step.Now), nil
	}
	return l.watchControl(ctx, step)
}

func anyBegun(drill *jenner.Drill) bool {
	for _, hit := range drill.Hits {
		if hit.Record != "" {
			return true
		}
	}
	return false
}

// holdFamily keeps remediation away from all that the fault may reach, for as long as the arm goes on.
func (l *Lab) holdFamily(step *drillStep) {
	for _, name := range l.family(step.State.Present().Service) {
		l.Hold(jenner.Hold{Scope: name, By: step.ID, Reason: "no action here for a while", At: step.State.StartedAt,
			Until: step.Now.Add(heldFor)})
	}
}

// letGo ends the holds of an arm that was broken off, as soon as the probes have had the time to see what it undid: until
// then remediation would act on what is well by now.
func (l *Lab) letGo(step *drillStep) {
	for _, hold := range l.Holds() {
		if until := step.Now.Add(undoneIsSeen); hold.By == step.ID && hold.Until.After(until) {
			hold.Until = until
			l.Hold(hold)
		}
	}
}

func (l *Lab) watchControl(ctx context.Context, step *drillStep) (line.Next, error) {
	drill, arm, experiment := step.State, step.State.Control, step.State.Present()
	if next, stop := l.advance(ctx, step); stop {
		return next, nil
	}
	if !arm.Bit {
		arm.Bit, _ = bitten(drill)
	}
	waited := step.Now.Sub(drill.InjectedAt)
	sick := l.unsteady(ctx, experiment, step.Now)
	if sick != "" {
		drill.SteadySince = time.Time{}
	}
	switch {
	case drill.BrokenAt.IsZero() && sick != "":
		drill.BrokenAt = step.Now
		step.Note("control", "broken: "+sick, nil)
	case !drill.BrokenAt.IsZero() && sick == "" && !arm.Bit && !l.toothless(drill):
		drill.BrokenAt = time.Time{} // what fails and is well again before the fault bites, such as at a change of pods, is not its work
	case !drill.BrokenAt.IsZero() && sick == "" && drill.SteadySince.IsZero():
		drill.SteadySince = step.Now
	case !begun(drill): // what comes later may break it again
	case !drill.BrokenAt.IsZero() && sick == "" && step.Now.Sub(drill.SteadySince) < calmFor:
	case !drill.BrokenAt.IsZero() && sick == "":
		arm.RecoveredAlone = true
		arm.Note = fmt.Sprintf("healthy again %s after the fault, with nobody helping", waited.Round(10*time.Millisecond))
		return l.endControl(ctx, step)
	case drill.BrokenAt.IsZero() && waited > settlePatience+last(experiment):
		arm.Note = "the fault broke nothing that anybody noticed"
		return l.endControl(ctx, step)
	case !drill.BrokenAt.IsZero() && step.Now.Sub(drill.BrokenAt) >= drill.Experiment.ControlFor.Or(3*time.Second):
		arm.StayedBroken = true
		arm.Note = fmt.Sprintf("still broken %s after the fault: %s", waited.Round(10*time.Millisecond), sick)
		return l.endControl(ctx, step)
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// endControl takes the fault back and lets everybody help again.
func (l *Lab) endControl(ctx context.Context, step *drillStep) (line.Next, error) {
	drill := step.State
	step.Note("control", drill.Control.Note, drill.Control)
	if err := l.undoNow(ctx, step); err != nil {
		drill.Residue = err.Error()
		return l.verdict(step), nil
	}
	drill.Control.Done, drill.BrokenAt, drill.SteadySince = true, time.Time{}, time.Time{}
	if drill.Control.RecoveredAlone || !drill.Control.Bit || !drill.Control.StayedBroken {
		return line.Go(jenner.PhaseProveUndone), nil // the treatment arm could prove nothing any more
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// observe waits until the line has acted, or until the service is well again without it.
func (l *Lab) observe(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, over := l.underFaults(ctx, step); over {
		return next, nil
	}
	drill, experiment := step.State, step.State.Present()
	waited := step.Now.Sub(drill.InjectedAt)
	if len(experiment.Faults) == 0 {
		if waited >= experiment.Expect.NoActionFor.Or(quietFor) {
			return line.Go(jenner.PhaseUndo), nil
		}
		return line.Later(step.Now.Add(drillLook)), nil
	}
	if experiment.Expect.Outcome.Negative() {
		return l.observeRestraint(ctx, step)
	}
	if incident, err := l.joined(ctx, drill); err != nil {
		return line.Next{}, jenner.Retryable(err, "")
	} else if incident != nil && !incident.ActedAt.IsZero() {
		step.Note("observe", fmt.Sprintf("incident %s acts", incident.ID), nil)
		return line.Go(jenner.PhaseRecover), nil
	}
	if waited > experiment.Timeout.Or(time.Minute)+last(experiment) {
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// observeRestraint waits in a drill in which nothing is to be healed: until something was changed all the same, until
// enough time has gone by, or until the patience ends.
func (l *Lab) observeRestraint(ctx context.Context, step *drillStep) (line.Next, error) {
	drill, expect := step.State, step.State.Present().Expect
	sightings, err := l.during(ctx, drill)
	if err != nil {
		return line.Next{}, jenner.Retryable(err, "")
	}
	if changes := changesOf(sightings); len(changes) > 0 && expect.Outcome == jenner.OutcomeNoAction {
		step.Note("observe", fmt.Sprintf("%s on %s", changes[0].What, changes[0].Service), nil)
		return line.Go(jenner.PhaseUndo), nil
	}
	enough := false
	switch expect.Outcome {
	case jenner.OutcomeNoAction:
		enough = !drill.BitAt.IsZero() && step.Now.Sub(drill.BitAt) >= expect.NoActionFor.Or(quietFor)
	default:
		if stop := stoppedAt(sightings); !stop.IsZero() && step.Now.Sub(stop) >= expect.NoActionFor.Or(stoppedFor) {
			drill.StoppedAt, enough = stop, true
		}
		enough = enough || step.Now.Sub(drill.InjectedAt) > drill.Experiment.Timeout.Or(time.Minute)+last(drill.Experiment)
	}
	if enough {
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(quietLook)), nil
}

// recover waits until the remediation is verified, or until the patience ends.
func (l *Lab) recover(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, over := l.underFaults(ctx, step); over {
		return next, nil
	}
	drill, experiment := step.State, step.State.Present()
	sightings, err := l.during(ctx, drill)
	if err != nil {
		return line.Next{}, jenner.Retryable(err, "")
	}
	if at := l.steadyAgain(ctx, step, healedAt(drill, sightings)); !at.IsZero() {
		drill.RecoveredAt = at
		drill.Armed, drill.Removed = l.overcome(ctx, drill, sightings)
		return line.Go(jenner.PhaseUndo), nil
	}
	if step.Now.Sub(drill.InjectedAt) > experiment.Timeout.Or(time.Minute)+last(experiment) {
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// healedAt is since when all that the faults broke is healed, as the incidents' own verification says; zero where it is
// not. With several faults, all of them must have come, and none of the incidents may still be open.
func healedAt(drill *jenner.Drill, sightings []sighting) time.Time {
	best := joinedOf(drill, sightings)
	if best == nil || best.RecoveredAt.IsZero() || !begun(drill) {
		return time.Time{}
	}
	if len(drill.Hits) == 1 {
		return best.RecoveredAt
	}
	healed := best.RecoveredAt
	for _, one := range sightings {
		switch {
		case one.SymptomOf != "":
		case one.RecoveredAt.IsZero() && !one.record.Ended:
			return time.Time{}
		case one.RecoveredAt.After(healed):
			healed = one.RecoveredAt
		}
	}
	if last(drill.Experiment) > 0 && healed.Before(latestInjection(drill)) {
		return time.Time{} // it was healed before the last fault came
	}
	return healed
}

// steadyAgain is since when the service is steady again, where it has been healed at a time: with conditions of the
// experiment's own not before they have held for a while.
func (l *Lab) steadyAgain(ctx context.Context, step *drillStep, healed time.Time) time.Time {
	drill, experiment := step.State, step.State.Present()
	if healed.IsZero() || len(experiment.SteadyState) == 0 {
		return healed
	}
	if l.unsteady(ctx, experiment, step.Now) != "" {
		drill.SteadySince = time.Time{}
		return time.Time{}
	}
	if drill.SteadySince.IsZero() {
		drill.SteadySince = step.Now
	}
	switch {
	case step.Now.Sub(drill.SteadySince) < calmFor:
		return time.Time{}
	case drill.SteadySince.After(healed):
		return drill.SteadySince
	}
	return healed
}
