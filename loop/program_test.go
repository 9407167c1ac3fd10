package loop_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/sim"
	"github.com/jenner-heal/jenner/runbook"
	"github.com/jenner-heal/jenner/store/sqlite"
)

var names = catalog.Merge(sim.Provider, core.Provider)

// machine is what outlives a program: the world, the disk, the files, and the person who is paged.
type machine struct {
	t     *testing.T
	world *sim.World
	dir   string
	docs  *jenner.Documents
	later atomic.Pointer[jenner.Documents] // in the place of docs, where the files changed while the program runs

	mu       sync.Mutex
	kill     *jenner.Hold // the kill switch
	blind    bool         // nothing can be seen of the world
	planned  []jenner.Planned
	budgets  map[string]float64 // what is left of the error budgets, by service
	pages    []string
	timeline []entry
	program  *program
	dies     func(at int, what string, change *jenner.Change) death // asked at each use of the disk
	uses     int
}

// entry is one line of the story, of whatever incident or drill.
type entry struct {
	jenner.Entry
	line, id string
}

// death says whether the program dies at a use of the disk.
type death int

const (
	lives death = iota
	diesBefore
	diesAfter
)

var errDead = errors.New("this program is dead")

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, world: sim.NewWorld(t.Name(), time.Now), dir: t.TempDir(), docs: &jenner.Documents{}, budgets: map[string]float64{}}
	t.Cleanup(m.world.Close)
	return m
}

// program is one start of Jenner, put together as package app does it.
type program struct {
	*machine
	store               *sqlite.Store
	disk                *disk
	telemetry           *sim.Telemetry
	engine              *detect.Engine
	executor            *act.Executor
	loop                *loop.World
	lab                 *loop.Lab
	drills              *line.Line[jenner.Drill]
	runner, drillRunner *line.Runner
	intake              *loop.Intake
	ctx                 context.Context
	cancel              context.CancelFunc
	running             sync.WaitGroup

	holdMu sync.Mutex
	holds  []jenner.Hold // those of drills; they do not outlive the program
}

