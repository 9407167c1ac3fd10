// Package app is the composition root: it puts the parts together, starts them in one straight line and stops them in
// the reverse order.
//
// It is for wiring. It is not for deciding or doing anything: what the parts do stands in their own packages.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/calendar"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/runbook"
	"github.com/jenner-heal/jenner/store/sqlite"
	"github.com/jenner-heal/jenner/telemetry"
)

// Options are what a Jenner is made from. Config, Data, Catalog and Logger must be set.
type Options struct {
	Config   []string // folders and files
	Data     string   // the folder that holds all state
	Catalog  *catalog.Catalog
	Logger   *slog.Logger
	Fallback []notify.Notifier // told about everything, whatever channel a policy names
	Listen   string            // address of /metrics and /healthz; none where empty
	Reaper   []string          // command of the reaper process; without it no fault is injected
	Holder   []string          // command of a process that holds a fault, but for the fault's ID
	Baseline time.Duration     // how long the steady state is learned; detect's default where zero
	DryRun   bool              // decide, but change nothing
	Schedule bool              // run the experiments that have a schedule when their times come
	Workers  int               // incidents at the same time; 16 where zero
	// Through, where it is set, stands between the lines and the store, for whoever wants to see or to break what they
	// keep. It must pass on all that it does not break.
	Through func(store *sqlite.Store) Disk
	// Objects, where it is set, are documents beside the files, asked for whenever the files are read; OnObjects hears what
	// became of them. Config may then be empty.
	Objects   func() []config.Object
	OnObjects func(standings []config.Standing)
	// Fence, where it is set, says why this process may change nothing at this moment: another one may act in its place.
	Fence func() error
	// OnChange hears of everything that the lines commit. It must not block.
	OnChange func(change jenner.Change)
}

// Disk is what the lines and the executor keep their state on.
type Disk interface {
	loop.Store
	act.Journal
}

// drillWorkers are for as many drills at the same time.
const drillWorkers = 4

// App is one running Jenner.
type App struct {
	Options
	docs     atomic.Pointer[jenner.Documents]
	Store    *sqlite.Store
	Holds    *Holds
	World    *loop.World
	Metrics  *learn.Metrics
	Injector *chaos.Injector

	bind        binder
	metrics     *telemetry.Store
	view        telemetry.View
	scraper     *telemetry.Scraper
	prober      *telemetry.Prober
	observers   *telemetry.Observers
	servers     *telemetry.Servers
	blind       map[string]time.Time // servers whose silence people were told of, and since when it was; the servers' own goroutine's
	changes     *detect.Changes
	engine      *detect.Engine
	taker       *detect.Taker
	asker       *asker
	router      *notify.Router
	executor    *act.Executor
	incidents   *line.Line[jenner.Incident]
	drills      *line.Line[jenner.Drill]
	runner      *line.Runner
	drillRunner *line.Runner
	intake      *loop.Intake
	lab         *loop.Lab
	calendars   *calendar.Reader
	budgets     *detect.Budgets
	reaper      *chaos.Reaper
	wrote       lastWrite
	heard       hearing
	stops       []func() error
	running     context.Context
	changed     atomic.Bool // an incident has changed since followers were told
	Address     net.Addr    // that Listen came to
}

