package loop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/provider/sim"
)

// law is what must hold whatever happens. It keeps its own account of everything, from what reaches the disk and the
// world, and believes nothing that Jenner says of itself.
type law struct {
	*simulation
	records   map[string]*account // by line and id
	ledger    map[string]jenner.LedgerEntry
	intents   map[string]*deed
	acting    map[string]string                 // place to the run that has an effect under way there
	ours      map[string]string                 // knob or life of a service to the run that changed it last; nobody's where missing
	votes     map[string]map[string]jenner.Vote // by request and person
	attempts  map[string]int                    // runs for a cause on a place since health was verified there
	effects   int
	jumped    bool // the clock has jumped
	calmSince time.Time
}

// account is what is known of one record.
type account struct {
	record   jenner.Record // without its state
	decision jenner.Decision
	request  jenner.Request  // the last one
	granted  map[string]int  // runs by request
	recorded map[string]bool // keys of effects that a step in the audit log tells of
}

// deed is what is known of one intent.
type deed struct {
	intent   jenner.Intent
	begins   int // how often its effect was begun
	done     int // how often its effect came about
	finished bool
}

func newLaw(s *simulation) *law {
	return &law{simulation: s, records: map[string]*account{}, ledger: map[string]jenner.LedgerEntry{}, intents: map[string]*deed{},
		acting: map[string]string{}, ours: map[string]string{}, attempts: map[string]int{}, votes: map[string]map[string]jenner.Vote{}}
}

// follows are the phases that may come after each one.
var follows = map[jenner.Phase][]jenner.Phase{
	jenner.PhaseDetected:  {jenner.PhaseDiagnosed, jenner.PhaseResolved, jenner.PhaseEscalated, jenner.PhaseSuppressed},
	jenner.PhaseDiagnosed: {jenner.PhasePlanned, jenner.PhaseEscalated},
	jenner.PhasePlanned:   {jenner.PhaseDecided, jenner.PhaseDetected, jenner.PhaseResolved, jenner.PhaseEscalated},
	jenner.PhaseDecided:   {jenner.PhaseActing, jenner.PhaseEscalated, jenner.PhasePlanned},
	jenner.PhaseActing:    {jenner.PhaseVerifying, jenner.PhaseUndoing, jenner.PhaseResolved, jenner.PhaseEscalated},
	jenner.PhaseVerifying: {jenner.PhaseResolved, jenner.PhaseMitigated, jenner.PhaseUndoing, jenner.PhasePlanned, jenner.PhaseEscalated},
	jenner.PhaseMitigated: {jenner.PhaseUndoing, jenner.PhaseEscalated, jenner.PhaseResolved},
	jenner.PhaseUndoing:   {jenner.PhasePlanned, jenner.PhaseResolved, jenner.PhaseEscalated},
}

// committed holds what one step of a line has committed.
func (l *law) committed(change jenner.Change) {
	record := change.Record
	key := record.Line + " " + record.ID
	before, known := l.records[key]
	switch {
	case !known && record.Line == loop.IncidentLine:
		l.opened++
		if others := l.openAbout(record.Subject); len(others) > 0 {
			l.breaks("a service has one open incident", "%s is opened about %s, and open are %v", record.ID, record.Subject, others)
		}
		fallthrough
	case !known:
		before = &account{record: jenner.Record{Phase: record.Phase}, recorded: map[string]bool{}, granted: map[string]int{}}
		l.records[key] = before
	case before.record.Ended:
		l.breaks("what has ended is final", "%s has ended in %s and goes on in %s", record.ID, before.record.Phase, record.Phase)
	}
	l.heardOf(before, change)
	for _, entry := range change.Ledger {
		if !entry.Holds(record.Updated) { // given back, even where the clock jumps back to before that
			entry.Until = time.Time{}.Add(1)
		}
		l.ledger[entry.ID] = entry
		if entry.Kind == jenner.LedgerHealth {
			for place := range l.attempts {
				if strings.HasPrefix(place, entry.Place()+" ") {
					delete(l.attempts, place)
				}
			}
		}
	}
	if record.Line == loop.IncidentLine {
		l.went(before, change)
	}
	l.withinCaps(record, change.Ledger)
	record.State = nil
	before.record = record
	switch {
	case record.Ended && record.Line == loop.IncidentLine:
		l.complete(before)
	case record.Ended && decode[jenner.Drill](l.t, change.Record).Residue == "":
		for _, fault := range l.journal() {
			if fault.Drill == record.ID {
				l.breaks("no fault is left behind", "%s has ended, and its fault %s is in the undo journal", record.ID, fault.ID)
			}
		}
	}
}

