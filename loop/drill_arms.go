package loop

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/line"
)

// injectAll injects every fault of the experiment, writing each record down before the next one.
func (l *Lab) injectAll(ctx context.Context, step *drillStep) error {
	drill, docs := step.State, l.Docs()
	at, _ := docs.Service(drill.Experiment.Service)
	for i, spec := range drill.Experiment.Faults {
		service, target, err := docs.Target(spec.Target, at)
		if err != nil {
			return err
		}
		record, err := l.Injector.Inject(ctx, jenner.FaultRecord{ID: fmt.Sprintf("%s-%s-%d-%d", step.ID, drill.Arm, drill.Round, i),
			Drill: step.ID, Fault: spec.Fault, Params: spec.Params, Service: service, Target: target}, l.lease(step))
		if err != nil {
			return err
		}
		drill.Faults = append(drill.Faults, record)
		if drill.Arm == "treatment" {
			drill.Injected = append(drill.Injected, record)
		}
		step.Note("inject", fmt.Sprintf("%s on %s (%s arm)", record.Fault, target.Ref(), drill.Arm), record)
		step.Audit("fault.injected", record)
	}
	return nil
}

// claim takes the targets of the faults before they are broken, within the limits that remediation and chaos share. It is
// committed before the first fault.
func (l *Lab) claim(step *drillStep, arm string) {
	drill := step.State
	drill.Arm, drill.InjectedAt = arm, step.Now
	longest := drill.Experiment.Timeout.Or(time.Minute) + drill.Experiment.ControlFor.Std()
	entries := l.faultEntries(drill, step.Now.Add(runLease+longest))
	step.Ledger(entries...)
	limits := l.Docs().Limits
	if len(entries) > 0 {
		step.Caps(jenner.Cap{Scope: jenner.CapAll, Max: limits.AtOnce()})
	}
	for _, entry := range entries {
		step.Caps(jenner.Cap{Scope: jenner.CapService, Name: entry.Service, Max: limits.OfService()})
	}
}

// faultEntries are the ledger's entries of the present arm, which hold the targets until a time.
func (l *Lab) faultEntries(drill *jenner.Drill, until time.Time) []jenner.LedgerEntry {
	var entries []jenner.LedgerEntry
	at, _ := l.Docs().Service(drill.Experiment.Service)
	for i, fault := range drill.Experiment.Faults {
		entry := jenner.LedgerEntry{ID: fmt.Sprintf("%s/%s/%d/%d", drill.ID, drill.Arm, drill.Round, i), Kind: jenner.LedgerFault,
			At: drill.InjectedAt, Until: until, By: drill.ID, Service: drill.Experiment.Service}
		if service, target, err := l.Docs().Target(fault.Target, at); err == nil {
			entry.Service, entry.Target = service.Name, target.Ref()
		}
		entries = append(entries, entry)
	}
	return entries
}

// bitten asks every fault for its witness.
func (l *Lab) bitten(ctx context.Context, drill *jenner.Drill) (bool, string) {
	saw := ""
	for _, record := range drill.Faults {
		witness, err := l.Injector.Bite(ctx, record)
		if err != nil || !witness.Bit {
			return false, ""
		}
		saw += witness.Saw
	}
	return len(drill.Faults) > 0, saw
}

// bite waits for the witness: without it nothing that follows means anything.
func (l *Lab) bite(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	if yes, saw := l.bitten(ctx, drill); yes {
		drill.BitAt, drill.Witness = step.Now, saw
		step.Note("bite", saw, nil)
		return line.Go(jenner.PhaseObserve), nil
	}
	if step.Now.Sub(drill.InjectedAt) > biteFor {
		step.Note("bite", "no witness saw the fault work", nil)
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(20 * time.Millisecond)), nil
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
	case len(drill.Faults) == 0:
		drill.InjectedAt = l.Now()
		if err := l.injectAll(ctx, step); err != nil {
			return l.abort(step, err.Error()), nil
		}
		return line.Later(step.Now), nil
	}
	return l.watchControl(ctx, step)
}

