package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/internal/alertmanager"
)

const (
	// askAgain is how soon an Alertmanager is asked again at most, however many want to know.
	askAgain = time.Second
	// askPatience is how long an answer may take. Nothing is done without it, and the alerts grow stale.
	askPatience = 3 * time.Second
	// askNames is for how many names of alerts at most a question names them; otherwise it is about all.
	askNames = 50
)

// asker asks the Alertmanagers of receivers whether the alerts that came from them still fire.
type asker struct {
	receivers func() []jenner.Receiver
	firing    func() []jenner.Alert
	open      func(service string) bool // an incident about it is open
	taken     *detect.Taker
	now       func() time.Time
	logger    *slog.Logger

	mu    sync.Mutex
	lanes map[string]*askLane // by receiver
}

// askLane lets one ask at a time, and the others have its answer.
type askLane struct {
	mu     sync.Mutex
	last   time.Time
	failed bool // the last question had no answer
}

// run asks about the alerts of open incidents until ctx ends.
func (a *asker) run(ctx context.Context) {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.look(ctx)
		}
	}
}

func (a *asker) look(ctx context.Context) {
	var asking sync.WaitGroup
	for _, receiver := range a.receivers() {
		if receiver.Alertmanager == nil {
			continue
		}
		about := a.about(receiver, func(alert jenner.Alert) bool { return a.open(alert.Service) })
		if len(about) > 0 {
			every := receiver.Alertmanager.Every.Or(jenner.DefaultAskEvery)
			asking.Go(func() { a.ask(ctx, receiver, every-askAgain/2) })
		}
	}
	asking.Wait()
}

// Confirm asks about these alerts now, and tells whether anybody was asked.
func (a *asker) Confirm(ctx context.Context, alerts []jenner.Alert) bool {
	asked := false
	for _, receiver := range a.receivers() {
		if receiver.Alertmanager == nil {
			continue
		}
		if slices.ContainsFunc(alerts, func(alert jenner.Alert) bool { return alert.From == receiver.Name && alert.Status == jenner.Firing }) {
			a.ask(ctx, receiver, askAgain)
			asked = true
		}
	}
	return asked
}

// about are the alerts of a receiver that fire on the board.
func (a *asker) about(receiver jenner.Receiver, which func(jenner.Alert) bool) []jenner.Alert {
	var about []jenner.Alert
	for _, alert := range a.firing() {
		if alert.Kind == jenner.AlertTaken && alert.From == receiver.Name && which(alert) {
			about = append(about, alert)
		}
	}
	return about
}

// ask asks about all alerts of a receiver at once, unless that was done less than a while ago.
func (a *asker) ask(ctx context.Context, receiver jenner.Receiver, within time.Duration) {
	lane := a.lane(receiver.Name)
	lane.mu.Lock()
	defer lane.mu.Unlock()
	if now := a.now(); !lane.last.IsZero() && now.Sub(lane.last) < within && !now.Before(lane.last) {
		return
	}
	about := a.about(receiver, func(jenner.Alert) bool { return true })
	if len(about) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := question(ctx, receiver, about)
	lane.last = a.now()
	if err != nil {
		if !lane.failed && ctx.Err() != context.Canceled { // once for each time that it breaks
			a.logger.Warn("an Alertmanager cannot be asked whether alerts still fire, so they grow stale and nothing is done because of them",
				"receiver", receiver.Name, "error", err)
		}
		lane.failed = true
		return
	}
	lane.failed = false
	a.taken.Asked(receiver, about, answer)
}

func (a *asker) lane(receiver string) *askLane {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lanes == nil {
		a.lanes = map[string]*askLane{}
	}
	if a.lanes[receiver] == nil {
		a.lanes[receiver] = &askLane{}
	}
	return a.lanes[receiver]
}

// question asks first since when the Alertmanager runs, so that one that is started anew in between is seen as such.
func question(ctx context.Context, receiver jenner.Receiver, about []jenner.Alert) (detect.Answer, error) {
	client := clientOf(receiver)
	started, err := client.Started(ctx)
	if err != nil {
		return detect.Answer{}, err
	}
	var names []string
	for _, alert := range about {
		if !slices.Contains(names, alert.Name) {
			names = append(names, alert.Name)
		}
	}
	var filters []alertmanager.Matcher
	if len(names) <= askNames {
		filters = append(filters, alertmanager.Named(names))
	}
	alerts, now, err := client.Alerts(ctx, filters...)
	answer := detect.Answer{Now: now, Started: started}
	for _, alert := range alerts {
		answer.Firing = append(answer.Firing, detect.Heard{Labels: alert.Labels, Updated: alert.UpdatedAt, Until: alert.EndsAt})
	}
	return answer, err
}

// clientOf speaks with a receiver's Alertmanager.
func clientOf(receiver jenner.Receiver) *alertmanager.Client {
	client := &alertmanager.Client{URL: receiver.Alertmanager.URL}
	if token := receiver.Alertmanager.Token; token != nil {
		client.Token = func() (string, error) { return token.Read(receiver.Dir) }
	}
	return client
}