// heardOf takes in what the audit log is told.
func (l *law) heardOf(of *account, change jenner.Change) {
	for _, entry := range change.Audit {
		switch entry.Kind {
		case "decision":
			l.must(json.Unmarshal(entry.Data, &of.decision))
		case "approval.asked":
			of.request = jenner.Request{}
			l.must(json.Unmarshal(entry.Data, &of.request))
			l.asked(of.request)
		case "step", "undo":
			var record jenner.StepRecord
			l.must(json.Unmarshal(entry.Data, &record))
			of.recorded[record.Key] = true
		}
	}
}

// went follows the phases that a step has led through. Several may be committed together.
func (l *law) went(of *account, change jenner.Change) {
	at := of.record.Phase
	for _, entry := range change.Timeline {
		if entry.Kind != "phase" {
			continue
		}
		from, to, _ := strings.Cut(entry.Text, " → ")
		if from != string(at) || !slices.Contains(follows[at], jenner.Phase(to)) {
			l.breaks("phases follow each other as the line says", "%s stood in %s and went %s", change.Record.ID, at, entry.Text)
		}
		at = jenner.Phase(to)
		if at == jenner.PhaseActing {
			l.begins(of, change)
		}
	}
	if at != change.Record.Phase {
		l.breaks("phases follow each other as the line says", "%s stands in %s, and its timeline says %s", change.Record.ID, change.Record.Phase, at)
	}
	if at.Final() != change.Record.Ended {
		l.breaks("phases follow each other as the line says", "%s in %s has ended: %t", change.Record.ID, at, change.Record.Ended)
	}
}

// begins holds the beginning of a run.
func (l *law) begins(of *account, change jenner.Change) {
	incident := decode[jenner.Incident](l.t, change.Record)
	run := incident.Run()
	if of.decision.Outcome != jenner.DecideAct || of.decision.Runbook != run.Runbook.Name {
		l.breaks("no run begins without a decision to act", "%s begins %s; decided was %s %s", of.record.ID, run.Runbook.Name,
			of.decision.Outcome, of.decision.Runbook)
	}
	asks := false
	for _, guard := range of.decision.Guards {
		asks = asks || guard.Outcome == jenner.DecideAsk
		if guard.Outcome != jenner.DecideAct && guard.Outcome != jenner.DecideAsk {
			l.breaks("no run begins against a guard", "%s begins, and guard %s says %s", run.ID, guard.Guard, guard.Outcome)
		}
	}
	switch mode := incident.Policy.EffectiveMode(); {
	case asks || mode == jenner.ModeApprove:
		l.agreed(of, run)
	case mode != jenner.ModeAuto:
		l.breaks("no run begins without a decision to act", "%s begins %s in mode %s", of.record.ID, run.Runbook.Name, mode)
	}
	place := placeOf(of.decision.Service, run.Target) + " " + string(incident.Policy.IncidentType)
	l.attempts[place]++
	most := incident.Policy.MaxAttempts
	if l.attempts[place] > most && !l.jumped {
		l.breaks("attempts are bounded", "%s is number %d for %s, and %d are allowed", run.ID, l.attempts[place], place, most)
	}
	taken := map[string]bool{}
	for _, entry := range l.ledger {
		if entry.Holds(change.Record.Updated) && entry.Service == of.decision.Service && (entry.Kind != jenner.LedgerFault || entry.Target != run.Target) {
			taken[entry.Place()] = true
		}
	}
	service, _ := l.docs.Service(of.decision.Service)
	if limit, limited := incident.Policy.BlastRadius["max_targets"]; limited && len(taken) > limit.Of(len(service.Targets)) {
		l.breaks("the blast radius holds", "%s begins, and of %s are taken %v; %d are allowed by policy %s", run.ID, of.decision.Service,
			slices.Sorted(maps.Keys(taken)), limit.Of(len(service.Targets)), incident.Policy.Name)
	}
}

