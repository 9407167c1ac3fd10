package loop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/runbook"
)

// DrillLine is the name of the drills' line in the store.
const DrillLine = "drill"

// Lab is the world with the means to break it. The incident's line never sees it.
type Lab struct {
	*World
	Injector *chaos.Injector
	// Hold forbids acting on a service until a time, so that a control arm shows what happens without help. It ends by
	// itself, so that a dead drill holds nothing.
	Hold func(hold jenner.Hold)
	// Release takes the holds of one owner away.
	Release func(by string)
}

type drillStep = line.Step[jenner.Drill]

// How long the phases of a drill may take where the experiment does not say.
const (
	preflightPatience = 30 * time.Second
	biteFor           = 5 * time.Second
	settlePatience    = 45 * time.Second
	calmFor           = 700 * time.Millisecond // steady this long counts as steady
	drillLook         = 50 * time.Millisecond
)

// Drills is the line of a drill. Each phase has one stage that leads on from it.
func Drills(l *Lab) *line.Line[jenner.Drill] {
	return &line.Line[jenner.Drill]{
		Name: DrillLine,
		Phases: []line.Phase[jenner.Drill]{
			{Name: jenner.PhasePreflight, Stage: l.preflight},
			{Name: jenner.PhaseBaseline, Stage: l.baseline},
			{Name: jenner.PhaseControl, Stage: l.control},
			{Name: jenner.PhaseInject, Stage: l.inject},
			{Name: jenner.PhaseBite, Stage: l.bite},
			{Name: jenner.PhaseObserve, Stage: l.observe},
			{Name: jenner.PhaseRecover, Stage: l.recover},
			{Name: jenner.PhaseUndo, Stage: l.undoFaults},
			{Name: jenner.PhaseProveUndone, Stage: l.proveUndone},
			{Name: jenner.PhaseVerdict},
		},
		Store: l.Store,
		Now:   l.Now,
		Failed: func(ctx context.Context, step *drillStep, err error) line.Next {
			return l.abort(step, err.Error())
		},
	}
}

// NewDrill is a drill of an experiment, ready to be put on the line.
func (l *Lab) NewDrill(experiment jenner.Experiment, now time.Time) jenner.Drill {
	return jenner.Drill{ID: l.newID("d", now), Experiment: experiment, Round: 1, StartedAt: now}
}

// guarded wraps what every stage of a drill does first: it stops the drill when somebody stopped Jenner, or when an
// abort condition holds, and only then lets the faults live on.
func (l *Lab) guarded(ctx context.Context, step *drillStep) (line.Next, bool) {
	for _, hold := range l.Holds() {
		if hold.Scope == jenner.HoldAll {
			return l.abort(step, fmt.Sprintf("%s stopped Jenner", hold.By)), true
		}
	}
	if len(step.State.Faults) > 0 && step.State.InjectedAt.Before(l.Started) {
		// Whoever starts takes back what is left, so that what is seen from here on says nothing about the runbook.
		return l.abort(step, "Jenner was started anew while the fault was on"), true
	}
	for _, expression := range step.State.Experiment.AbortIf {
		if why, yes := l.abortIf(expression, step); yes {
			return l.abort(step, why), true
		}
	}
	for i, record := range step.State.Faults {
		if record.Until.Sub(step.Now) > l.lease(step)/2 {
			continue
		}
		renewed, err := l.Injector.Renew(ctx, record, l.lease(step))
		if err != nil {
			return l.abort(step, "the lease of "+record.Fault+" could not be renewed: "+err.Error()), true
		}
		step.State.Faults[i] = renewed
	}
	return line.Next{}, false
}

func (l *Lab) lease(step *drillStep) time.Duration {
	return step.State.Experiment.Lease.Or(5 * time.Second)
}

// abortIf evaluates one abort condition. One that cannot be evaluated aborts: nobody knows whether it is safe to go on.
func (l *Lab) abortIf(expression string, step *drillStep) (string, bool) {
	condition, err := runbook.Compile(expression, nil)
	if err == nil {
		var yes bool
		if yes, err = condition.Eval(runbook.Env{Telemetry: l.Telemetry, Now: step.Now, Service: step.State.Experiment.Service}); err == nil {
			return "abort condition: " + expression, yes
		}
	}
	return fmt.Sprintf("abort condition %q cannot be evaluated: %v", expression, err), true
}

// abort goes to the undo at once.
func (l *Lab) abort(step *drillStep, why string) line.Next {
	if step.State.Aborted == "" {
		step.State.Aborted = why
		step.Note("abort", why, nil)
	}
	if step.Phase == jenner.PhaseUndo || step.Phase == jenner.PhaseProveUndone {
		step.State.Residue = why
		return l.verdict(step)
	}
	return line.Go(jenner.PhaseUndo)
}

