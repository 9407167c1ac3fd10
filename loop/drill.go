package loop

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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
	// Ask puts the question of an invariant to a probe and gives its answer. Where nil, no invariant can ask.
	Ask func(ctx context.Context, service jenner.Service, ask jenner.Ask) (answer string, err error)

	conditions sync.Map               // compiled ones, by expression
	brokenOff  atomic.Pointer[string] // why all drills are to end, where they are
}

// BreakOff ends every drill: each takes its faults back and says ABORTED, and why. It returns at once, and there is no
// way back.
func (l *Lab) BreakOff(why string) { l.brokenOff.CompareAndSwap(nil, &why) }

type drillStep = line.Step[jenner.Drill]

// How long the phases of a drill may take where the experiment does not say.
const (
	preflightPatience = 30 * time.Second
	biteFor           = 5 * time.Second
	settlePatience    = 45 * time.Second
	calmFor           = 700 * time.Millisecond // steady this long counts as steady
	drillLook         = 50 * time.Millisecond
	quietLook         = 200 * time.Millisecond // while nothing is expected to happen
	quietFor          = 15 * time.Second       // for which nothing may be changed
	stoppedFor        = 3 * time.Second        // the same after a stop
	heldFor           = 30 * time.Second       // a control arm keeps remediation away so long after its last look, unless it lets go
	undoneIsSeen      = 5 * time.Second        // within that probes see what was undone
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
			{Name: jenner.PhaseStay, Stage: l.stay},
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
	services := append(l.family(experiment.Service), experiment.Expect.Target)
	for _, stage := range experiment.Stages {
		if stage.Service != "" {
			services = append(services, l.family(stage.Service)...)
		}
	}
	return jenner.Drill{ID: l.newID("d", now), Experiment: experiment, Round: 1, StartedAt: now,
		Versions: learn.VersionsAt(l.Docs(), services)}
}

// guarded wraps what every stage of a drill does first: it stops the drill when somebody stopped it or Jenner, or when an
// abort condition holds, and only then lets the faults live on.
func (l *Lab) guarded(ctx context.Context, step *drillStep) (line.Next, bool) {
	if why := l.brokenOff.Load(); why != nil {
		return l.abort(step, *why), true
	}
	for _, hold := range l.Holds() {
		if hold.Scope == jenner.HoldAll {
			return l.abort(step, fmt.Sprintf("%s stopped Jenner", hold.By)), true
		}
	}
	halfway := anyBegun(step.State) && !begun(step.State)
	if (len(step.State.Faults) > 0 || halfway) && step.State.InjectedAt.Before(l.Started) {
		// Whoever starts takes back what is left, so that what is seen from here on says nothing about the runbook.
		return l.abort(step, "Jenner was started anew while the fault was on"), true
	}
	experiment, unseen := step.State.Present(), ""
	for _, expression := range experiment.AbortIf {
		why, yes := l.abortIf(expression, experiment)
		if yes {
			return l.abort(step, why), true
		}
		if why != "" {
			unseen = why
		}
	}
	return l.renew(ctx, step, unseen)
}

// renew lets the faults live on for another lease, unless there is an abort condition that cannot be seen at present: then
// they end with the lease that they have.
func (l *Lab) renew(ctx context.Context, step *drillStep, unseen string) (line.Next, bool) {
	now, lease := l.Now(), l.lease(step)
	for i, record := range step.State.Faults {
		switch left := record.Until.Sub(now); {
		case unseen != "" && left <= 0:
			return l.abort(step, unseen+", so that the lease of "+record.Fault+" was not renewed"), true
		case unseen != "" || left > lease/2:
			continue
		}
		renewed, err := l.Injector.Renew(ctx, record, lease)
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

// abortIf evaluates one abort condition. One that cannot be evaluated aborts: nobody knows whether it is safe to go on. One
// that does not hold, but names a probe of which nothing is known at present, gives a reason and does not abort yet.
func (l *Lab) abortIf(expression string, experiment jenner.Experiment) (string, bool) {
	condition, err := l.compiled(expression)
	var holds bool
	if err == nil {
		holds, err = condition.Eval(l.env(experiment))
	}
	switch {
	case err != nil:
		return fmt.Sprintf("abort condition %q cannot be evaluated: %v", expression, err), true
	case holds:
		return "abort condition: " + expression, true
	}
	now := l.Now()
	for _, probe := range condition.Probes() {
		if probe.Service == "" {
			probe.Service = experiment.Service
		}
		if state, known := l.Telemetry.Probe(probe.Service, probe.Name); !known || !state.Fresh(now) {
			return fmt.Sprintf("abort condition %s: probe %s of %s gives no answers", expression, probe.Name, probe.Service), false
		}
	}
	return "", false
}

// compiled is a condition, which is read once.
func (l *Lab) compiled(expression string) (*runbook.Condition, error) {
	if known, is := l.conditions.Load(expression); is {
		return known.(*runbook.Condition), nil
	}
	condition, err := runbook.Compile(expression, nil)
	if err == nil {
		l.conditions.Store(expression, condition)
	}
	return condition, err
}

// env is what the conditions of an experiment are held against.
func (l *Lab) env(experiment jenner.Experiment) runbook.Env {
	return runbook.Env{Telemetry: l.Telemetry, Now: l.Now(), Service: experiment.Service}
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
