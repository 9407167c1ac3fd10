package loop_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/provider/sim"
)

// simProgram is one start of Jenner within a simulation: put together as package app does it, but with the simulation's
// schedule in the place of the runner, and everything that has a goroutine of its own driven by it.
type simProgram struct {
	*simulation
	store     *simDisk
	telemetry *sim.Telemetry
	engine    *detect.Engine
	executor  *act.Executor
	loop      *loop.World
	lab       *loop.Lab
	incidents *line.Line[jenner.Incident]
	drills    *line.Line[jenner.Drill]
	intake    *loop.Intake
	changes   <-chan jenner.Alert
	ctx       context.Context
	cancel    context.CancelCauseFunc
	holds     []jenner.Hold // those of drills; they do not outlive the program
	flights   map[string]*simFlight
	due       map[string]time.Time // when each record is due, as the store has it
	flying    int
}

// simFlight is one record that a worker has; again asks for one more call when it is done.
type simFlight struct{ again bool }

// boot starts Jenner. It takes back what faults were left first, which may take time.
func (s *simulation) boot() {
	s.start(s.life, s.starting)
}

func (s *simulation) starting(ctx context.Context) {
	p := &simProgram{simulation: s, flights: map[string]*simFlight{}, due: map[string]time.Time{}}
	p.store = &simDisk{Store: s.kept, kept: s.kept, program: p}
	p.ctx, p.cancel = context.WithCancelCause(s.life)
	p.build()
	during, cancel := context.WithTimeout(ctx, 30*time.Second+time.Microsecond)
	defer cancel()
	_, err := p.lab.Injector.UndoAll(during, func(jenner.FaultRecord) bool { return true })
	s.note("boot %v", err)
	open, err := p.records(p.ctx, loop.IncidentLine, s.clock())
	s.must(err)
	for _, record := range open {
		var incident jenner.Incident
		s.must(json.Unmarshal(record.State, &incident))
		p.loop.Board.Restore(incident.Alerts)
	}
	p.incidents, p.drills = loop.Incidents(p.loop), loop.Drills(p.lab)
	p.incidents.Committed = func(change jenner.Change) { p.intake.Committed(change) }
	p.intake, err = loop.NewIntake(p.ctx, p.loop, p.incidents, func(line, id string) { p.launch(line, id, true) })
	s.must(err)
	p.engine.Set(s.docs)
	s.must(p.telemetry.Set(s.docs.Services))
	p.telemetry.Blind(s.blind)
	p.changes, _ = p.loop.Board.Subscribe(1024)
	s.program = p
	p.look()
	p.second()
}

func (p *simProgram) build() {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	board := detect.NewBoard(p.clock)
	p.telemetry = sim.NewTelemetry(p.world, p.heard)
	p.telemetry.Now = p.clock
	p.engine = detect.New(detect.Options{Telemetry: p.telemetry, Board: board, Now: p.clock, HasData: p.telemetry.HasData, Logger: logger})
	p.executor = &act.Executor{Journal: p.store, Now: p.clock, Held: p.held}
	docs := func() *jenner.Documents { return p.docs }
	p.loop = &loop.World{Store: p.store, Docs: docs, Telemetry: p.telemetry, Board: board, AskNow: p.askNow, Holds: p.allHolds,
		Notify: p.notify, Records: p.records, Explains: func(service string) (string, bool) { return p.intake.Explains(service) },
		Told: func(alert jenner.Alert) bool { return p.intake.Told(alert) }, Now: p.clock, Started: p.clock(), Logger: logger, NewID: p.newID}
	p.loop.Steady = func(context.Context, jenner.Service) []jenner.Check { return nil }
	p.loop.Stepper = &act.Stepper{Executor: p.executor, Docs: docs, Chance: p.chance.Float64,
		Action: func(name, kind string, params jenner.Params) (string, act.Action, error) {
			entry, err := names.Action(name, kind)
			full, action, err := decoded(entry, params, err)
			return full, p.law.watched(action), err
		},
		Host: func(*jenner.Incident) act.Host { return act.Host{Telemetry: p.telemetry} }}
	journal, err := chaos.OpenJournal(filepath.Join(p.dir, "faults"))
	p.must(err)
	p.lab = &loop.Lab{World: p.loop, Hold: p.hold, Release: p.release, Injector: &chaos.Injector{Journal: journal, Now: p.clock,
		Held: func() (jenner.Hold, bool) { return p.held("") },
		Build: func(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
			entry, err := names.Fault(name, kind)
			return decoded(entry, params, err)
		}}}
}

// kill ends Jenner as kill -9 does: whatever it does from here on reaches neither disk nor memory. What is under way in
// the world may come about all the same.
func (p *simProgram) kill() {
	p.note("dead")
	p.store.dead = true
	p.simulation.program = nil
	p.cancel(errDead)
	p.schedule.kill()
}

// died starts Jenner again where it has died at a use of the disk.
func (s *simulation) died() {
	if s.program != nil && s.program.store.dead {
		s.program.kill()
		s.reboot()
	}
}