// holdFamily keeps remediation away from all that the fault may reach, for as long as the arm goes on.
func (l *Lab) holdFamily(step *drillStep) {
	for _, name := range l.family(step.State.Experiment.Service) {
		l.Hold(jenner.Hold{Scope: name, By: step.ID, Reason: "no action here for a while", At: step.State.StartedAt,
			Until: step.Now.Add(5 * time.Second)})
	}
}

func (l *Lab) watchControl(ctx context.Context, step *drillStep) (line.Next, error) {
	drill, arm := step.State, step.State.Control
	if !arm.Bit {
		arm.Bit, _ = l.bitten(ctx, drill)
	}
	waited := step.Now.Sub(drill.InjectedAt)
	sick := l.familySick(ctx, drill.Experiment.Service, step.Now)
	if sick != "" {
		drill.SteadySince = time.Time{}
	}
	switch {
	case drill.BrokenAt.IsZero() && sick != "":
		drill.BrokenAt = step.Now
		step.Note("control", "broken: "+sick, nil)
	case !drill.BrokenAt.IsZero() && sick == "" && drill.SteadySince.IsZero():
		drill.SteadySince = step.Now
	case !drill.BrokenAt.IsZero() && sick == "" && step.Now.Sub(drill.SteadySince) < calmFor:
	case !drill.BrokenAt.IsZero() && sick == "":
		arm.RecoveredAlone = true
		arm.Note = fmt.Sprintf("healthy again %s after the fault, with nobody helping", waited.Round(10*time.Millisecond))
		return l.endControl(ctx, step)
	case drill.BrokenAt.IsZero() && waited > settlePatience:
		arm.Note = "the fault broke nothing that anybody noticed"
		return l.endControl(ctx, step)
	case !drill.BrokenAt.IsZero() && step.Now.Sub(drill.BrokenAt) >= drill.Experiment.ControlFor.Or(3*time.Second):
		arm.StayedBroken = true
		arm.Note = fmt.Sprintf("still broken %s after the fault: %s", waited.Round(10*time.Millisecond), sick)
		return l.endControl(ctx, step)
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

func (l *Lab) familySick(ctx context.Context, service string, now time.Time) string {
	for _, name := range l.family(service) {
		if sick := l.sick(ctx, name, now); sick != "" {
			return sick
		}
	}
	return ""
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

// undoPatience is how long the undo of all faults of an arm may take. What is left is the reaper's.
const undoPatience = time.Minute

// undoNow takes all faults of the present arm back.
func (l *Lab) undoNow(ctx context.Context, step *drillStep) error {
	drill := step.State
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	for _, record := range drill.Faults {
		if err := l.Injector.Undo(during, record); err != nil {
			return err
		}
		step.Note("undo", record.Fault+" on "+record.Target.Ref().String()+" is gone", nil)
		step.Audit("fault.undone", record)
	}
	if drill.Arm != "" {
		step.Ledger(l.faultEntries(drill, step.Now)...)
	}
	drill.Faults, drill.UndoneAt = nil, step.Now
	return nil
}

// observe waits until the line has acted, or until the service is well again without it.
func (l *Lab) observe(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	waited := step.Now.Sub(drill.InjectedAt)
	if len(drill.Experiment.Faults) == 0 {
		if waited >= drill.Experiment.Expect.NoActionFor.Or(15*time.Second) {
			return line.Go(jenner.PhaseUndo), nil
		}
		return line.Later(step.Now.Add(drillLook)), nil
	}
	if incident, err := l.joined(ctx, drill); err != nil {
		return line.Next{}, jenner.Retryable(err, "")
	} else if incident != nil && !incident.ActedAt.IsZero() {
		step.Note("observe", fmt.Sprintf("incident %s acts", incident.ID), nil)
		return line.Go(jenner.PhaseRecover), nil
	}
	if waited > drill.Experiment.Timeout.Or(time.Minute) {
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// recover waits until the remediation is verified, or until the patience ends.
func (l *Lab) recover(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	incident, err := l.joined(ctx, drill)
	if err != nil {
		return line.Next{}, jenner.Retryable(err, "")
	}
	if incident != nil && !incident.RecoveredAt.IsZero() {
		drill.RecoveredAt = incident.RecoveredAt
		drill.Armed, drill.Removed = l.armed(ctx, drill, incident)
		return line.Go(jenner.PhaseUndo), nil
	}
	if step.Now.Sub(drill.InjectedAt) > drill.Experiment.Timeout.Or(time.Minute) {
		return line.Go(jenner.PhaseUndo), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// armed tells how the faults stood when the service was well again: still armed, or removed by the runbook, which is
// so where a fault does not hold any more and the run changed the very target it was on.
func (l *Lab) armed(ctx context.Context, drill *jenner.Drill, incident *jenner.Incident) (armed, removed bool) {
	armed, removed = true, true
	for _, record := range drill.Faults {
		holds, err := l.Injector.Armed(ctx, record)
		armed = armed && err == nil && holds
		removed = removed && err == nil && !holds && changed(incident, record.Target.Ref())
	}
	return armed, removed
}

func changed(incident *jenner.Incident, target jenner.TargetRef) bool {
	for _, run := range incident.Runs {
		for _, record := range run.Steps {
			if record.Changed && record.Target == target {
				return true
			}
		}
	}
	return false
}

// undoFaults takes everything back, whatever happened. A hold of the control arm is not released: it ends by itself within
// seconds, and until the probes have seen the undo, remediation would act on what is well by now.
func (l *Lab) undoFaults(ctx context.Context, step *drillStep) (line.Next, error) {
	if err := l.undoNow(ctx, step); err != nil {
		step.State.Residue = err.Error()
	}
	return line.Go(jenner.PhaseProveUndone), nil
}

// proveUndone waits until all is as it was: no incident open, nothing sick. What is not so in time was left behind.
func (l *Lab) proveUndone(ctx context.Context, step *drillStep) (line.Next, error) {
	drill := step.State
	trouble := l.trouble(ctx, drill.Experiment.Service, step.Now)
	if trouble == "" {
		// What was under way when the service recovered has ended by now, so the numbers are complete.
		drill.Rise = rise(drill.Before, l.measure(ctx, drill.Experiment))
		return l.verdict(step), nil
	}
	if drill.UndoneAt.IsZero() {
		drill.UndoneAt = step.Now
	}
	if step.Now.Sub(drill.UndoneAt) > settlePatience {
		if drill.Residue == "" && !drill.RecoveredAt.IsZero() {
			drill.Residue = "not steady after the undo: " + trouble
		}
		return l.verdict(step), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// joined is the incident that the line opened for this drill's trouble: about the faulted service or its family, opened
// since the injection, and no mere symptom. Where several fit, the one that acted counts, then the first.
func (l *Lab) joined(ctx context.Context, drill *jenner.Drill) (*jenner.Incident, error) {
	incidents, err := l.during(ctx, drill)
	if err != nil {
		return nil, err
	}
	var best *jenner.Incident
	for i, incident := range incidents {
		if incident.SymptomOf != "" {
			continue
		}
		if best == nil || (best.ActedAt.IsZero() && !incident.ActedAt.IsZero()) {
			best = &incidents[i]
		}
	}
	return best, nil
}

// during are all incidents of the family that were opened since the injection, the first one first.
func (l *Lab) during(ctx context.Context, drill *jenner.Drill) ([]jenner.Incident, error) {
	records, err := l.Records(ctx, IncidentLine, drill.InjectedAt)
	if err != nil {
		return nil, err
	}
	family := l.family(drill.Experiment.Service)
	var found []jenner.Incident
	for _, record := range records {
		incident, err := incidentOf(record)
		if err != nil || incident.OpenedAt.Before(drill.InjectedAt) || !slices.Contains(family, incident.Service) {
			continue
		}
		found = append(found, incident)
	}
	slices.SortFunc(found, func(a, b jenner.Incident) int { return a.OpenedAt.Compare(b.OpenedAt) })
	return found, nil
}

// measure asks for the experiment's own numbers. One that has no answer is left out.
func (l *Lab) measure(ctx context.Context, experiment jenner.Experiment) map[string]float64 {
	measured := map[string]float64{}
	for name, promql := range experiment.Measure {
		if answer, err := l.Telemetry.Query(ctx, promql); err == nil && !answer.NoData() {
			measured[name] = answer.Samples[0].Value
		}
	}
	return measured
}

// rise is by how much each number rose; one that is missing on either side is left out.
func rise(before, after map[string]float64) map[string]float64 {
	rose := map[string]float64{}
	for name, value := range after {
		if start, known := before[name]; known {
			rose[name] = value - start
		}
	}
	return rose
}

// facts gathers what the verdict is made from.
func (l *Lab) facts(step *drillStep) chaos.Facts {
	drill := step.State
	facts := chaos.Facts{Experiment: drill.Experiment, Aborted: drill.Aborted, Control: drill.Control, Bit: !drill.BitAt.IsZero(),
		Witness: drill.Witness, InjectedAt: drill.InjectedAt, UndoneAt: drill.UndoneAt, Recovered: drill.RecoveredAt, Removed: drill.Removed,
		Armed: drill.Armed, Residue: drill.Residue}
	if drill.Control != nil && (drill.Control.RecoveredAlone || !drill.Control.StayedBroken) {
		facts.Bit = drill.Control.Bit
	}
	if drill.InjectedAt.IsZero() {
		return facts
	}
	ctx := context.Background()
	incidents, err := l.during(ctx, drill)
	if err != nil {
		facts.NoTelemetry = err.Error()
	}
	for _, incident := range incidents {
		drill.Incidents = append(drill.Incidents, incident.ID)
		if !incident.ActedAt.IsZero() {
			facts.Touched = append(facts.Touched, rootOf(incident))
		}
		facts.Touched = append(facts.Touched, touched(incident)...)
	}
	facts.Incident, _ = l.joined(ctx, drill)
	return facts
}

// touched are the services that the incident's steps changed something of.
func touched(incident jenner.Incident) []string {
	var services []string
	for _, run := range incident.Runs {
		for _, record := range run.Steps {
			if record.Changed && !slices.Contains(services, record.Service) {
				services = append(services, record.Service)
			}
		}
	}
	return services
}

func rootOf(incident jenner.Incident) string {
	if incident.Diagnosis.Root != "" {
		return incident.Diagnosis.Root
	}
	return incident.Service
}

// result puts the facts into numbers.
func result(facts chaos.Facts, verdict jenner.Verdict, reasons []string) jenner.DrillResult {
	r := jenner.DrillResult{Experiment: facts.Experiment.Name, Verdict: verdict, Reasons: reasons,
		DetectedMS: -1, ActedMS: -1, RecoveredMS: -1}
	after := func(at time.Time) int64 {
		if at.IsZero() || facts.InjectedAt.IsZero() {
			return -1
		}
		return at.Sub(facts.InjectedAt).Milliseconds()
	}
	r.RecoveredMS = after(facts.Recovered)
	if facts.Incident == nil {
		return r
	}
	cause, _ := facts.Incident.Diagnosis.Best()
	r.Cause, r.Confidence, r.Target = cause.Cause, float64(cause.Confidence), rootOf(*facts.Incident)
	if run := facts.Incident.Run(); run != nil {
		r.Runbook = run.Runbook.Name
	}
	r.DetectedMS, r.ActedMS = after(facts.Incident.OpenedAt), after(facts.Incident.ActedAt)
	return r
}