// agreed holds a run that people must agree to against what they said.
func (l *law) agreed(of *account, run *jenner.Run) {
	yes, no := 0, 0
	for person, vote := range l.votes[of.request.ID] {
		switch {
		case !slices.Contains(of.request.By, person) || vote.At.After(of.request.Expires):
		case vote.Yes:
			yes++
		default:
			no++
		}
	}
	if of.request.Runbook != run.Runbook.Name || yes < of.request.Need || no > 0 || len(of.request.By) == 0 {
		l.breaks("people agree to what needs their word", "%s begins; %s for %s has %d of %d votes of %v, and %d against it", run.ID,
			of.request.ID, of.request.Runbook, yes, of.request.Need, of.request.By, no)
	}
	if of.granted[of.request.ID]++; of.granted[of.request.ID] > 1 {
		l.breaks("people agree to what needs their word", "%s begins; %s was for one run, and this is number %d", run.ID,
			of.request.ID, of.granted[of.request.ID])
	}
}

// voted keeps a vote. Who says the same again has said it the first time, however late it comes again.
func (l *law) voted(vote jenner.Vote) {
	if was, known := l.votes[vote.Request][vote.Person]; known && was.Yes == vote.Yes {
		return
	}
	if l.votes[vote.Request] == nil {
		l.votes[vote.Request] = map[string]jenner.Vote{}
	}
	l.votes[vote.Request][vote.Person] = vote
}

// withinCaps counts what is held after a commit that takes something.
func (l *law) withinCaps(record jenner.Record, put []jenner.LedgerEntry) {
	takes := false
	for _, entry := range put {
		takes = takes || entry.Holds(record.Updated) && entry.Kind != jenner.LedgerFault
	}
	if !takes {
		return
	}
	all, ofService, holders := map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}
	for id, entry := range l.ledger {
		if !entry.Holds(record.Updated) {
			delete(l.ledger, id)
			continue
		}
		place := entry.Place()
		all[place] = true
		if ofService[entry.Service] == nil {
			ofService[entry.Service] = map[string]bool{}
		}
		ofService[entry.Service][place] = true
		if entry.Kind == jenner.LedgerFault {
			continue
		}
		if holders[place] == nil {
			holders[place] = map[string]bool{}
		}
		holders[place][entry.By] = true
	}
	limits := l.docs.Limits
	if len(all) > limits.AtOnce() {
		l.breaks("the caps hold", "after %s %s %d targets are held at once, and %d are allowed: %v", record.Line, record.ID, len(all),
			limits.AtOnce(), slices.Sorted(maps.Keys(all)))
	}
	for service, places := range ofService {
		if len(places) > limits.OfService() {
			l.breaks("the caps hold", "after %s %s %d targets of %s are held, and %d are allowed", record.Line, record.ID, len(places),
				service, limits.OfService())
		}
	}
	for place, by := range holders {
		if len(by) > 1 {
			l.breaks("one target has one run", "%s is held by %v\n%s", place, slices.Sorted(maps.Keys(by)), l.holding(place, record.Updated))
		}
	}
}

// holding are the entries that hold a place, for people.
func (l *law) holding(place string, now time.Time) string {
	text := ""
	for _, id := range slices.Sorted(maps.Keys(l.ledger)) {
		if entry := l.ledger[id]; entry.Place() == place && entry.Holds(now) {
			text += fmt.Sprintf("%s: %s by %s from %s until %s\n", id, entry.Kind, entry.By, entry.At.Format(time.TimeOnly), entry.Until.Format(time.TimeOnly))
		}
	}
	return text
}

// complete holds the audit log of an incident that has ended against what was done for it.
func (l *law) complete(of *account) {
	for key, one := range l.intents {
		if one.intent.By != of.record.ID || one.done == 0 {
			continue
		}
		if step := strings.TrimSuffix(key, "/undo"); !of.recorded[step] && of.record.Phase != jenner.PhaseEscalated {
			l.breaks("the audit log is complete", "%s has ended in %s; its effect %s came about, and no step tells of it", of.record.ID,
				of.record.Phase, key)
		}
		if !one.finished && of.record.Phase != jenner.PhaseEscalated {
			l.breaks("the audit log is complete", "%s has ended in %s; its effect %s came about, and no result tells of it", of.record.ID,
				of.record.Phase, key)
		}
	}
	for key, one := range l.intents {
		if one.intent.By == of.record.ID {
			delete(l.intents, key)
		}
	}
}

