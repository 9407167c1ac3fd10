package loop

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/line"
)

// preflight: is everything well before it is broken? A drill never starts on a service in trouble, nor beside another
// drill about what it is about, for which it waits as long as that takes.
func (l *Lab) preflight(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill, experiment := step.State, step.State.Present()
	if drill.ReservedAt.IsZero() {
		drill.ReservedAt = step.Now
		l.reserve(step)
		return line.Later(step.Now), nil
	}
	if why := l.lacks(ctx, experiment); why != "" {
		return l.abort(step, why), nil
	}
	trouble := l.trouble(ctx, experiment, step.Now)
	if trouble == "" {
		return line.Go(jenner.PhaseBaseline), nil
	}
	if step.Now.Sub(drill.ReservedAt) > preflightPatience {
		return l.abort(step, "not steady before the drill: "+trouble), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// lacks says what of that is missing which the experiment requires; nothing where all is there. What is not known is
// missing.
func (l *Lab) lacks(ctx context.Context, experiment jenner.Experiment) string {
	if experiment.Requires == nil || experiment.Requires.ErrorBudget == 0 {
		return ""
	}
	need := float64(experiment.Requires.ErrorBudget)
	service, known := l.Docs().Service(experiment.Service)
	if !known || l.Budgets == nil || len(service.SLOs) == 0 {
		return fmt.Sprintf("an error budget of %g %% is required, and %s has no SLO that says what is left", need*100, experiment.Service)
	}
	for _, budget := range l.Budgets(ctx, service) {
		switch {
		case !budget.Known:
			return fmt.Sprintf("an error budget of %g %% is required, and nobody knows what is left of %s: %s", need*100, budget.SLO, budget.Why)
		case !(budget.Left >= need):
			return fmt.Sprintf("an error budget of %g %% is required, and %.4g %% of %s is left", need*100, budget.Left*100, budget.SLO)
		}
	}
	return ""
}

// reserve keeps other drills from what this one is about: the services that its faults may reach, and their failure
// domains. Where another drill has one of them, the commit is refused, and the line waits with that reason. It ends by
// itself some time after the drill should have, and is put anew with each arm.
func (l *Lab) reserve(step *drillStep) {
	drill := step.State
	for _, name := range l.about(drill.Present()) {
		if !slices.Contains(drill.Reserved, name) {
			drill.Reserved = append(drill.Reserved, name)
		}
	}
	step.Ledger(l.reservations(drill, step.Now.Add(l.longest(drill.Present())))...)
	for _, name := range drill.Reserved {
		step.Caps(jenner.Cap{Scope: jenner.CapDrill, Name: name, Max: 1})
	}
}

func (l *Lab) reservations(drill *jenner.Drill, until time.Time) []jenner.LedgerEntry {
	var entries []jenner.LedgerEntry
	for _, name := range drill.Reserved {
		entries = append(entries, jenner.LedgerEntry{ID: drill.ID + "/about/" + name, Kind: jenner.LedgerDrill, At: drill.ReservedAt,
			Until: until, By: drill.ID, Service: name})
	}
	return entries
}

// longest is more than one round of the experiment can take.
func (l *Lab) longest(experiment jenner.Experiment) time.Duration {
	longest := experiment.Timeout.Or(time.Minute) + experiment.ControlFor.Std() + 2*last(experiment) + experiment.Expect.NoActionFor.Std()
	for _, stage := range experiment.Stages {
		longest += stage.SteadyFor.Std()
	}
	return runLease + longest + preflightPatience + 3*settlePatience
}

// last is how long after the first injection the last fault is injected.
func last(experiment jenner.Experiment) time.Duration {
	var after time.Duration
	for _, fault := range experiment.Faults {
		after = max(after, fault.After.Std())
	}
	return after
}

// about are the services that the experiment's faults may reach, and the failure domains of those that they hit.
func (l *Lab) about(experiment jenner.Experiment) []string {
	docs := l.Docs()
	at, _ := docs.Service(experiment.Service)
	hit := []string{experiment.Service}
	for _, fault := range experiment.Faults {
		if _, known := docs.Service(fault.Of); known {
			hit = append(hit, fault.Of)
		} else if service, _, err := docs.Target(fault.Target, at); err == nil {
			hit = append(hit, service.Name)
		}
	}
	var names []string
	if experiment.FailureDomain != "" {
		names = append(names, "domain/"+experiment.FailureDomain)
	}
	for _, name := range hit {
		names = append(names, l.family(name)...)
		if service, _ := docs.Service(name); service.FailureDomain != "" {
			names = append(names, "domain/"+service.FailureDomain)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// baseline: steady for a while, and measurable.
func (l *Lab) baseline(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	drill := step.State
	calm, next := l.calm(ctx, step)
	if !calm {
		return next, nil
	}
	drill.SteadySince = time.Time{}
	if err := l.aim(drill); err != nil {
		return l.abort(step, err.Error()), nil
	}
	if drill.Experiment.Control && drill.Control == nil && len(drill.Hits) > 0 {
		drill.Control = &jenner.ControlArm{}
		l.claim(step, "control")
		return line.Go(jenner.PhaseControl), nil
	}
	l.claim(step, "treatment")
	return line.Go(jenner.PhaseInject), nil
}

// calm waits until everything is well and stays so.
func (l *Lab) calm(ctx context.Context, step *drillStep) (bool, line.Next) {
	drill := step.State
	if trouble := l.trouble(ctx, drill.Present(), step.Now); trouble != "" {
		drill.SteadySince = time.Time{}
		if drill.CalmFrom.IsZero() {
			drill.CalmFrom = step.Now
		}
		if step.Now.Sub(drill.CalmFrom) > settlePatience {
			drill.CalmFrom = time.Time{}
			return false, l.abort(step, "it does not become steady: "+trouble)
		}
		return false, line.Later(step.Now.Add(drillLook))
	}
	drill.CalmFrom = time.Time{}
	if drill.SteadySince.IsZero() {
		drill.SteadySince = step.Now
	}
	if step.Now.Sub(drill.SteadySince) < calmFor {
		return false, line.Later(step.Now.Add(drillLook))
	}
	return true, line.Next{}
}

// family is a service with all it depends on and all that depend on it: what a fault may reach.
func (l *Lab) family(service string) []string {
	return slices.Concat([]string{service}, l.dependenciesOf(service), l.dependantsOf(service))
}

// trouble says what is not well with what an experiment is about; nothing where all is well.
func (l *Lab) trouble(ctx context.Context, experiment jenner.Experiment, now time.Time) string {
	if unsteady := l.unsteady(ctx, experiment, now); unsteady != "" {
		return unsteady
	}
	records, err := l.Records(ctx, IncidentLine, now)
	if err != nil {
		return "the store cannot be read: " + err.Error()
	}
	for _, record := range records {
		for _, name := range l.family(experiment.Service) {
			if !record.Ended && record.Subject == name {
				return "incident " + record.ID + " about " + name + " is open"
			}
		}
	}
	return ""
}

// unsteady says what is not as it is while all is steady: the experiment's own conditions, or where it has none, the alerts,
// probes and SLIs of the whole family.
func (l *Lab) unsteady(ctx context.Context, experiment jenner.Experiment, now time.Time) string {
	for _, expression := range experiment.SteadyState {
		condition, err := l.compiled(expression)
		var holds bool
		if err == nil {
			holds, err = condition.Eval(l.env(experiment))
		}
		switch {
		case err != nil:
			return fmt.Sprintf("steady state %s cannot be told: %v", expression, err)
		case !holds:
			return fmt.Sprintf("steady state %s does not hold: %s", expression, condition.Saw(l.env(experiment)))
		}
	}
	if len(experiment.SteadyState) > 0 {
		return ""
	}
	for _, name := range l.family(experiment.Service) {
		if sick := l.sick(ctx, name, now); sick != "" {
			return sick
		}
	}
	return ""
}

// sick says what is not well with one service.
func (l *Lab) sick(ctx context.Context, name string, now time.Time) string {
	service, _ := l.Docs().Service(name)
	if firing := l.Board.Firing(name); len(firing) > 0 {
		return firing[0].Name + " fires on " + name
	}
	for _, state := range l.Telemetry.Probes(name) {
		switch {
		case !state.Fresh(now):
			return fmt.Sprintf("probe %s of %s gives no answers", state.Name, name)
		case state.Status != jenner.ProbePassing:
			return fmt.Sprintf("probe %s of %s is %s", state.Name, name, state.Status)
		case !state.LastOK:
			return fmt.Sprintf("probe %s of %s failed: %s", state.Name, name, state.Message)
		}
	}
	for _, check := range l.Steady(ctx, service) {
		if check.Outcome == jenner.Failed {
			return fmt.Sprintf("%s of %s is out of bounds: %s", check.Name, name, check.Saw)
		}
	}
	return ""
}
