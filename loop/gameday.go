package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// How a game day is run.
const (
	gamedayTick  = 100 * time.Millisecond
	gamedayLook  = time.Second      // how often it is looked whether people have removed a fault
	gamedayLease = 10 * time.Second // where the document does not say
	gamedayHold  = 5 * time.Second  // how long action is held at a time, so that a dead game day holds nothing
)

// gameday is a game day that goes on. One goroutine owns it.
type gameday struct {
	*Lab
	run     jenner.GamedayRun
	specs   []jenner.FaultSpec            // of each strike
	open    map[string]jenner.FaultRecord // the faults that hold, by the id of the strike
	looked  time.Time
	unseen  string // why an abort condition cannot be seen at present
	spoken  int    // words that were told
	calm    map[string]time.Time
	unsaved bool
	tell    func(jenner.Entry)
}

// RunGameday runs a game day from its beginning to its end: it injects the faults at their times, keeps their leases while
// the abort conditions are good, takes them back, and collects what people said. Whatever ends it, its own end, an abort
// condition, the kill switch or ctx, everything is taken back first. tell hears of what happens, a line each; what is secret
// is not in the text of such a line, but its Data is the jenner.GamedayStrike.
//
// The run is also given beside an error, which says that something could not be written down or not be taken back.
func (l *Lab) RunGameday(ctx context.Context, day jenner.Gameday, tell func(jenner.Entry)) (jenner.GamedayRun, error) {
	g := &gameday{Lab: l, open: map[string]jenner.FaultRecord{}, calm: map[string]time.Time{}, tell: tell}
	if err := g.plan(day); err != nil {
		return g.run, err
	}
	if err := g.begin(ctx); err != nil {
		return g.run, err
	}
	why := g.goOn(ctx)
	err := g.end(context.WithoutCancel(ctx), why)
	return g.run, err
}

