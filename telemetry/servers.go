package telemetry

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// The series that Jenner writes of the servers that it asks, with the label server.
const (
	MetricServerUp   = "jenner_telemetry_up"                 // 1 while it answers, else 0
	MetricServerSkew = "jenner_telemetry_clock_skew_seconds" // by which its clock is ahead of ours
)

// statusEvery is how often these series are written.
const statusEvery = 2 * time.Second

// clockTolerance is how far clocks may differ before people are told; the measure counts whole seconds.
const clockTolerance = 5 * time.Second

// Servers are the servers that are asked by HTTP. It is safe for concurrent use.
type Servers struct {
	store    *Store
	onStatus func(ServerStatus)
	log      *slog.Logger

	mu      sync.RWMutex
	docs    *jenner.Documents
	remotes map[string]*Remote
}

// NewServers makes none yet. Run writes the state of each into the store, and hands it to onStatus, which may be nil.
func NewServers(store *Store, onStatus func(ServerStatus), logger *slog.Logger) *Servers {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if onStatus == nil {
		onStatus = func(ServerStatus) {}
	}
	return &Servers{store: store, onStatus: onStatus, log: logger, docs: &jenner.Documents{}, remotes: map[string]*Remote{}}
}

// Set says which documents hold from now on. A server whose document stays the same keeps its connections and all that is
// known of it.
func (s *Servers) Set(docs *jenner.Documents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.remotes
	s.docs, s.remotes = docs, map[string]*Remote{}
	for _, server := range docs.Prometheus {
		if old := before[server.Name]; old != nil && jenner.Hash(old.server) == jenner.Hash(server) && old.server.Dir == server.Dir {
			s.remotes[server.Name] = old
			delete(before, server.Name)
			continue
		}
		s.remotes[server.Name] = NewRemote(server, s.log)
	}
	for _, gone := range before {
		gone.Close()
	}
}

// Of is the server that a question is for; nil where it is for the numbers that Jenner collects itself. A question about
// no service, or one that is not known, is for the default server.
func (s *Servers) Of(ctx context.Context) *Remote {
	if s == nil {
		return nil
	}
	question, _ := jenner.Asked(ctx)
	if question.Own {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	service, _ := s.docs.Service(question.Service)
	server, has := s.docs.Server(service)
	if !has {
		return nil
	}
	return s.remotes[server.Name]
}

// Statuses are the states of all servers, by name.
func (s *Servers) Statuses() []ServerStatus {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var statuses []ServerStatus
	for _, name := range slices.Sorted(maps.Keys(s.remotes)) {
		statuses = append(statuses, s.remotes[name].Status())
	}
	return statuses
}

// Run looks after the servers until ctx ends: each is asked at least every period of its own, and how it stands is told.
func (s *Servers) Run(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	var looking sync.WaitGroup
	defer looking.Wait()
	w := &watch{Servers: s, looked: map[*Remote]time.Time{}, told: map[string]ServerStatus{}}
	for {
		w.look(ctx, &looking)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watch is one call of Run.
type watch struct {
	*Servers
	looked map[*Remote]time.Time
	told   map[string]ServerStatus
}

func (w *watch) look(ctx context.Context, looking *sync.WaitGroup) {
	now := time.Now()
	w.mu.RLock()
	remotes := slices.Collect(maps.Values(w.remotes))
	w.mu.RUnlock()
	for one := range w.looked {
		if !slices.Contains(remotes, one) {
			delete(w.looked, one)
		}
	}
	for _, one := range remotes {
		if now.Sub(w.looked[one]) >= one.every() {
			w.looked[one] = now
			looking.Go(func() { _ = one.Look(ctx) }) // what came of it stands in its status
		}
		w.tell(one.Status(), now)
	}
}

// tell writes down how a server stands, and says aloud what has changed.
func (w *watch) tell(status ServerStatus, now time.Time) {
	if !status.Known {
		return
	}
	name, before := status.Server.Name, w.told[status.Server.Name]
	switch {
	case !status.Up && (before.Up || !before.Known):
		w.log.Error("a server of metrics does not answer; nothing that depends on it is noticed, resolved or done", "server", name,
			"url", status.Server.URL, "error", status.Why)
	case status.Up && before.Known && !before.Up:
		w.log.Warn("a server of metrics answers again", "server", name)
	}
	if off, was := status.Skew.Abs() > clockTolerance, before.Skew.Abs() > clockTolerance; status.Up && off && !was {
		w.log.Warn("the clock of a server of metrics differs from ours; correct the one that is wrong", "server", name,
			"ahead_by", status.Skew.Round(time.Second))
	}
	w.told[name] = status
	up := 0.0
	if status.Up {
		up = 1
	}
	sample := func(metric string, value float64) jenner.Sample {
		return jenner.Sample{Labels: map[string]string{"__name__": metric, "server": name}, Value: value, At: now}
	}
	if err := w.store.Append(sample(MetricServerUp, up), sample(MetricServerSkew, status.Skew.Seconds())); err != nil {
		w.log.Error("cannot write down how a server of metrics stands", "server", name, "error", err)
	}
	w.onStatus(status)
}

// Heard is when the newest number was taken that answered a question about a service, and for how long the numbers of its
// server are believed; zero where the service is not a server's.
func (s *Servers) Heard(service jenner.Service) (newest time.Time, believed time.Duration) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	server, has := s.docs.Server(service)
	if !has || s.remotes[server.Name] == nil {
		return time.Time{}, 0
	}
	remote := s.remotes[server.Name]
	return remote.Heard(service.Name), remote.maxAge()
}

// Close lets go of all connections.
func (s *Servers) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, remote := range s.remotes {
		remote.Close()
	}
}
