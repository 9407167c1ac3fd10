package loop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jenner-heal/jenner"
)

// step does what is due: it holds action where Jenner is not to heal, injects, renews, takes back, and looks. Where the game
// day must be broken off, it says why.
func (g *gameday) step(ctx context.Context) (why string) {
	look := g.Now().Sub(g.looked) >= gamedayLook
	if look {
		g.looked = g.Now()
		g.holdAll(g.looked.Add(gamedayHold))
	}
	for i := range g.run.Struck {
		strike, now := &g.run.Struck[i], g.Now() // whatever came before may have taken a while
		record, open := g.open[strike.ID]
		switch {
		case strike.Error == "" && strike.InjectedAt.IsZero() && !now.Before(strike.DueAt):
			if why := g.stopped(ctx); why != "" {
				return why
			}
			g.strike(ctx, i)
		case open && strike.Error != "": // something is left of it, and its lease ends
			if look {
				g.takeBack(ctx, i)
			}
		case open && g.specs[i].For > 0 && !now.Before(strike.InjectedAt.Add(g.specs[i].For.Std())):
			g.takeBack(ctx, i)
		case open && g.unseen != "" && !now.Before(record.Until):
			return g.unseen + ", so that the lease of " + record.Fault + " was not renewed"
		case open && look && g.removed(ctx, record):
			strike.RemovedAt = now
			g.takeBack(ctx, i)
		case open:
			g.renewStrike(ctx, i, record)
		}
		g.watchStrike(ctx, strike, now)
	}
	return ""
}

// holdAll keeps Jenner from acting until a time, where people are to do it.
func (g *gameday) holdAll(until time.Time) {
	if g.run.Gameday.Heal {
		return
	}
	for _, service := range g.Docs().Services {
		g.Hold(jenner.Hold{Scope: service.Name, By: g.run.ID, At: g.run.StartedAt, Until: until,
			Reason: "game day " + g.run.Gameday.Name + ": people do it"})
	}
}

func (g *gameday) lasting() time.Duration { return g.run.Gameday.Lease.Or(gamedayLease) }

// strike takes the target within the limits that remediation and chaos share, and then breaks it.
func (g *gameday) strike(ctx context.Context, i int) {
	strike, spec, now := &g.run.Struck[i], g.specs[i], g.Now()
	g.unsaved = true
	service, known := g.Docs().Service(strike.Service)
	target, has := service.TargetNamed(strike.Target.Name)
	if !known || !has {
		g.fails(i, fmt.Errorf("target %s of service %s is not in the files any more", strike.Target, strike.Service))
		return
	}
	limits := g.Docs().Limits
	_, err := ChangeGameday(ctx, g.Store, g.run.ID, now, func(_ *jenner.GamedayRun, change *jenner.Change) {
		entry := g.ledgerOf(*strike)
		entry.At, entry.Until = now, g.run.StartedAt.Add(g.run.Gameday.Length()+undoPatience)
		change.Ledger = []jenner.LedgerEntry{entry}
		change.Caps = []jenner.Cap{{Scope: jenner.CapAll, Max: limits.AtOnce()}, {Scope: jenner.CapService, Name: service.Name, Max: limits.OfService()}}
	})
	if err != nil {
		g.fails(i, err)
		return
	}
	record, err := g.Injector.Inject(ctx, jenner.FaultRecord{ID: strike.ID, Drill: g.run.ID, Fault: spec.Fault, Params: spec.Params,
		Service: service, Target: target, Secret: strike.Secret}, g.lasting())
	if err != nil {
		if _, gone := g.Injector.Journal.Get(strike.ID); errors.Is(gone, fs.ErrNotExist) {
			g.free(ctx, *strike)
		} else {
			g.open[strike.ID] = record // half of it is there, and is taken back with the others
		}
		g.fails(i, err)
		return
	}
	strike.Fault, strike.InjectedAt = record.Fault, record.InjectedAt
	g.open[strike.ID] = record
	g.tellStrike(i, "fault", "is on")
}

func (g *gameday) fails(i int, err error) {
	g.run.Struck[i].Error = "it was not injected: " + err.Error()
	g.tellStrike(i, "error", g.run.Struck[i].Error)
}