func (l *law) begun(intent jenner.Intent) {
	if l.intents[intent.Key] == nil {
		l.intents[intent.Key] = &deed{}
	}
	l.intents[intent.Key].intent = intent
}

func (l *law) finished(intent jenner.Intent) {
	if l.intents[intent.Key] == nil {
		l.breaks("every effect has its intent", "a result of %s, which was never intended", intent.Key)
		return
	}
	l.intents[intent.Key].finished = true
}

func placeOf(service string, target jenner.TargetRef) string {
	return jenner.LedgerEntry{Service: service, Target: target}.Place()
}

// open are the records that have not ended.
func (l *law) open() []string {
	return append(l.openOf(loop.IncidentLine), l.openOf(loop.DrillLine)...)
}

func (l *law) openOf(line string) []string {
	var open []string
	for key, one := range l.records {
		if !one.record.Ended && one.record.Line == line {
			open = append(open, fmt.Sprintf("%s %s %s", key, one.record.Subject, one.record.Phase))
		}
	}
	slices.Sort(open)
	return open
}

func (l *law) openAbout(subject string) []string {
	var open []string
	for key, one := range l.records {
		if !one.record.Ended && one.record.Line == loop.IncidentLine && one.record.Subject == subject {
			open = append(open, key)
		}
	}
	slices.Sort(open)
	return open
}

// ended holds what is left when all is over.
func (l *law) ended() {
	if l.broken {
		return
	}
	for _, entry := range l.ledger {
		if entry.Until.IsZero() && entry.Holds(l.clock()) {
			l.breaks("everything that was taken is given back", "%s of %s holds %s for ever", entry.ID, entry.By, entry.Place())
		}
	}
	// What could not be proved to be undone while other trouble was on stays in the journal, and is undone at the next start.
	left, done := func(jenner.FaultRecord) bool { return true }, false
	l.start(l.program.ctx, func(ctx context.Context) {
		if _, err := l.program.lab.Injector.UndoAll(ctx, left); err != nil {
			l.breaks("no fault is left behind", "%v", err)
		}
		done = true
	})
	for !done && l.next() {
	}
}

// meddled: somebody else changed a knob of a service, or with no knob started it.
func (l *law) meddled(name, knob string) { delete(l.ours, name+" "+knob) }

func (l *law) noted(effect sim.Effect) {
	l.note("effect %s %s %s", effect.What, effect.Service, effect.Key)
	known := func(fault jenner.FaultRecord) bool { return fault.ID == effect.Key }
	if strings.HasPrefix(effect.What, "fault ") && !slices.ContainsFunc(l.journal(), known) {
		l.breaks("no fault is left behind", "%s on %s begins, and the undo journal does not know %s", effect.What, effect.Service, effect.Key)
	}
}

// journal are the faults that are not proved to be gone.
func (l *law) journal() []jenner.FaultRecord {
	journal, err := chaos.OpenJournal(filepath.Join(l.dir, "faults"))
	l.must(err)
	open, err := journal.Open()
	l.must(err)
	return open
}

// simAction is what the actions of the fake world that change something have in common.
type simAction interface {
	act.Action
	act.Checker
	act.Checkpointer
	act.Resolver
	act.Fingerprinter
}

// watched puts the law between the executor and an action. What only looks is not watched.
func (l *law) watched(action act.Action) act.Action {
	changes, ok := action.(simAction)
	if !ok {
		return action
	}
	one := watched{changes, l}
	if undoer, ok := action.(act.Undoer); ok {
		return watchedUndoer{one, undoer}
	}
	return one
}

type watched struct {
	simAction
	law *law
}

type watchedUndoer struct {
	watched
	undoer act.Undoer
}

// subject names what an action changes: a knob of a service, or whether it lives.
func (w watched) subject(call act.Call) string {
	if set, ok := w.simAction.(*sim.Set); ok {
		return call.Target.Name + " " + set.Knob
	}
	return call.Target.Name + " "
}

