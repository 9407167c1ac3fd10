package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
)

// scheduler begins the experiments whose time has come, one drill at a time. What it has begun, or missed, it keeps in the
// store before it does anything, so that no time is ever used twice, also after a crash: rather none than two.
type scheduler struct {
	now         func() time.Time
	experiments func() []jenner.Experiment
	value       func(ctx context.Context, key string) ([]byte, error)
	putValue    func(ctx context.Context, key string, value []byte) error
	// blocked says why no drill of the experiment may begin now; nothing where one may.
	blocked func(ctx context.Context, experiment jenner.Experiment) string
	begin   func(ctx context.Context, experiment jenner.Experiment) (id string, err error)
	tell    func(ctx context.Context, kind string, told scheduled)
	logger  *slog.Logger

	waits map[string]string // why an experiment waited last, so that it is told once
}

// scheduled is what is told about one time of a schedule.
type scheduled struct {
	Experiment string    `json:"experiment"`
	Due        time.Time `json:"due"`
	Drill      string    `json:"drill,omitempty"`
	Why        string    `json:"why,omitempty"` // it was missed
}

// handled is what the store keeps of an experiment: up to when its times were dealt with, under which schedule.
type handled struct {
	Until    time.Time `json:"until"`
	Schedule string    `json:"schedule"` // the hash; another one begins anew
}

const (
	scheduleLook = time.Second
	// scheduleJump is how far what was handled may lie in the future before the clock is taken to have been wrong.
	scheduleJump = 24 * time.Hour
)

func scheduleKey(experiment string) string { return "schedule/" + experiment }

// run looks every second until ctx ends.
func (s *scheduler) run(ctx context.Context) {
	ticker := time.NewTicker(scheduleLook)
	defer ticker.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look deals with each experiment whose time has come.
func (s *scheduler) look(ctx context.Context) {
	for _, experiment := range s.experiments() {
		if experiment.Schedule == nil {
			continue
		}
		if err := s.lookAt(ctx, experiment); err != nil && ctx.Err() == nil {
			s.wait(experiment, "its schedule cannot be kept: "+err.Error())
		}
	}
}

func (s *scheduler) lookAt(ctx context.Context, experiment jenner.Experiment) error {
	now, hash := s.now(), jenner.Hash(experiment.Schedule)
	times, err := timesOf(*experiment.Schedule)
	if err != nil {
		return err
	}
	keep := func(until time.Time) error {
		return s.putValue(ctx, scheduleKey(experiment.Name), jenner.Raw(handled{until, hash}))
	}
	done, err := s.handled(ctx, experiment.Name)
	switch {
	case err != nil:
		return err
	case done.Schedule != hash || done.Until.After(now.Add(scheduleJump)):
		return keep(now) // what was due before anybody asked for it is not made up for
	}
	due, missed := dueAt(times, done.Until, now, experiment.Schedule.Window.Or(jenner.DefaultScheduleWindow))
	switch {
	case !missed.IsZero():
		why := s.waits[experiment.Name]
		delete(s.waits, experiment.Name)
		if why == "" {
			why = "Jenner did not run"
		}
		s.logger.Warn("a scheduled drill was missed", "experiment", experiment.Name, "due", missed, "why", why)
		s.tell(ctx, "drill.missed", scheduled{Experiment: experiment.Name, Due: missed, Why: why})
		return keep(now)
	case due.IsZero():
		return nil
	}
	if why := s.blocked(ctx, experiment); why != "" {
		s.wait(experiment, why)
		return nil
	}
	if err := keep(now); err != nil {
		return err
	}
	delete(s.waits, experiment.Name)
	id, err := s.begin(ctx, experiment)
	if err != nil {
		return err
	}
	s.logger.Info("a scheduled drill begins", "experiment", experiment.Name, "due", due, "drill", id)
	s.tell(ctx, "drill.scheduled", scheduled{Experiment: experiment.Name, Due: due, Drill: id})
	return nil
}

// wait tells once why an experiment whose time has come does not begin yet.
func (s *scheduler) wait(experiment jenner.Experiment, why string) {
	if s.waits == nil {
		s.waits = map[string]string{}
	}
	if s.waits[experiment.Name] != why {
		s.waits[experiment.Name] = why
		s.logger.Info("a scheduled drill waits", "experiment", experiment.Name, "why", why)
	}
}

func (s *scheduler) handled(ctx context.Context, experiment string) (handled, error) {
	var done handled
	raw, err := s.value(ctx, scheduleKey(experiment))
	if errors.Is(err, jenner.ErrNotFound) {
		return done, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &done)
	}
	return done, err
}