// launch lets a worker call one record as soon as it can; again asks for one more call where one has it already.
func (p *simProgram) launch(line, id string, again bool) {
	key := line + " " + id
	if flight, flying := p.flights[key]; flying {
		flight.again = flight.again || again
		return
	}
	p.flights[key] = &simFlight{}
	delete(p.due, key)
	p.in(0, func() { p.fly(line, id, key) })
}

func (p *simProgram) fly(line, id, key string) {
	if p.store.dead {
		return
	}
	if p.flying >= p.workers {
		p.in(time.Millisecond, func() { p.fly(line, id, key) })
		return
	}
	p.flying++
	p.steps++
	reconcile := p.incidents.Reconcile
	if line == loop.DrillLine {
		reconcile = p.drills.Reconcile
	}
	p.start(p.ctx, func(ctx context.Context) {
		due, err := reconcile(ctx, id)
		p.landed(line, id, key, due, err)
	})
}

// landed decides when a record is looked at next, as the runner does.
func (p *simProgram) landed(line, id, key string, due time.Time, err error) {
	flight := p.flights[key]
	p.flying--
	delete(p.flights, key)
	if p.store.dead {
		return
	}
	passed := errors.Is(err, jenner.ErrConflict) || errors.Is(err, jenner.ErrNotFound)
	switch {
	case err != nil && !passed:
		p.breaks("every step can be made", "%s %s: %v", line, id, err)
	case flight.again:
		p.launch(line, id, false)
	case err == nil && !due.IsZero():
		p.due[key] = due
		p.in(due.Sub(p.clock()), func() {
			if !p.store.dead && p.due[key].Equal(due) && !due.After(p.clock()) {
				p.launch(line, id, false)
			}
		})
	}
	p.listen()
}

// second is what happens every second, whatever else happens: the store is asked what is due, and the intake looks at all
// that fires.
func (p *simProgram) second() {
	if p.store.dead {
		return
	}
	for _, name := range []string{loop.IncidentLine, loop.DrillLine} {
		ids, _, err := p.kept.Due(p.ctx, name, p.clock(), 1000)
		p.must(err)
		for _, id := range ids {
			p.launch(name, id, false)
		}
	}
	p.in(time.Second, p.second)
	p.intake.Forget()
	for _, alert := range p.loop.Board.AllFiring() {
		p.intake.Take(p.ctx, alert)
	}
}

// listen gives the intake what changed on the board.
func (p *simProgram) listen() {
	if p.store.dead || len(p.changes) == 0 {
		return
	}
	p.in(0, func() {
		for !p.store.dead && len(p.changes) > 0 {
			p.intake.Take(p.ctx, <-p.changes)
		}
	})
}

// look asks the probes that are due.
func (p *simProgram) look() {
	if p.store.dead {
		return
	}
	p.telemetry.Look(p.ctx)
	p.listen()
	p.in(probeEvery, p.look)
}

func (p *simProgram) askNow(service string) {
	p.telemetry.AskNow(service)
	p.in(time.Millisecond, func() {
		if !p.store.dead {
			p.telemetry.Look(p.ctx)
			p.listen()
		}
	})
}

// heard is where what the probes saw goes astray: it comes late, twice or not at all.
func (p *simProgram) heard(state jenner.ProbeState) {
	if state.Status == jenner.ProbePassing && state.Streak > 2 && len(p.loop.Board.Firing(state.Service)) == 0 {
		return // says nothing new
	}
	tell := func() {
		if !p.store.dead {
			p.engine.OnProbe(state)
			p.listen()
		}
	}
	switch chance := p.chance.Float64(); {
	case p.calm || chance >= p.temper.astray:
		tell()
	case chance < p.temper.astray/3: // lost
	case chance < p.temper.astray*2/3:
		tell()
		p.in(p.between(0, time.Second), tell)
	default:
		p.in(p.between(0, 5*time.Second), tell)
	}
}

func (p *simProgram) notify(_ context.Context, _ string, message notify.Message) error {
	p.note("page %s", message.Title)
	p.later(p.between(100*time.Millisecond, pick(p.simulation, time.Second, 2*time.Second, 20*time.Second)), func() { p.come(message.Service) })
	return nil
}

func (p *simProgram) allHolds() []jenner.Hold {
	if p.stopped != nil {
		return append([]jenner.Hold{*p.stopped}, p.holds...)
	}
	return p.holds
}

func (p *simProgram) held(service string) (jenner.Hold, bool) {
	for _, hold := range p.allHolds() {
		if hold.Covers(service, p.clock()) {
			return hold, true
		}
	}
	return jenner.Hold{}, false
}

func (p *simProgram) hold(hold jenner.Hold) {
	for i, other := range p.holds {
		if other.By == hold.By && other.Scope == hold.Scope {
			p.holds[i] = hold
			return
		}
	}
	p.holds = append(p.holds, hold)
}

func (p *simProgram) release(by string) {
	var kept []jenner.Hold
	for _, hold := range p.holds {
		if hold.By != by {
			kept = append(kept, hold)
		}
	}
	p.holds = kept
}

func (p *simProgram) records(ctx context.Context, name string, since time.Time) ([]jenner.Record, error) {
	return p.kept.records(ctx, name, since)
}