// preflight: is everything well before it is broken? A drill never starts on a service in trouble, nor beside another
// drill.
func (l *Lab) preflight(ctx context.Context, step *drillStep) (line.Next, error) {
	if next, stop := l.guarded(ctx, step); stop {
		return next, nil
	}
	trouble := l.trouble(ctx, step.State.Experiment.Service, step.Now)
	if trouble == "" {
		trouble = l.otherDrill(ctx, step)
	}
	if trouble == "" {
		return line.Go(jenner.PhaseBaseline), nil
	}
	if step.Now.Sub(step.State.StartedAt) > preflightPatience {
		return l.abort(step, "not steady before the drill: "+trouble), nil
	}
	return line.Later(step.Now.Add(drillLook)), nil
}

// family is a service with all it depends on and all that depend on it: what a fault may reach.
func (l *Lab) family(service string) []string {
	return slices.Concat([]string{service}, l.dependenciesOf(service), l.dependantsOf(service))
}

// trouble says what is not well with a service and its family; nothing where all is well.
func (l *Lab) trouble(ctx context.Context, service string, now time.Time) string {
	for _, name := range l.family(service) {
		if sick := l.sick(ctx, name, now); sick != "" {
			return sick
		}
	}
	records, err := l.Records(ctx, IncidentLine, now)
	if err != nil {
		return "the store cannot be read: " + err.Error()
	}
	for _, record := range records {
		for _, name := range l.family(service) {
			if !record.Ended && record.Subject == name {
				return "incident " + record.ID + " about " + name + " is open"
			}
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

// otherDrill says whether another drill, which is past its preflight, has the same family under test.
func (l *Lab) otherDrill(ctx context.Context, step *drillStep) string {
	return l.drillBeside(ctx, step, func(record jenner.Record) bool { return !record.Created.After(step.State.StartedAt) })
}

// earlierDrill is the same once this drill is past its preflight as well: of two that went on at the same time the later
// one goes back.
func (l *Lab) earlierDrill(ctx context.Context, step *drillStep) string {
	return l.drillBeside(ctx, step, func(record jenner.Record) bool {
		return record.Created.Before(step.State.StartedAt) || (record.Created.Equal(step.State.StartedAt) && record.ID < step.ID)
	})
}

func (l *Lab) drillBeside(ctx context.Context, step *drillStep, matters func(jenner.Record) bool) string {
	records, err := l.Records(ctx, DrillLine, step.Now)
	if err != nil {
		return "the store cannot be read: " + err.Error()
	}
	family := l.family(step.State.Experiment.Service)
	for _, record := range records {
		if record.Ended || record.ID == step.ID || record.Phase == jenner.PhasePreflight || !matters(record) {
			continue
		}
		if slices.Contains(family, record.Subject) {
			return "drill " + record.ID + " goes on with " + record.Subject
		}
	}
	return ""
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
	if other := l.earlierDrill(ctx, step); other != "" {
		drill.SteadySince = time.Time{}
		return line.Go(jenner.PhasePreflight), nil
	}
	drill.SteadySince = time.Time{}
	if drill.Experiment.Control && drill.Control == nil {
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
	if trouble := l.trouble(ctx, drill.Experiment.Service, step.Now); trouble != "" {
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

// inject breaks it.
func (l *Lab) inject(ctx context.Context, step *drillStep) (line.Next, error) {
	drill := step.State
	drill.Before = l.measure(ctx, drill.Experiment)
	drill.InjectedAt, drill.BitAt, drill.BrokenAt = l.Now(), time.Time{}, time.Time{}
	if err := l.injectAll(ctx, step); err != nil {
		return l.abort(step, err.Error()), nil
	}
	if len(drill.Experiment.Faults) == 0 {
		step.Note("inject", "nothing is broken", nil)
		return line.Go(jenner.PhaseObserve), nil
	}
	return line.Go(jenner.PhaseBite), nil
}

// verdict judges what the drill showed and keeps it.
func (l *Lab) verdict(step *drillStep) line.Next {
	drill := step.State
	drill.EndedAt = step.Now
	facts := l.facts(step)
	verdict, reasons := chaos.Judge(facts)
	drill.Result = result(facts, verdict, reasons)
	drill.Result.Measured = drill.Rise
	step.Note("verdict", fmt.Sprintf("%s: %s", verdict, strings.Join(reasons, "; ")), drill.Result)
	step.Audit("verdict", drill.Result)
	step.Proof(learn.ProofFrom(*drill, l.Docs())...)
	drill.Results = append(drill.Results, drill.Result)
	if drill.Round < max(1, drill.Experiment.Repeat) && drill.Aborted == "" && drill.Residue == "" {
		again := jenner.Drill{ID: drill.ID, Experiment: drill.Experiment, Round: drill.Round + 1, StartedAt: step.Now, Results: drill.Results}
		*drill = again
		return line.Go(jenner.PhasePreflight)
	}
	return line.End(jenner.PhaseVerdict)
}
