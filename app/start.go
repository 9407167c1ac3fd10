package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// steadyKey is where the learned bounds are kept in the store.
const steadyKey = "steady"

// Start starts every part and returns; the parts run until Stop. Where one cannot start, what was started is stopped.
func (a *App) Start(ctx context.Context) error {
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.Stop())
	}
	return nil
}

func (a *App) start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	a.running = running
	if err := a.undoLeftOvers(ctx); err != nil {
		// Not a reason to stay down: the faults stay in the journal, and the reaper and the next start try again.
		a.Logger.Error("a fault of an earlier run could not be undone yet", "error", err)
	}
	if err := errors.Join(a.remember(ctx), a.rememberConfig(ctx)); err != nil {
		stop()
		return err
	}
	var err error
	a.intake, err = loop.NewIntake(ctx, a.World, a.incidents, func(line, id string) { a.runner.Wake(running, line, id) })
	if err != nil {
		stop()
		return err
	}
	a.World.Explains, a.World.Told = a.intake.Explains, a.intake.Told
	a.Metrics.Watch(learn.Sources{OpenIncidents: a.intake.OpenCount, AlertsDroppedByReason: a.dropped, AlertsReceived: a.taker.Counts})
	if err := a.serve(); err != nil {
		stop()
		return err
	}
	if err := a.apply(a.Docs()); err != nil {
		stop()
		return err
	}
	a.onStop(func() error { a.observers.Close(); a.prober.Close(); a.scraper.Close(); a.servers.Close(); return nil })
	a.onStop(func() error { return a.forgetNothing(context.WithoutCancel(ctx)) })
	a.onStop(func() error { stop(); background.Wait(); return nil })
	background.Go(func() { a.servers.Run(running) })
	background.Go(func() { a.engine.Run(running) })
	background.Go(func() { a.intake.Run(running) })
	background.Go(func() { a.runner.Run(running) })
	background.Go(func() { a.drillRunner.Run(running) })
	if a.Schedule {
		background.Go(func() { a.scheduler().run(running) })
	}
	background.Go(func() { a.calendars.Run(running) })
	background.Go(func() { a.tidyTaken(running) })
	background.Go(func() { a.asker.run(running) })
	background.Go(func() { a.follow(running) })
	background.Go(func() { a.silencer().run(running) })
	background.Go(func() { a.prune(running) })
	background.Go(func() { a.sweep(running) })
	background.Go(func() { a.Holds.watch(running, a.executor.Halt, a.held) })
	return nil
}

// apply makes the files that were read the ones in force.
func (a *App) apply(docs *jenner.Documents) error {
	if err := a.router.Set(docs.Channels); err != nil {
		return err
	}
	if err := rememberSwept(a.Data, targetsOf(docs, a.Catalog)); err != nil {
		return err
	}
	if err := a.taker.Set(docs); err != nil {
		return err
	}
	a.docs.Store(docs)
	a.calendars.Set(docs.Calendars)
	a.servers.Set(docs)
	a.engine.Set(docs)
	a.prober.Set(docs.Services)
	a.observers.Set(docs.Services)
	return a.scraper.Set(docs.Services)
}

// Reload reads the files again. Where anything is wrong with them, all of them are refused and the old ones stay.
func (a *App) Reload() error {
	docs, err := a.read()
	if err != nil {
		return err
	}
	return a.apply(docs)
}

// undoPatience is how long a start waits for the undo of what an earlier process left. What it cannot undo in time stays in
// the journal.
const undoPatience = time.Minute

// undoLeftOvers takes back the faults that an earlier process left: whoever has the data directory's lock owns them.
func (a *App) undoLeftOvers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, undoPatience)
	defer cancel()
	undone, err := a.Injector.UndoAll(ctx, func(jenner.FaultRecord) bool { return true })
	if undone > 0 {
		a.Logger.Warn("undid faults that an earlier run had left", "faults", undone)
		err = errors.Join(err, a.Store.AppendAudit(ctx, jenner.AuditEntry{At: time.Now(), Kind: "fault.undone",
			Subject: "start", Actor: "jenner", Data: jenner.Raw(map[string]int{"faults": undone})}))
	}
	return err
}