// Do carries the effect out, if it may be.
func (w watched) Do(ctx context.Context, call act.Call) (act.Result, error) {
	l := w.law
	place := placeOf(call.Service.Name, call.Target.Ref())
	if !l.mayBegin(call, place) {
		return act.Result{}, errDead
	}
	l.acting[place] = call.Run
	result, err := w.simAction.Do(ctx, call)
	delete(l.acting, place)
	if err == nil && result.Changed {
		l.came(call, w.subject(call))
	}
	if err == nil && l.simulation.stopped != nil && l.program != nil && !strings.HasSuffix(call.Key, "/undo") && result.Changed &&
		l.simulation.stoppedFor() > 0 {
		l.breaks("nothing is done after a stop", "%s came about %s after the stop", call.Key, l.simulation.stoppedFor())
	}
	return result, err
}

// mayBegin holds everything that an effect must heed at the moment at which it begins.
func (l *law) mayBegin(call act.Call, place string) bool {
	undo := strings.HasSuffix(call.Key, "/undo")
	one := l.intents[call.Key]
	record, err := l.kept.Load(context.Background(), loop.IncidentLine, call.Incident)
	l.must(err)
	other, acting := l.acting[place]
	hold, held := l.program.held(call.Service.Name)
	switch {
	case one == nil:
		l.breaks("every effect has its intent", "%s begins and was never intended", call.Key)
	case one.finished:
		l.breaks("each effect is done once", "%s begins and has a result", call.Key)
	case record.Ended:
		l.breaks("what has ended is final", "%s begins, and %s has ended", call.Key, call.Incident)
	case !undo && held:
		l.breaks("nothing is done after a stop", "%s begins, and %s by %s holds", call.Key, hold.Scope, hold.By)
	case acting:
		l.breaks("one target has one run", "%s begins on %s, where %s has an effect under way", call.Key, place, other)
	case !undo && l.clock().After(one.intent.Expires):
		l.breaks("an old intent is not carried out", "%s begins and has expired at %s", call.Key, one.intent.Expires)
	case !undo && !l.touched(call.Run) && !l.fires(record):
		l.breaks("nothing is done about what has passed", "%s begins, and no alert of %s fires", call.Key, call.Incident)
	}
	if one != nil {
		one.begins++
	}
	return !l.broken
}

// touched tells whether a run has begun an effect before. One that an earlier start of Jenner intended counts: nobody
// knows by then who or what has changed the target since.
func (l *law) touched(run string) bool {
	for _, one := range l.intents {
		if one.intent.Run == run && (one.begins > 0 || one.intent.At.Before(l.program.loop.Started)) {
			return true
		}
	}
	return false
}

// fires tells whether an alert of the incident is known to fire by this start of Jenner.
func (l *law) fires(record jenner.Record) bool {
	board, started := l.program.loop.Board, l.program.loop.Started
	alerts := board.Firing(record.Subject)
	for _, alert := range decode[jenner.Incident](l.t, record).Alerts {
		if current, known := board.Get(alert.Fingerprint); known {
			alerts = append(alerts, current)
		}
	}
	return slices.ContainsFunc(alerts, func(alert jenner.Alert) bool {
		return alert.Status == jenner.Firing && !alert.SeenAt.Before(started)
	})
}

// came: an effect came about.
func (l *law) came(call act.Call, subject string) {
	l.effects++
	l.ours[subject] = call.Run
	if one := l.intents[call.Key]; one != nil {
		if one.done++; one.done > 1 {
			l.breaks("each effect is done once", "%s came about %d times", call.Key, one.done)
		}
	}
}

// Undo takes an effect back, if it is this run's.
func (w watchedUndoer) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	l := w.law
	if one := l.intents[call.Key]; one != nil {
		// What is tried again was begun while it was this run's; whose it is now the action itself must see. And it must see
		// what was so already before a crash: nothing tells the executor that it was.
		effect := l.intents[strings.TrimSuffix(call.Key, "/undo")]
		if owner := l.ours[w.subject(call)]; one.begins == 0 && effect != nil && effect.done > 0 && owner != call.Run {
			l.breaks("a run takes back only its own", "%s begins to take back %q, which %q changed last", call.Key, w.subject(call), owner)
		}
		one.begins++
	} else {
		l.breaks("every effect has its intent", "%s begins and was never intended", call.Key)
	}
	result, err := w.undoer.Undo(ctx, call)
	if err == nil && result.Changed {
		if owner := l.ours[w.subject(call)]; owner != call.Run {
			l.breaks("a run takes back only its own", "%s took back %q, which %q changed last", call.Key, w.subject(call), owner)
		}
		l.came(call, w.subject(call))
	}
	return result, err
}