// goOn does what is due until nothing is to be waited for any more, or says why the game day must be broken off.
func (g *gameday) goOn(ctx context.Context) (why string) {
	ticker := time.NewTicker(gamedayTick)
	defer ticker.Stop()
	for {
		if why := g.stopped(ctx); why != "" {
			return why
		}
		if why := g.step(ctx); why != "" {
			return why
		}
		if err := g.save(context.WithoutCancel(ctx)); err != nil { // an interrupt is why it ends, and not that
			return "it cannot be written down: " + err.Error()
		}
		if ctx.Err() == nil && g.over() { // what an interrupt kept from being injected is no end
			return ""
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// plan finds the targets of all faults before anything begins.
func (g *gameday) plan(day jenner.Gameday) error {
	now := g.Now()
	begins, err := day.Begins(now)
	if err != nil {
		return jenner.Permanent(err, "")
	}
	if now.After(begins) {
		begins = now
	}
	g.run = jenner.GamedayRun{ID: g.newID("g", now), Gameday: day, StartedAt: begins}
	for i, fault := range day.Faults {
		specs, at, err := g.specsOf(fault)
		if err != nil {
			return err
		}
		for _, spec := range specs {
			hits, err := g.targets(spec, at)
			if err != nil {
				return err
			}
			if !spec.Pick.IsZero() {
				place := jenner.Draw(len(hits), 1, uint64(now.UnixNano()), uint64(i)) // by chance: nobody can know it beforehand
				hits = []jenner.Hit{hits[place[0]]}
			}
			if spec.For == 0 || fault.For > 0 {
				spec.For = fault.For
			}
			g.run.Struck = append(g.run.Struck, jenner.GamedayStrike{Entry: i, Fault: spec.Fault, Service: hits[0].Service, Target: hits[0].Target,
				Secret: fault.Secret, DueAt: begins.Add(fault.At.Std() + spec.After.Std())})
			g.specs = append(g.specs, spec)
		}
	}
	order := make([]int, len(g.specs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return g.run.Struck[a].DueAt.Compare(g.run.Struck[b].DueAt) })
	var struck []jenner.GamedayStrike
	var specs []jenner.FaultSpec
	for n, i := range order {
		strike := g.run.Struck[i]
		strike.ID = fmt.Sprintf("%s-%d", g.run.ID, n+1)
		struck, specs = append(struck, strike), append(specs, g.specs[i])
	}
	g.run.Struck, g.specs = struck, specs
	return nil
}

// specsOf are the faults that an entry of the document stands for, and the service that short names of targets are of.
func (g *gameday) specsOf(fault jenner.GamedayFault) ([]jenner.FaultSpec, jenner.Service, error) {
	if fault.Experiment == "" {
		return []jenner.FaultSpec{{Fault: fault.Fault, Target: fault.Target, Params: fault.Params}}, jenner.Service{}, nil
	}
	for _, experiment := range g.Docs().Experiments {
		if experiment.Name == fault.Experiment {
			present := experiment.At(0)
			service, _ := g.Docs().Service(present.Service)
			return present.Faults, service, nil
		}
	}
	return nil, jenner.Service{}, fmt.Errorf("there is no experiment %q", fault.Experiment)
}

// begin closes what an earlier process left, waits for the beginning, and writes it down. A game day begins only when all
// that it will break is well.
func (g *gameday) begin(ctx context.Context) error {
	if err := g.closeLeft(ctx); err != nil {
		return err
	}
	if wait := g.run.StartedAt.Sub(g.Now()); wait > 0 {
		g.say("wait", "begins at "+g.run.StartedAt.Local().Format(time.DateTime), nil)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, strike := range g.run.Struck {
		if sick := g.sick(ctx, strike.Service, g.Now()); sick != "" {
			if strike.Secret {
				sick = "something that is not to be told beforehand is not well; look at the services, or run it with --reveal"
			}
			return fmt.Errorf("not steady before the game day: %s", sick)
		}
	}
	day, now := g.run.Gameday, g.Now()
	text := fmt.Sprintf("game day %s begins: %d faults, %s at most", day.Name, len(g.run.Struck), jenner.Duration(day.Length()))
	entry := jenner.Entry{At: now, Phase: GamedayOn, Kind: "begin", Text: text}
	err := g.Store.Commit(ctx, jenner.Change{
		Record: jenner.Record{Line: GamedayLine, ID: g.run.ID, Subject: day.Name, Phase: GamedayOn, State: jenner.Raw(g.run),
			Created: now, Updated: now},
		Timeline: []jenner.Entry{entry},
		Audit: []jenner.AuditEntry{{At: now, Kind: "gameday.begun", Subject: g.run.ID, Actor: "jenner",
			Data: jenner.Raw(map[string]any{"name": day.Name, "people": day.People, "facilitator": day.Facilitator, "heal": day.Heal})}},
	})
	if err == nil {
		g.tell(entry)
	}
	return err
}

// closeLeft ends the game days of a process that died. Their faults were taken back by the reaper, or by the start.
func (g *gameday) closeLeft(ctx context.Context) error {
	now := g.Now()
	left, err := g.Records(ctx, GamedayLine, now)
	for _, record := range left {
		if record.Ended {
			continue
		}
		_, oneErr := ChangeGameday(ctx, g.Store, record.ID, now, func(run *jenner.GamedayRun, change *jenner.Change) {
			run.EndedAt, run.Aborted = now, "the process that ran it died"
			change.Timeline = []jenner.Entry{{At: now, Phase: GamedayOn, Kind: "abort", Text: run.Aborted}}
		})
		err = errors.Join(err, oneErr)
	}
	return err
}

// say tells a line and keeps it for the next save.
func (g *gameday) say(kind, text string, data any) {
	entry := jenner.Entry{At: g.Now(), Phase: GamedayOn, Kind: kind, Text: text}
	if data != nil {
		entry.Data = jenner.Raw(data)
	}
	g.tell(entry)
}

// stopped says why the game day must be broken off now. An abort condition that names no service is about each one that is
// struck. One that cannot be seen at present breaks nothing off yet, but no lease is renewed meanwhile.
func (g *gameday) stopped(ctx context.Context) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	for _, hold := range g.Holds() {
		if hold.Scope == jenner.HoldAll {
			return hold.By + " stopped Jenner"
		}
	}
	g.unseen = ""
	for _, expression := range g.run.Gameday.AbortIf {
		for _, strike := range g.run.Struck {
			why, yes := g.abortIf(expression, jenner.Experiment{Service: strike.Service})
			if yes {
				return why
			}
			g.unseen = cmp.Or(g.unseen, why)
		}
	}
	return ""
}

// over tells whether nothing is to be waited for any more: the time is over, or every fault has come, has gone, and was
// said to be resolved.
func (g *gameday) over() bool {
	if !g.Now().Before(g.run.StartedAt.Add(g.run.Gameday.Length())) {
		return true
	}
	for _, strike := range g.run.Struck {
		if strike.Error == "" && (strike.InjectedAt.IsZero() || strike.EndedAt().IsZero() || strike.WellAt.IsZero() && !strike.SickAt.IsZero()) {
			return false
		}
	}
	return learn.Score(g.run, nil).Unresolved() == 0
}

// save writes down what has changed, and takes in what people said.
func (g *gameday) save(ctx context.Context) error {
	record, err := g.Store.Load(ctx, GamedayLine, g.run.ID)
	if err != nil {
		return err
	}
	stored, err := GamedayOf(record)
	if err != nil {
		return err
	}
	g.hear(stored.Words)
	if !g.unsaved {
		return nil
	}
	stored, err = ChangeGameday(ctx, g.Store, g.run.ID, g.Now(), func(run *jenner.GamedayRun, _ *jenner.Change) { run.Struck = g.run.Struck })
	g.unsaved = err != nil
	g.hear(stored.Words)
	return err
}

func (g *gameday) hear(words []jenner.Word) {
	for _, word := range words[min(g.spoken, len(words)):] {
		g.tell(jenner.Entry{At: word.At, Phase: GamedayOn, Kind: string(word.Kind), Text: wordText(word), Data: jenner.Raw(word)})
	}
	g.spoken, g.run.Words = len(words), words
}

// end takes everything back, the last fault first, and writes down the whole of it, secrets included. What holds action is
// not released: it ends by itself within seconds, and until the probes have seen that the faults are gone, remediation would
// act on what is well by now.
func (g *gameday) end(ctx context.Context, why string) error {
	for i := len(g.run.Struck) - 1; i >= 0; i-- {
		g.holdAll(g.Now().Add(undoPatience))
		g.takeBack(ctx, i)
	}
	g.holdAll(g.Now().Add(gamedayHold))
	var left error
	for _, strike := range g.run.Struck {
		if _, open := g.open[strike.ID]; open {
			left = errors.Join(left, errors.New(strike.Error))
		}
	}
	now := g.Now()
	run, err := ChangeGameday(ctx, g.Store, g.run.ID, now, func(run *jenner.GamedayRun, change *jenner.Change) {
		run.Struck, run.EndedAt, run.Aborted = g.run.Struck, now, why
		for _, strike := range run.Struck {
			change.Timeline = append(change.Timeline, revealed(strike)...)
			change.Audit = append(change.Audit, jenner.AuditEntry{At: now, Kind: "gameday.fault", Subject: strike.ID, Actor: "jenner", Data: jenner.Raw(strike)})
		}
		text := "the game day is over"
		if why != "" {
			text = "the game day was broken off: " + why
		}
		change.Timeline = append(change.Timeline, jenner.Entry{At: now, Phase: GamedayOn, Kind: "end", Text: text})
		change.Audit = append(change.Audit, jenner.AuditEntry{At: now, Kind: "gameday.ended", Subject: run.ID, Actor: "jenner", Data: jenner.Raw(run)})
	})
	g.hear(run.Words)
	g.run.EndedAt, g.run.Aborted = now, why
	return errors.Join(left, err)
}

// revealed are the lines that a fault would have had, had it not been a secret.
func revealed(strike jenner.GamedayStrike) []jenner.Entry {
	what := strike.Fault + " on " + strike.Target.String() + " of " + strike.Service
	var entries []jenner.Entry
	if !strike.InjectedAt.IsZero() {
		entries = append(entries, jenner.Entry{At: strike.InjectedAt, Phase: GamedayOn, Kind: "fault", Text: what, Data: jenner.Raw(strike)})
	}
	switch {
	case !strike.RemovedAt.IsZero():
		entries = append(entries, jenner.Entry{At: strike.RemovedAt, Phase: GamedayOn, Kind: "removed", Text: what + " was removed"})
	case !strike.UndoneAt.IsZero():
		entries = append(entries, jenner.Entry{At: strike.UndoneAt, Phase: GamedayOn, Kind: "undo", Text: what + " was taken back"})
	}
	if strike.Error != "" {
		entries = append(entries, jenner.Entry{At: strike.DueAt, Phase: GamedayOn, Kind: "error", Text: what + ": " + strike.Error})
	}
	return entries
}
