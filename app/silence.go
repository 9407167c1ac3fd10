package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

const (
	silenceAction = "alertmanager.silence"
	// silenceLook is how often it is looked at what is being done.
	silenceLook = time.Second
	// silencePatience is how long an Alertmanager may take to make or to end silences. Nothing waits for it.
	silencePatience = 10 * time.Second
)

// silencer silences alerts that something is being done about, where their receivers say so. Silences are made through the
// executor as everything that changes something: stopped by holds, written down before they are made, and taken back.
// Each lasts for twice as long as until it is made anew, so that of one that is left behind little is left.
type silencer struct {
	executor  *act.Executor
	action    func(name, kind string, params jenner.Params) (string, act.Action, error)
	receivers func() []jenner.Receiver
	incidents func(ctx context.Context) ([]jenner.Record, error) // the open ones
	service   func(name string) jenner.Service
	now       func() time.Time
	logger    *slog.Logger

	held map[string]heldSilence // by incident and alert
}

// heldSilence is a silence that is kept up.
type heldSilence struct {
	order act.Order
	done  jenner.Intent
	due   time.Time
}

// run keeps silences until ctx ends, and then ends them all.
func (s *silencer) run(ctx context.Context) {
	s.held = map[string]heldSilence{}
	ticker := time.NewTicker(silenceLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			after, cancel := context.WithTimeout(context.WithoutCancel(ctx), silencePatience)
			s.end(after, func(string) bool { return true })
			cancel()
			return
		case <-ticker.C:
			s.look(ctx)
		}
	}
}

func (s *silencer) look(ctx context.Context) {
	if len(s.held) == 0 && !slices.ContainsFunc(s.receivers(), silences) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, silencePatience)
	defer cancel()
	records, err := s.incidents(ctx)
	if err != nil {
		s.logger.Error("nobody knows what is being done, so nothing is silenced", "error", err)
		return
	}
	wanted := map[string]bool{}
	for _, record := range records {
		var incident jenner.Incident
		if !underway(record.Phase) || json.Unmarshal(record.State, &incident) != nil {
			continue
		}
		for _, alert := range incident.Alerts {
			receiver, asks := s.receiver(alert)
			if key := incident.ID + "/" + alert.Fingerprint; asks && (alert.Status == jenner.Firing || s.held[key].order.Name != "") {
				wanted[key] = true
				s.keep(ctx, key, receiver, incident, alert)
			}
		}
	}
	s.end(ctx, func(key string) bool { return !wanted[key] })
}

// underway are the phases in which something is being done. An incident that a person has is in none of them.
func underway(phase jenner.Phase) bool {
	return slices.Contains([]jenner.Phase{jenner.PhaseActing, jenner.PhaseVerifying, jenner.PhaseUndoing}, phase)
}

func silences(receiver jenner.Receiver) bool {
	return receiver.Alertmanager != nil && receiver.Alertmanager.SilenceWhileActing
}

func (s *silencer) receiver(alert jenner.Alert) (jenner.Receiver, bool) {
	for _, receiver := range s.receivers() {
		if receiver.Name == alert.From && alert.Kind == jenner.AlertTaken && silences(receiver) {
			return receiver, true
		}
	}
	return jenner.Receiver{}, false
}

// keep makes a silence, or makes it last longer when half of it is over.
func (s *silencer) keep(ctx context.Context, key string, receiver jenner.Receiver, incident jenner.Incident, alert jenner.Alert) {
	now := s.now()
	if held, has := s.held[key]; has && now.Before(held.due) {
		return
	}
	length := receiver.Alertmanager.SilenceFor.Or(jenner.DefaultSilenceFor)
	params := jenner.Params{"url": jenner.Raw(receiver.Alertmanager.URL), "labels": jenner.Raw(alert.Labels),
		"for": jenner.Raw(jenner.Duration(length))}
	if token := receiver.Alertmanager.Token; token != nil {
		there := *token
		if there.File != "" && !filepath.IsAbs(there.File) {
			there.File = filepath.Join(receiver.Dir, there.File)
		}
		params["token"] = jenner.Raw(there)
	}
	name, action, err := s.action(silenceAction, "", params)
	if err != nil {
		s.logger.Error("an alert cannot be silenced", "incident", incident.ID, "alert", alert.Name, "error", err)
		return
	}
	order := act.Order{Name: name, Action: action, Params: params, By: incident.ID, Call: act.Call{
		Key: fmt.Sprintf("%s/silence/%s/%d", incident.ID, alert.Fingerprint, now.UnixMilli()), Incident: incident.ID, Step: "silence",
		Service: s.service(incident.Service)}}
	held := heldSilence{order: order, due: now.Add(length / 2)}
	done, err := s.executor.Do(ctx, order)
	if err != nil {
		s.logger.Warn("an alert is not silenced while something is done about it", "incident", incident.ID, "alert", alert.Name, "error", err)
	}
	held.done = done
	s.held[key] = held
}

// end ends those silences. One that cannot be ended is tried again, and ends by itself.
func (s *silencer) end(ctx context.Context, over func(key string) bool) {
	for key, held := range s.held {
		if !over(key) {
			continue
		}
		if held.done.State == jenner.IntentDone {
			if _, err := s.executor.Undo(ctx, held.order, held.done); err != nil {
				s.logger.Warn("a silence could not be ended yet; it ends by itself", "incident", held.order.By, "error", err)
				if s.now().Before(held.due) {
					continue
				}
			}
		}
		delete(s.held, key)
	}
}

// silencer is the one of this program.
func (a *App) silencer() *silencer {
	return &silencer{executor: a.executor, action: a.bind.action, receivers: a.receivers, now: time.Now, logger: a.Logger,
		incidents: func(ctx context.Context) ([]jenner.Record, error) {
			return a.Store.List(ctx, loop.IncidentLine, sqlite.ListFilter{OpenOnly: true})
		},
		service: func(name string) jenner.Service {
			service, _ := a.Docs().Service(name)
			return service
		}}
}