// timesOf are the times of a schedule, in its time zone.
func timesOf(schedule jenner.Schedule) (cron.Schedule, error) {
	zone := schedule.Timezone
	if zone == "" {
		zone = "UTC"
	}
	times, err := cron.ParseStandard("CRON_TZ=" + zone + " " + schedule.Cron)
	if err != nil {
		return nil, fmt.Errorf("schedule %q cannot be read: %w", schedule.Cron, err)
	}
	return times, nil
}

// dueAt is the last time after until that has come and lies no longer ago than the window; or, where there is none, the
// first one that came and was missed.
func dueAt(times cron.Schedule, until, now time.Time, window time.Duration) (due, missed time.Time) {
	first := times.Next(until)
	if first.IsZero() || first.After(now) {
		return time.Time{}, time.Time{}
	}
	from := now.Add(-window - 1) // Next is what comes after, and a time exactly a window ago still counts
	if until.After(from) {
		from = until
	}
	for next := times.Next(from); !next.IsZero() && !next.After(now); next = times.Next(next) {
		due = next
	}
	if due.IsZero() {
		return time.Time{}, first
	}
	return due, time.Time{}
}

// scheduler is the one of this program.
func (a *App) scheduler() *scheduler {
	return &scheduler{now: time.Now, experiments: func() []jenner.Experiment { return a.Docs().Experiments },
		value: a.Store.Value, putValue: a.Store.PutValue, blocked: a.noDrillNow, begin: a.Drill, logger: a.Logger,
		tell: func(ctx context.Context, kind string, told scheduled) {
			entry := jenner.AuditEntry{At: time.Now(), Kind: kind, Subject: told.Experiment, Actor: "jenner", Data: jenner.Raw(told)}
			if err := a.Store.AppendAudit(ctx, entry); err != nil && ctx.Err() == nil {
				a.Logger.Error("cannot write into the audit log what the schedule did", "experiment", told.Experiment, "error", err)
			}
		}}
}

// noDrillNow says why no scheduled drill of an experiment may begin now: nobody watches, so that everything must be well.
func (a *App) noDrillNow(ctx context.Context, experiment jenner.Experiment) string {
	if hold, on := a.Holds.KillSwitch(); on {
		return fmt.Sprintf("%s stopped Jenner", hold.By)
	}
	if known, total := a.SteadyKnown(); known < total {
		return fmt.Sprintf("what is steady is still learned, %d of %d numbers are known", known, total)
	}
	for _, name := range []string{loop.DrillLine, loop.IncidentLine} {
		records, err := a.records(ctx, name, time.Now())
		if err != nil {
			return "the store cannot be read: " + err.Error()
		}
		for _, record := range records {
			if !record.Ended {
				return fmt.Sprintf("%s %s about %s is open", name, record.ID, record.Subject)
			}
		}
	}
	for i := range max(1, len(experiment.Stages)) {
		if why := a.reserved(experiment.At(i).Service); why != "" {
			return why
		}
	}
	return ""
}

// reserved says why nothing may be broken about a service now: it is paused, or a calendar plans something about which a
// person decides, or nobody knows what one plans.
func (a *App) reserved(name string) string {
	service, known := a.Docs().Service(name)
	if !known {
		return "there is no service " + name
	}
	if hold, held := a.Holds.Held(name); held {
		return fmt.Sprintf("%s is paused by %s", name, hold.By)
	}
	events, gaps := a.World.Planned(service, time.Now())
	for _, event := range events {
		if event.Effect == jenner.PlannedFreeze || event.Effect == jenner.PlannedApprove {
			return fmt.Sprintf("%q of calendar %s is on until %s", event.Summary, event.Calendar, event.Until.Format(time.RFC3339))
		}
	}
	for _, gap := range gaps {
		return "nobody knows what is planned: " + gap
	}
	return ""
}
