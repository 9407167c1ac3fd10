package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
)

// running is a jenner over a world, in this process.
func running(b *testing.B, w testWorld, prepare func(a *app.App)) *app.App {
	b.Helper()
	a, err := app.New(app.Options{Config: []string{w.files()}, Data: w.data, Catalog: providers,
		Logger: slog.New(slog.DiscardHandler), Baseline: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	prepare(a)
	if err := a.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Stop(); err != nil {
			b.Error(err)
		}
	})
	return a
}

var impatient = &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}

func serves(url string) bool {
	answer, err := impatient.Get(url)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (w testWorld) pid() int {
	raw, err := os.ReadFile(w.files() + "/run/stock.pid")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return pid
}

func median(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)/2]) / float64(time.Millisecond)
}

func percentile(took []time.Duration, share float64) float64 {
	slices.Sort(took)
	return float64(took[int(share*float64(len(took)-1))]) / float64(time.Millisecond)
}

// healed breaks the service b.N times by a signal and measures until another process of it serves.
func healed(b *testing.B, signal syscall.Signal, settle time.Duration) {
	w := newWorld(b, fmt.Sprintf(healing, "", "10ms"))
	a := running(b, w, func(a *app.App) {
		if err := startWorld(b.Context(), a, func(string) {}); err != nil {
			b.Fatal(err)
		}
	})
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		await.Every(b, time.Millisecond, "the service is well and no incident is open", func() bool {
			state, _ := a.World.Telemetry.Probe("stock", jenner.AliveProbe)
			return a.AllProbesPassing() == "" && a.OpenIncidents() == 0 && serves(w.healthURL()) && time.Since(state.Since) > settle
		})
		before, start := w.pid(), time.Now()
		if err := syscall.Kill(before, signal); err != nil {
			b.Fatal(err)
		}
		await.Every(b, time.Millisecond, "another process serves", func() bool { return w.pid() != before && serves(w.healthURL()) })
		took = append(took, time.Since(start))
	}
	b.ReportMetric(median(took), "recovered-ms")
	b.ReportMetric(ownStart(b), "start-ms")
	b.ReportMetric(0, "ns/op")
}

// ownStart is the median of how long the service itself takes from being started to serving, without Jenner.
func ownStart(b *testing.B) float64 {
	var took []time.Duration
	for range 5 {
		w := newWorld(b, fmt.Sprintf(healing, "", "10ms"))
		docs, err := app.Read([]string{w.files()}, providers, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		entry, err := providers.Action("start", "process")
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		call := act.Call{Key: "start", Service: docs.Services[0], Target: docs.Services[0].Targets[0]}
		if _, err := entry.New().Do(b.Context(), call); err != nil {
			b.Fatal(err)
		}
		await.Every(b, time.Millisecond, "it serves", func() bool { return serves(w.healthURL()) })
		took = append(took, time.Since(start))
	}
	return median(took)
}

// BenchmarkKillToServing is from the SIGKILL of a process to the first answer of its successor.
func BenchmarkKillToServing(b *testing.B) { healed(b, syscall.SIGKILL, 0) }

// BenchmarkHangToServing is from the SIGSTOP of a process that also ignores SIGTERM to the first answer of its successor.
func BenchmarkHangToServing(b *testing.B) { healed(b, syscall.SIGSTOP, 1500*time.Millisecond) }

// timedJournal notes when an intent is synced.
type timedJournal struct {
	act.Journal
	synced chan time.Time
}

func (j *timedJournal) Begin(ctx context.Context, intent jenner.Intent) (jenner.Intent, bool, error) {
	stored, fresh, err := j.Journal.Begin(ctx, intent)
	j.synced <- time.Now()
	return stored, fresh, err
}

// bells is over how many services the alerts are spread, so that no decision looks back on more than a few attempts.
const bells = 50

// bell is a service that only alerts are about.
const bell = `
kind: service
name: bell%[1]d
owner: ringers
targets: [{kind: file, name: bell, path: stock.yaml}]
alerts: [{name: ring, promql: vector(0) > 1}]
---
`

// answering heals the bells by a command that does nothing.
const answering = `
kind: signature
name: rings
cause: ringing
services: {owner: [ringers]}
evidence: [{alert: ring}]
---
kind: runbook
name: answer
steps: [{name: nod, action: command.run, params: {argv: ['true'], idempotent: true}}]
---
kind: policy
name: ringing
incident_type: ringing
runbooks: [answer]
mode: auto
max_attempts: 1000000
attempts_reset_after: 1ms
cooldown_after_action: 1ms
stable_for: 1ms
`

// BenchmarkAlertToIntent is from the moment that an alert is received to the moment that the intent of the first action
// is synced to disk: intake, diagnosis, plan, decision with every guard, and six synced commits.
func BenchmarkAlertToIntent(b *testing.B) {
	files := fmt.Sprintf(healing, "", "1ms") + "---\n"
	for i := range bells {
		files += fmt.Sprintf(bell, i)
	}
	w := newWorld(b, files+answering)
	journal := &timedJournal{synced: make(chan time.Time, 16)}
	a := running(b, w, func(a *app.App) {
		journal.Journal = a.Executor().Journal
		a.Executor().Journal = journal
		if err := startWorld(b.Context(), a, func(string) {}); err != nil {
			b.Fatal(err)
		}
	})
	for len(journal.synced) > 0 {
		<-journal.synced // of the start of the world
	}
	await.Every(b, time.Millisecond, "the world is well", func() bool { return a.OpenIncidents() == 0 })
	var took []time.Duration
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		alert := jenner.Alert{Name: "ring", Kind: "external", Service: fmt.Sprint("bell", i%bells), Status: jenner.Firing,
			Fingerprint: fmt.Sprint("ring", i), StartsAt: start, SeenAt: start}
		a.World.Board.Put(alert)
		select {
		case at := <-journal.synced:
			took = append(took, at.Sub(start))
		case <-time.After(2 * time.Minute):
			b.Fatal("no intent comes")
		}
		alert.Status, alert.SeenAt = jenner.Resolved, time.Now()
		a.World.Board.Put(alert)
		await.Every(b, time.Millisecond, "the incident has ended", func() bool { return a.OpenIncidents() == 0 })
	}
	b.ReportMetric(percentile(took, 0.5), "p50-ms")
	b.ReportMetric(percentile(took, 0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}
