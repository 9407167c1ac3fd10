package loop_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/line"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/store/sqlite"
	"golang.org/x/sys/unix"
)

// flood is the whole line of an incident over a real store, in real time, with everything taken away that takes time by
// itself: alerts are put onto the board by hand, and the one action, which the world answers by resolving the alert,
// does nothing else.
type flood struct {
	docs   *jenner.Documents
	store  *sqlite.Store
	board  *detect.Board
	world  *loop.World
	intake *loop.Intake
	runner *line.Runner
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	holds *app.Holds
	calm  func(service string) // what the one action does

	calming sync.Mutex
	calmed  map[string]bool // services that are well again

	mu    sync.Mutex
	last  time.Time            // of the last intent
	fired map[string]time.Time // by service
	acted []time.Duration      // from the alert to the first intent
	pages []string
	told  []string
	ended map[jenner.Phase]int
	owned map[string]bool // services whose trouble went to a person
	end   chan string     // services whose incident has ended
	begun chan string     // services whose first intent was written, where somebody asks for it

	commits atomic.Int64 // what was synced
}

// still is a telemetry that sees nothing; all there is are alerts.
type still struct{}

func (still) Query(context.Context, string) (jenner.Answer, error) { return jenner.Answer{}, nil }
func (still) Probe(string, string) (jenner.ProbeState, bool)       { return jenner.ProbeState{}, false }
func (still) Probes(string) []jenner.ProbeState                    { return nil }

// settle is the action that does nothing but what it is told: the trouble is over.
type settle struct{ flood *flood }

func (s settle) Do(_ context.Context, call act.Call) (act.Result, error) {
	s.flood.calm(call.Service.Name)
	return act.Result{Summary: "settled", Changed: true}, nil
}

// clear resolves the alerts of a service.
func (f *flood) clear(service string) {
	for _, alert := range f.board.Firing(service) {
		alert.Status = jenner.Resolved
		alert.SeenAt, alert.EndsAt = time.Time{}, time.Time{}
		f.board.Put(alert)
	}
}

func newFlood(tb testing.TB, docs *jenner.Documents, workers int) *flood {
	tb.Helper()
	dir := tb.TempDir()
	f := &flood{docs: docs, holds: app.NewHolds(dir, time.Now), fired: map[string]time.Time{}, calmed: map[string]bool{}, ended: map[jenner.Phase]int{}, owned: map[string]bool{}, end: make(chan string, 1<<17)}
	var err error
	if f.store, err = sqlite.Open(dir, sqlite.Options{Lock: true}); err != nil {
		tb.Fatal(err)
	}
	f.calm = f.clear
	ctx, cancel := context.WithCancel(context.Background())
	f.ctx, f.cancel, f.board = ctx, cancel, detect.NewBoard(time.Now)
	logger := slog.New(slog.DiscardHandler)
	executor := &act.Executor{Journal: journal{f.store, f}, Now: time.Now, Held: f.holds.Held}
	f.world = &loop.World{Store: f.store, Docs: func() *jenner.Documents { return f.docs }, Telemetry: still{}, Board: f.board,
		AskNow: func(string) {}, Holds: f.holds.All, Notify: f.notify, Now: time.Now, Started: time.Now(), Logger: logger,
		Steady: func(context.Context, jenner.Service) []jenner.Check { return nil }, Records: records(f.store)}
	f.world.Stepper = &act.Stepper{Executor: executor, Docs: f.world.Docs, Host: func(*jenner.Incident) act.Host { return act.Host{Telemetry: still{}} },
		Action: func(name, _ string, _ jenner.Params) (string, act.Action, error) { return name, settle{f}, nil }}
	incidents := loop.Incidents(f.world)
	incidents.Committed = f.committed
	f.runner = line.NewRunner(workers, logger, incidents)
	f.intake, err = loop.NewIntake(ctx, f.world, incidents, func(line, id string) { f.runner.Wake(ctx, line, id) })
	if err != nil {
		tb.Fatal(err)
	}
	f.world.Explains, f.world.Told = f.intake.Explains, f.intake.Told
	f.done.Go(func() { f.intake.Run(ctx) })
	f.done.Go(func() { f.runner.Run(ctx) })
	tb.Cleanup(f.stop)
	return f
}

func (f *flood) stop() {
	f.cancel()
	f.done.Wait()
	f.store.Close()
}

func records(store *sqlite.Store) func(context.Context, string, time.Time) ([]jenner.Record, error) {
	return func(ctx context.Context, name string, since time.Time) ([]jenner.Record, error) {
		return store.List(ctx, name, sqlite.ListFilter{OpenOnly: true, Since: since})
	}
}

// journal sees when the first effect of an incident is intended.
type journal struct {
	*sqlite.Store
	flood *flood
}

func (j journal) Begin(ctx context.Context, intent jenner.Intent) (jenner.Intent, bool, error) {
	stored, fresh, err := j.Store.Begin(ctx, intent)
	if err == nil {
		j.flood.commits.Add(1)
		j.flood.intended(intent)
	}
	return stored, fresh, err
}

// intended notes that an intent is on disk.
func (f *flood) intended(intent jenner.Intent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, known := f.fired[intent.Service]; known {
		f.acted = append(f.acted, time.Since(at))
	}
	f.last = time.Now()
	if f.begun != nil {
		select {
		case f.begun <- intent.Service:
		default: // nobody waits for it any more
		}
	}
}

func (j journal) Finish(ctx context.Context, intent jenner.Intent) error {
	j.flood.commits.Add(1)
	return j.Store.Finish(ctx, intent)
}