func (g *gameday) ledgerOf(strike jenner.GamedayStrike) jenner.LedgerEntry {
	return jenner.LedgerEntry{ID: strike.ID, Kind: jenner.LedgerFault, By: g.run.ID, Service: strike.Service, Target: strike.Target, At: strike.InjectedAt}
}

// free gives the target back to the ledger, also after an interrupt. Where that cannot be written, the entry ends by itself.
func (g *gameday) free(ctx context.Context, strike jenner.GamedayStrike) {
	now := g.Now()
	_, err := ChangeGameday(context.WithoutCancel(ctx), g.Store, g.run.ID, now, func(_ *jenner.GamedayRun, change *jenner.Change) {
		entry := g.ledgerOf(strike)
		entry.Until = now
		if entry.At.IsZero() {
			entry.At = now
		}
		change.Ledger = []jenner.LedgerEntry{entry}
	})
	if err != nil {
		g.Logger.Error("the ledger keeps a target of the game day longer than needed", "error", err)
	}
}

// takeBack undoes a fault that is open, also after an interrupt. What is left is tried again every second and at the end, and
// is the reaper's after that.
func (g *gameday) takeBack(ctx context.Context, i int) {
	strike := &g.run.Struck[i]
	record, open := g.open[strike.ID]
	if !open {
		return
	}
	g.unsaved = true
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	if err := g.Injector.Undo(during, record); err != nil {
		if strike.Error == "" {
			strike.Error = "it could not be taken back: " + err.Error()
			g.tellStrike(i, "error", strike.Error)
		}
		return
	}
	delete(g.open, strike.ID)
	if !strike.InjectedAt.IsZero() { // of one that failed halfway it is still to be told why
		strike.UndoneAt, strike.Error = g.Now(), ""
	}
	g.free(ctx, *strike)
	if strike.RemovedAt.IsZero() {
		g.tellStrike(i, "undo", "was taken back")
	} else {
		g.tellStrike(i, "removed", "was removed by somebody")
	}
}

// removed tells whether the fault does not hold any more. What cannot be told counts as holding.
func (g *gameday) removed(ctx context.Context, record jenner.FaultRecord) bool {
	armed, err := g.Injector.Armed(ctx, record)
	return err == nil && !armed
}

// renewStrike lets a fault live on, unless there is an abort condition that cannot be seen. They were looked at just before.
func (g *gameday) renewStrike(ctx context.Context, i int, record jenner.FaultRecord) {
	if g.unseen != "" || record.Until.Sub(g.Now()) > g.lasting()/2 {
		return
	}
	renewed, err := g.Injector.Renew(ctx, record, g.lasting())
	if err != nil {
		if g.removed(ctx, record) {
			g.run.Struck[i].RemovedAt = g.Now() // who held it is gone, and the fault with it
		} else {
			g.tellStrike(i, "error", "its lease could not be renewed: "+err.Error())
		}
		g.takeBack(ctx, i)
		return
	}
	g.open[record.ID] = renewed
}

// watchStrike follows how the service of a fault is.
func (g *gameday) watchStrike(ctx context.Context, strike *jenner.GamedayStrike, now time.Time) {
	if strike.InjectedAt.IsZero() {
		return
	}
	sick := g.sick(ctx, strike.Service, now) != ""
	switch {
	case sick && strike.SickAt.IsZero():
		strike.SickAt, g.unsaved = now, true
	case sick && !strike.WellAt.IsZero():
		strike.WellAt, g.unsaved = time.Time{}, true
	case !sick && !strike.SickAt.IsZero() && strike.WellAt.IsZero():
		if since, waits := g.calm[strike.ID]; !waits {
			g.calm[strike.ID] = now
		} else if now.Sub(since) >= calmFor {
			strike.WellAt, g.unsaved = since, true
		}
		return
	}
	if sick {
		delete(g.calm, strike.ID)
	}
}

// tellStrike tells what became of a fault, without what it is where that is a secret.
func (g *gameday) tellStrike(i int, kind, what string) {
	strike := g.run.Struck[i]
	name := strike.Fault + " on " + strike.Target.String() + " of " + strike.Service
	if strike.Secret {
		name = "a secret"
		if kind == "error" {
			what = "something went wrong with it; the scorecard will tell"
		}
	}
	g.say(kind, fmt.Sprintf("fault %d of %d, %s, %s", i+1, len(g.run.Struck), name, what), strike)
}