// remember takes up what was known before the last stop: normal numbers, alerts of open incidents, outcomes.
func (a *App) remember(ctx context.Context) error {
	if raw, err := a.Store.Value(ctx, steadyKey); err == nil {
		if err := a.engine.Steady().Import(raw); err != nil {
			a.Logger.Warn("the learned steady state cannot be read and is learned anew", "error", err)
		}
	}
	open, err := a.Store.List(ctx, loop.IncidentLine, sqlite.ListFilter{OpenOnly: true})
	if err != nil {
		return err
	}
	for _, record := range open {
		var incident jenner.Incident
		if err := json.Unmarshal(record.State, &incident); err != nil {
			return fmt.Errorf("incident %s cannot be read: %w", record.ID, err)
		}
		a.World.Board.Restore(incident.Alerts)
	}
	outcomes, err := a.Store.Outcomes(ctx, time.Time{})
	if err != nil {
		return err
	}
	a.Metrics.Load(outcomes)
	judgements, err := a.Store.Judgements(ctx, "", time.Time{})
	for _, judgement := range judgements {
		a.Metrics.ObserveJudgement(judgement)
	}
	return err
}

// dropped counts the alerts that were lost, by reason.
func (a *App) dropped() map[string]uint64 {
	drops := a.World.Board.Drops()
	unmapped, ignored := a.engine.Nobody()
	return map[string]uint64{"full": drops.Full, "crowded": drops.Crowded, "slow": drops.Slow, "unreadable": drops.Unreadable,
		"unmapped": unmapped, "ignored": ignored}
}

func (a *App) forgetNothing(ctx context.Context) error {
	raw, err := a.engine.Steady().Export()
	if err != nil {
		return err
	}
	return a.Store.PutValue(ctx, steadyKey, raw)
}

// serve opens the HTTP port.
func (a *App) serve() error {
	if a.Listen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("cannot serve metrics on %s: %w; choose another address with --listen, or --listen '' for none", a.Listen, err)
	}
	a.Address = listener.Addr()
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends at Shutdown
	a.onStop(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	})
	return nil
}

// How long what has ended is kept in the store, and how often it is looked for. The audit log keeps everything.
const (
	keepEnded  = 90 * 24 * time.Hour
	pruneEvery = 6 * time.Hour
)

// prune forgets what ended long ago, now and then.
func (a *App) prune(ctx context.Context) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		if pruned, err := a.Store.Prune(ctx, time.Now().Add(-keepEnded)); err != nil && ctx.Err() == nil {
			a.Logger.Error("cannot forget what ended long ago; the data directory grows on", "error", err)
		} else if pruned > 0 {
			a.Logger.Info("forgot what ended long ago", "records", pruned)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// held writes down that the kill switch was turned, or a service paused, whoever did it and however. Holds of drills
// and game days come and go with them and stand in their own entries.
func (a *App) held(hold jenner.Hold, on bool) {
	if strings.HasPrefix(hold.By, "d-") || strings.HasPrefix(hold.By, "g-") {
		return
	}
	kind, text := "hold.lifted", "Jenner acts again"
	if on {
		kind, text = "hold.set", "Jenner acts no more, only undoes"
	}
	a.Logger.Warn(text, "scope", hold.Scope, "by", hold.By, "reason", hold.Reason)
	err := a.Store.AppendAudit(a.running, jenner.AuditEntry{At: time.Now(), Kind: kind, Subject: hold.Scope,
		Actor: "jenner", Data: jenner.Raw(hold)})
	if err != nil {
		a.Logger.Error("cannot write into the audit log that Jenner was stopped or resumed", "error", err)
	}
}