func (f *flood) committed(change jenner.Change) {
	f.intake.Committed(change)
	f.commits.Add(1)
	for _, intent := range change.Intents {
		f.intended(intent)
	}
	if change.Record.Ended {
		f.mu.Lock()
		f.ended[change.Record.Phase]++
		if change.Record.Phase == jenner.PhaseEscalated {
			f.owned[change.Record.Subject] = true
		}
		f.mu.Unlock()
		f.end <- change.Record.Subject
	}
}

func (f *flood) notify(_ context.Context, _ string, message notify.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages, f.told = append(f.pages, message.Service), append(f.told, message.Title+"\n"+message.Body)
	return nil
}

// fire puts one firing alert onto the board.
func (f *flood) fire(service, name string) {
	f.mu.Lock()
	if _, known := f.fired[service]; !known {
		f.fired[service] = time.Now()
	}
	f.mu.Unlock()
	f.board.Put(jenner.Alert{Name: name, Kind: jenner.AlertRule, Service: service, Status: jenner.Firing})
}

// settled forgets that a service was in trouble, so that its next alert is timed anew.
func (f *flood) settled(service string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.fired, service)
}

// percentile gives a percentile of the times from alert to intent, in milliseconds.
func (f *flood) percentile(p float64) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.acted) == 0 {
		return 0
	}
	slices.Sort(f.acted)
	return float64(f.acted[min(len(f.acted)-1, int(p*float64(len(f.acted))))]) / float64(time.Millisecond)
}

// floodDocs are services with one target each, and a policy that acts at once and never tires.
func floodDocs(services []jenner.Service) *jenner.Documents {
	once := jenner.Duration(time.Nanosecond)
	return &jenner.Documents{Services: services,
		Signatures: []jenner.Signature{{Name: "down", Cause: "down", Evidence: []jenner.EvidencePattern{{Alert: "down", Weight: 1}}}},
		Runbooks:   []jenner.Runbook{{Name: "settle", Steps: []jenner.Step{{Name: "settle", Action: "settle"}}}},
		Policies: []jenner.Policy{{Name: "down", IncidentType: "down", Runbooks: []string{"settle"}, Mode: jenner.ModeAuto,
			MaxAttempts: 1 << 30, CooldownAfterAction: once, AttemptsResetAfter: once, StableFor: once,
			Recurrence: &jenner.Recurrence{Times: 1 << 30}, CircuitBreaker: &jenner.Breaker{Failures: 1 << 20}}},
		Limits: jenner.Limits{MaxTargetsAtOnce: 1 << 20, MaxTargetsOfService: 1 << 20}}
}

func floodService(i int, needs ...string) jenner.Service {
	name := fmt.Sprintf("s%04d", i)
	return jenner.Service{Name: name, Tier: 1, DependsOn: needs, Targets: []jenner.Target{{Kind: "nothing", Name: name}}}
}

// cpuTime is what this process has taken of the processors so far, for its own and for the kernel's work in its name. Unlike
// the time that goes by, it does not depend on who else is at work on the machine.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkIncidents runs whole incidents, alert to resolved, with one action that does nothing and every commit synced.
func BenchmarkIncidents(b *testing.B) {
	b.Run("flood", func(b *testing.B) {
		const atOnce = 48
		var services []jenner.Service
		for i := range 2000 {
			services = append(services, floodService(i))
		}
		f := newFlood(b, floodDocs(services), 32)
		begun, ended := 0, 0
		before := cpuTime(b)
		b.ResetTimer()
		for ; begun < min(atOnce, b.N); begun++ {
			f.fire(services[begun].Name, "down")
		}
		for ended < b.N {
			f.settled(<-f.end)
			ended++
			if begun < b.N {
				f.fire(services[begun%len(services)].Name, "down")
				begun++
			}
		}
		b.StopTimer()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "incidents/s")
		b.ReportMetric(float64(cpuTime(b)-before)/float64(time.Millisecond)/float64(b.N), "cpu-ms/incident")
		b.ReportMetric(float64(f.commits.Load())/float64(b.N), "commits/incident")
		b.ReportMetric(f.percentile(0.5), "p50-ms")
		b.ReportMetric(f.percentile(0.99), "p99-ms")
		b.ReportMetric(0, "ns/op")
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.ended[jenner.PhaseResolved] != b.N {
			b.Fatalf("%d incidents ended %v", b.N, f.ended)
		}
	})
	b.Run("200-a-second", func(b *testing.B) {
		var services []jenner.Service
		free := make(chan string, 1000) // a service has one incident at a time
		for i := range cap(free) {
			services = append(services, floodService(i))
			free <- services[i].Name
		}
		f := newFlood(b, floodDocs(services), 128)
		ticker := time.NewTicker(time.Second / 200)
		defer ticker.Stop()
		b.ResetTimer()
		go func() {
			for range b.N {
				<-ticker.C
				f.fire(<-free, "down")
			}
		}()
		for i := range b.N {
			select {
			case service := <-f.end:
				f.settled(service)
				free <- service
			case <-time.After(time.Minute):
				b.Fatalf("no incident ended for a minute, after %d of %d; %d are open, and %d alerts fire", i, b.N, f.intake.OpenCount(),
					len(f.board.AllFiring()))
			}
		}
		b.ReportMetric(f.percentile(0.5), "p50-ms")
		b.ReportMetric(f.percentile(0.99), "p99-ms")
		b.ReportMetric(0, "ns/op")
	})
}