// boot starts Jenner.
func (m *machine) boot() {
	m.t.Helper()
	p := &program{machine: m}
	var err error
	if p.store, err = sqlite.Open(m.dir, sqlite.Options{Lock: true}); err != nil {
		m.t.Fatal(err)
	}
	p.disk = &disk{Store: p.store, machine: m}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.build()
	if _, err := p.lab.Injector.UndoAll(p.ctx, func(jenner.FaultRecord) bool { return true }); err != nil {
		p.loop.Logger.Info("left from before", "error", err)
	}
	open, err := p.records(p.ctx, loop.IncidentLine, time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, record := range open {
		var incident jenner.Incident
		if err := json.Unmarshal(record.State, &incident); err != nil {
			m.t.Fatal(err)
		}
		p.loop.Board.Restore(incident.Alerts)
	}
	incidents := loop.Incidents(p.loop)
	incidents.Committed = p.committed
	p.drills = loop.Drills(p.lab)
	p.drills.Committed = p.committed
	p.runner, p.drillRunner = line.NewRunner(4, p.loop.Logger, incidents), line.NewRunner(4, p.loop.Logger, p.drills)
	if p.intake, err = loop.NewIntake(p.ctx, p.loop, incidents, func(line, id string) { p.runner.Wake(p.ctx, line, id) }); err != nil {
		m.t.Fatal(err)
	}
	p.loop.Explains, p.loop.Told = p.intake.Explains, p.intake.Told
	p.engine.Set(m.docs)
	if err := p.telemetry.Set(m.docs.Services); err != nil {
		m.t.Fatal(err)
	}
	p.telemetry.Blind(m.blind)
	m.program = p
	p.running.Go(func() { p.telemetry.Run(p.ctx) })
	p.running.Go(func() { p.engine.Run(p.ctx) })
	p.running.Go(func() { p.intake.Run(p.ctx) })
	p.running.Go(func() { p.runner.Run(p.ctx) })
	p.running.Go(func() { p.drillRunner.Run(p.ctx) })
}

func (p *program) build() {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(p.t.Output(), nil))
	}
	board := detect.NewBoard(time.Now)
	p.telemetry = sim.NewTelemetry(p.world, func(state jenner.ProbeState) { p.engine.OnProbe(state) })
	p.engine = detect.New(detect.Options{Telemetry: p.telemetry, Board: board, Now: time.Now, HasData: p.telemetry.HasData, Logger: logger,
		Triggers: func(book jenner.Runbook) (string, string, error) {
			promql, err := runbook.Trigger(*book.Trigger)
			return book.Name, promql, err
		}})
	p.executor = &act.Executor{Journal: p.disk, Now: time.Now, Held: p.held}
	docs := func() *jenner.Documents { return cmp.Or(p.later.Load(), p.docs) }
	p.loop = &loop.World{Store: p.disk, Docs: docs, Telemetry: p.telemetry, Board: board, AskNow: p.telemetry.AskNow, Holds: p.allHolds,
		Notify: p.notify, Records: p.records, Now: time.Now, Started: time.Now(), Logger: logger}
	p.loop.Steady = func(ctx context.Context, service jenner.Service) []jenner.Check {
		return p.engine.Steady().Check(service, p.telemetry, ctx)
	}
	p.loop.Planned = func(service jenner.Service, now time.Time) (events []jenner.Planned, gaps []string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, one := range p.planned {
			if one.Covers(service, now) {
				events = append(events, one)
			}
		}
		return events, nil
	}
	p.loop.Stepper = &act.Stepper{Executor: p.executor, Docs: docs, Action: func(name, kind string, params jenner.Params) (string, act.Action, error) {
		entry, err := names.Action(name, kind)
		return decoded(entry, params, err)
	}, Host: func(incident *jenner.Incident) act.Host {
		return act.Host{Telemetry: p.telemetry, Page: func(ctx context.Context, _ jenner.Severity, title, _ string) error {
			return p.notify(ctx, "", notify.Message{Title: title})
		}}
	}}
	p.loop.Budgets = p.budgetsOf
	journal, err := chaos.OpenJournal(filepath.Join(p.dir, "faults"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.lab = &loop.Lab{World: p.loop, Hold: p.hold, Release: p.release, Ask: p.ask, Injector: &chaos.Injector{Journal: journal, Now: time.Now,
		Held: func() (jenner.Hold, bool) { return p.held("") },
		Build: func(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
			entry, err := names.Fault(name, kind)
			return decoded(entry, params, err)
		}}}
}

// budgetsOf gives the budgets of a service's SLOs; those of a service that no story speaks of are not known.
func (p *program) budgetsOf(_ context.Context, service jenner.Service) []decide.Budget {
	p.mu.Lock()
	defer p.mu.Unlock()
	var budgets []decide.Budget
	for _, slo := range service.SLOs {
		left, known := p.budgets[service.Name]
		budgets = append(budgets, decide.Budget{SLO: slo.Name, Left: left, Known: known, Why: "nobody has measured it"})
	}
	return budgets
}

// ask answers a question of the kind knob: `ask: {knob: {knob: "flag:rows"}}`.
func (p *program) ask(_ context.Context, service jenner.Service, ask jenner.Ask) (string, error) {
	var knob string
	if err := json.Unmarshal(ask.Params["knob"], &knob); err != nil || ask.Kind != "knob" {
		return "", fmt.Errorf("nobody can ask %s %s: %w", ask.Kind, ask.Params, err)
	}
	if answer := p.world.Knob(service.Name, knob); answer != "" {
		return answer, nil
	}
	return "", fmt.Errorf("nobody knows %s", knob)
}

func decoded[T any](entry catalog.Entry[T], params jenner.Params, err error) (string, T, error) {
	var none T
	if err != nil {
		return "", none, err
	}
	value := entry.New()
	for _, problem := range strict.Params(params, value) {
		err = errors.Join(err, errors.New(problem.Message))
	}
	return entry.Name, value, err
}

// shut stops Jenner as SIGTERM does. After kill -9 the disk answers nothing any more, so that this only clears away.
func (p *program) shut() {
	p.cancel()
	p.running.Wait()
	if err := p.store.Close(); err != nil {
		p.t.Error(err)
	}
	p.program = nil
}

// crash stops Jenner as kill -9 does.
func (p *program) crash() {
	p.disk.die()
	p.shut()
}

func (p *program) committed(change jenner.Change) {
	if change.Record.Line == loop.IncidentLine {
		p.intake.Committed(change)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range change.Timeline {
		p.timeline = append(p.timeline, entry{one, change.Record.Line, change.Record.ID})
	}
}

func (p *program) notify(_ context.Context, _ string, message notify.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages = append(p.pages, message.Title)
	return nil
}

// records are the open ones of a line and those that were opened since.
func (p *program) records(ctx context.Context, name string, since time.Time) ([]jenner.Record, error) {
	open, err := p.store.List(ctx, name, sqlite.ListFilter{OpenOnly: true})
	if err != nil {
		return nil, err
	}
	lately, err := p.store.List(ctx, name, sqlite.ListFilter{Since: since})
	for _, record := range lately {
		if record.Ended {
			open = append(open, record)
		}
	}
	return open, err
}

func (m *machine) stop(by string) {
	hold := jenner.Hold{Scope: jenner.HoldAll, By: by, At: time.Now()}
	m.mu.Lock()
	m.kill = &hold
	m.mu.Unlock()
	if m.program != nil {
		m.program.executor.Halt(hold)
	}
}

func (m *machine) see(can bool) {
	m.blind = !can
	if m.program != nil {
		m.program.telemetry.Blind(m.blind)
	}
}

func (m *machine) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kill = nil
}

func (p *program) allHolds() []jenner.Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holdMu.Lock()
	defer p.holdMu.Unlock()
	var all []jenner.Hold
	if p.kill != nil {
		all = append(all, *p.kill)
	}
	return append(all, p.holds...)
}