// New reads the files and opens the data directory. What is wrong with either is an error, and nothing stays open.
func New(opts Options) (*App, error) {
	a := &App{Options: opts, bind: binder{opts.Catalog}, Metrics: learn.NewMetrics()}
	docs, err := a.read()
	if err != nil {
		return nil, err
	}
	a.docs.Store(docs)
	a.reaper = &chaos.Reaper{Command: a.Reaper, Log: filepath.Join(a.Data, "reaper.log")}
	a.onStop(a.reaper.Stop) // the last to stop: what it has to undo may outlive everything else
	if a.Store, err = sqlite.Open(a.Data, sqlite.Options{Lock: true}); err != nil {
		return nil, err
	}
	a.onStop(a.Store.Close)
	if err := a.build(); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

// read loads and checks the files, and the objects. Warnings are told; mistakes in files refuse, those in objects leave them out.
func (a *App) read() (*jenner.Documents, error) {
	if a.Objects != nil {
		return a.readObjects()
	}
	loaded, err := config.Load(a.Config...)
	if err != nil {
		return nil, err
	}
	if problems := loaded.Check(catalog.Names{Catalog: a.Catalog}); len(problems) > 0 {
		return nil, problems
	}
	for _, warning := range loaded.Warnings() {
		a.Logger.Warn(warning.String())
	}
	return loaded.Documents, nil
}

// Docs are the files as they were last read.
func (a *App) Docs() *jenner.Documents { return a.docs.Load() }

// build makes every part. Nothing runs yet.
func (a *App) build() error {
	started := time.Now()
	var disk Disk = a.Store
	if a.Through != nil {
		disk = a.Through(a.Store)
	}
	a.Holds = NewHolds(a.Data, time.Now)
	a.Holds.fence = a.Fence
	var err error
	a.metrics, err = telemetry.Open(filepath.Join(a.Data, "metrics"), telemetry.Options{Logger: a.Logger})
	if err != nil {
		return err
	}
	a.onStop(a.metrics.Close)
	board := detect.NewBoard(time.Now)
	a.taker = detect.NewTaker(board, time.Now, a.Logger)
	a.scraper = telemetry.NewScraper(telemetry.ScraperOptions{Store: a.metrics, Build: a.bind.source, Logger: a.Logger})
	a.prober = telemetry.NewProber(telemetry.ProberOptions{Append: a.metrics.Append, Build: a.bind.probe, Alive: a.bind.alive,
		OnState: func(state jenner.ProbeState) { a.engine.OnProbe(state) }, Logger: a.Logger})
	a.servers = telemetry.NewServers(a.metrics, a.serverStands, a.Logger)
	a.view = telemetry.View{Store: a.metrics, Prober: a.prober, Servers: a.servers}
	view := a.view
	a.engine = detect.New(detect.Options{Telemetry: view, Board: board, Now: time.Now, Triggers: a.trigger,
		HasData: view.HasData, Complete: view.Complete, Record: a.metrics.Append, Logger: a.Logger,
		Steady: detect.NewSteady(detect.SteadyOptions{Window: a.Baseline})})
	a.router = notify.NewRouter(a.bind.notifier, a.Fallback, a.Logger)
	a.executor = &act.Executor{Journal: disk, Now: time.Now, Held: a.Holds.Held, Fence: a.Fence, DryRun: a.DryRun}
	a.World = &loop.World{Store: disk, Docs: a.Docs, Telemetry: view, Board: board, Holds: a.Holds.All,
		Notify: a.router.Notify, Records: a.records, Now: time.Now, Started: started, Logger: a.Logger}
	a.World.AskNow, a.World.Heard = a.prober.AskNow, a.servers.Heard
	a.asker = &asker{receivers: a.receivers, firing: board.AllFiring, open: a.isOpen, taken: a.taker, now: time.Now, logger: a.Logger}
	a.World.Confirm = a.asker.Confirm
	a.observe()
	a.calendars = calendar.New(calendar.Options{Now: time.Now, Logger: a.Logger})
	a.World.Planned = a.calendars.Planned
	a.budgets = detect.NewBudgets(view, time.Now)
	a.World.Budgets = a.errorBudgets
	a.World.Steady = func(ctx context.Context, service jenner.Service) []jenner.Check {
		return a.engine.Steady().Check(service, view, ctx)
	}
	a.World.Stepper = &act.Stepper{Executor: a.executor, Action: a.bind.action, Docs: a.Docs, Host: a.host}
	if err := a.buildChaos(); err != nil {
		return err
	}
	a.incidents = loop.Incidents(a.World)
	a.incidents.Committed = a.committed
	a.lab = &loop.Lab{World: a.World, Injector: a.Injector, Hold: a.Holds.Put, Release: a.Holds.Release, Ask: a.ask}
	a.drills = loop.Drills(a.lab)
	a.drills.Committed = a.committed
	workers := a.Workers
	if workers == 0 {
		workers = 16
	}
	a.runner = line.NewRunner(workers, a.Logger, a.incidents)
	// Drills have workers of their own: where all others wait for what they heal, the faults must still be watched.
	a.drillRunner = line.NewRunner(drillWorkers, a.Logger, a.drills)
	return nil
}

// errorBudgets are what is left of the error budgets of a service's SLOs.
func (a *App) errorBudgets(ctx context.Context, service jenner.Service) []decide.Budget {
	var budgets []decide.Budget
	for _, slo := range service.SLOs {
		left, err := a.budgets.Left(ctx, service.Name, slo)
		budget := decide.Budget{SLO: slo.Name, Left: left, Known: err == nil}
		if err != nil {
			budget.Why = err.Error()
		}
		budgets = append(budgets, budget)
	}
	return budgets
}

func (a *App) buildChaos() error {
	journal, err := chaos.OpenJournal(filepath.Join(a.Data, faultsDir))
	if err != nil {
		return err
	}
	a.Injector = &chaos.Injector{Journal: journal, Now: time.Now, Build: a.bind.fault, Held: a.Holds.KillSwitch, Guard: a.Guard,
		Holders: &chaos.Holders{Command: a.Holder, Journal: journal}}
	return nil
}

// Guard starts the reaper, which undoes everything when this process dies.
func (a *App) Guard() error {
	if len(a.Reaper) == 0 {
		return errors.New("there is no reaper")
	}
	return a.reaper.Start()
}

// trigger reads a runbook's trigger: the name of a declared alert, or PromQL.
func (a *App) trigger(book jenner.Runbook) (name, promql string, err error) {
	for _, service := range a.Docs().Services {
		for _, rule := range service.Alerts {
			if rule.Name == book.Trigger.Alert {
				return rule.Name, "", nil
			}
		}
	}
	for _, receiver := range a.Docs().Receivers {
		if slices.Contains(receiver.Alerts, book.Trigger.Alert) {
			return book.Trigger.Alert, "", nil
		}
	}
	for _, catalogue := range a.Docs().Catalogues {
		if catalogue.Alerts(book.Trigger.Alert) {
			return book.Trigger.Alert, "", nil
		}
	}
	if builtIn(book.Trigger.Alert) || slices.Contains(catalog.Names{Catalog: a.Catalog}.Reasons(), book.Trigger.Alert) {
		return book.Trigger.Alert, "", nil
	}
	promql, err = runbook.Trigger(*book.Trigger)
	return book.Name, promql, err
}

// builtIn tells whether it is the name of an alert that nobody wrote: of a process, a probe or an SLI.
func builtIn(alert string) bool {
	if strings.ContainsAny(alert, " (){}<>=") {
		return false
	}
	return alert == detect.ProcessGone || alert == jenner.TelemetryDown || strings.HasPrefix(alert, detect.PrefixSLI) ||
		strings.HasSuffix(alert, detect.SuffixFailing) || strings.HasSuffix(alert, detect.SuffixSlow)
}

// host is what an action may use of the program.
func (a *App) host(incident *jenner.Incident) act.Host {
	return act.Host{
		Telemetry: a.view.About(incident.Service),
		Page: func(ctx context.Context, severity jenner.Severity, title, body string) error {
			return a.router.Notify(ctx, incident.Policy.EscalationChannel, notify.Message{Key: incident.ID + "/" + title,
				At: time.Now(), Severity: severity, Incident: incident.ID, Service: incident.Service, Title: title,
				Body: body + "\n" + loop.Context(incident)})
		},
		Progress: func(text string) { a.Logger.Info(text, "incident", incident.ID) },
	}
}

// records are the open ones of a line and those that were opened since.
func (a *App) records(ctx context.Context, name string, since time.Time) ([]jenner.Record, error) {
	open, err := a.Store.List(ctx, name, sqlite.ListFilter{OpenOnly: true})
	if err != nil {
		return nil, err
	}
	lately, err := a.Store.List(ctx, name, sqlite.ListFilter{Since: since})
	for _, record := range lately {
		if record.Ended {
			open = append(open, record)
		}
	}
	return open, err
}

// committed hears of every change after it is on disk.
func (a *App) committed(change jenner.Change) {
	if change.Record.Line == loop.IncidentLine {
		a.intake.Committed(change)
		a.changed.Store(true)
	}
	for _, outcome := range change.Outcomes {
		a.Metrics.Observe(outcome)
	}
	for _, judgement := range change.Judgements {
		a.Metrics.ObserveJudgement(judgement)
	}
	a.count(change.Audit)
	a.countFalseActions(change.Record)
	if a.OnChange != nil {
		a.OnChange(change)
	}
}

// count counts what the audit log tells of decisions.
func (a *App) count(entries []jenner.AuditEntry) {
	for _, entry := range entries {
		var decision jenner.Decision
		var opened struct {
			Runbook string `json:"runbook"`
		}
		switch {
		case entry.Kind == "breaker.opened" && json.Unmarshal(entry.Data, &opened) == nil:
			a.Metrics.BreakerOpened(opened.Runbook)
		case entry.Kind == "decision" && json.Unmarshal(entry.Data, &decision) == nil && decision.Outcome != jenner.DecideAct:
			a.Metrics.Refused(decision.Stopper().Guard)
		}
	}
}

// countFalseActions counts the actions that a drill found to be wrong: on another service than the broken one, or on any
// while nothing was broken.
func (a *App) countFalseActions(record jenner.Record) {
	var drill jenner.Drill
	if record.Line != loop.DrillLine || !record.Ended || json.Unmarshal(record.State, &drill) != nil {
		return
	}
	for _, result := range drill.Results {
		if result.Verdict == jenner.VerdictHarmful {
			a.Metrics.FalseAction()
		}
	}
}

func (a *App) onStop(stop func() error) { a.stops = append(a.stops, stop) }

// Stop stops what was started, the last first. It may be called more than once.
func (a *App) Stop() error {
	var err error
	for i := len(a.stops) - 1; i >= 0; i-- {
		err = errors.Join(err, a.stops[i]())
	}
	a.stops = nil
	return err
}

// Drill puts a drill of an experiment on the line and gives its id.
func (a *App) Drill(ctx context.Context, experiment jenner.Experiment) (string, error) {
	drill := a.lab.NewDrill(experiment, time.Now())
	err := a.drills.Create(ctx, drill.ID, experiment.Service, drill, jenner.Entry{At: drill.StartedAt,
		Phase: jenner.PhasePreflight, Kind: "drill", Text: experiment.Hypothesis})
	if err != nil {
		return "", fmt.Errorf("cannot begin the drill: %w", err)
	}
	a.drillRunner.Wake(a.running, loop.DrillLine, drill.ID)
	return drill.ID, nil
}

// BreakOff ends all drills: what they broke is taken back and each says ABORTED, and why.
func (a *App) BreakOff(why string) { a.lab.BreakOff(why) }

// Executor is the one place through which things are changed.
func (a *App) Executor() *act.Executor { return a.executor }

// Action makes an action out of what a file says.
func (a *App) Action(name, kind string, params jenner.Params) (string, act.Action, error) {
	return a.bind.action(name, kind, params)
}

// OpenIncidents is how many incidents are open.
func (a *App) OpenIncidents() int { return a.intake.OpenCount() }

// SteadyKnown tells whether every SLI of every service has bounds by now.
func (a *App) SteadyKnown() (known, total int) {
	for _, service := range a.Docs().Services {
		for _, sli := range service.SLIs {
			total++
			if _, ok := a.engine.Steady().Bounds(service.Name, sli.Name); ok {
				known++
			}
		}
	}
	return known, total
}

// AllProbesPassing says which probe does not pass; nothing where all do.
func (a *App) AllProbesPassing() string {
	for _, service := range a.Docs().Services {
		for _, state := range a.World.Telemetry.Probes(service.Name) {
			if state.Status != jenner.ProbePassing {
				return fmt.Sprintf("probe %s of %s is %s: %s", state.Name, service.Name, state.Status, state.Message)
			}
		}
	}
	return ""
}