func (p *program) held(service string) (jenner.Hold, bool) {
	for _, hold := range p.allHolds() {
		if hold.Covers(service, time.Now()) {
			return hold, true
		}
	}
	return jenner.Hold{}, false
}

func (p *program) hold(hold jenner.Hold) {
	p.holdMu.Lock()
	defer p.holdMu.Unlock()
	for i, other := range p.holds {
		if other.By == hold.By && other.Scope == hold.Scope {
			p.holds[i] = hold
			return
		}
	}
	p.holds = append(p.holds, hold)
}

func (p *program) release(by string) {
	p.holdMu.Lock()
	defer p.holdMu.Unlock()
	var kept []jenner.Hold
	for _, hold := range p.holds {
		if hold.By != by {
			kept = append(kept, hold)
		}
	}
	p.holds = kept
}

// drill puts a drill on the line.
func (p *program) drill(experiment string) error {
	for _, one := range p.docs.Experiments {
		if one.Name == experiment {
			drill := p.lab.NewDrill(one, time.Now())
			if err := p.drills.Create(p.ctx, drill.ID, one.Service, drill); err != nil {
				return err
			}
			p.drillRunner.Wake(p.ctx, loop.DrillLine, drill.ID)
			return nil
		}
	}
	return fmt.Errorf("there is no experiment %q", experiment)
}

// disk is the store as one program sees it: real, until the program dies.
type disk struct {
	*sqlite.Store
	machine *machine
	mu      sync.Mutex
	dead    bool
}

func (d *disk) die() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// use is one use of the disk, at which the program may die: before it, or after it and before the program knows.
func (d *disk) use(what string, change *jenner.Change, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDead
	}
	d.machine.mu.Lock()
	d.machine.uses++
	at, dies := d.machine.uses, d.machine.dies
	d.machine.mu.Unlock()
	fate := lives
	if dies != nil {
		fate = dies(at, what, change)
	}
	if fate == diesBefore {
		d.dead = true
		return errDead
	}
	err := do()
	if fate == diesAfter {
		d.dead = true
		return errDead
	}
	return err
}

func (d *disk) Commit(ctx context.Context, change jenner.Change) error {
	return d.use("commit "+string(change.Record.Phase), &change, func() error { return d.Store.Commit(ctx, change) })
}

func (d *disk) Begin(ctx context.Context, intent jenner.Intent) (stored jenner.Intent, fresh bool, err error) {
	err = d.use("begin", nil, func() (err error) {
		stored, fresh, err = d.Store.Begin(ctx, intent)
		return err
	})
	return stored, fresh, err
}

func (d *disk) Finish(ctx context.Context, intent jenner.Intent) error {
	return d.use("finish", nil, func() error { return d.Store.Finish(ctx, intent) })
}

func (d *disk) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}
