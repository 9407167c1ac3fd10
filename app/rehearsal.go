package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// Read loads and checks files without starting anything.
func Read(paths []string, all *catalog.Catalog, logger *slog.Logger) (*jenner.Documents, error) {
	return (&App{Options: Options{Config: paths, Catalog: all, Logger: logger}}).read()
}

// Rehearsal is a stepper that says what it would do and changes nothing. It sees no telemetry: a condition that asks
// for a probe finds it unknown.
func Rehearsal(docs *jenner.Documents, all *catalog.Catalog) *act.Stepper {
	executor := &act.Executor{Journal: noJournal{}, Now: time.Now, DryRun: true,
		Held: func(string) (jenner.Hold, bool) { return jenner.Hold{}, false }}
	return &act.Stepper{Executor: executor, Action: binder{all}.action,
		Docs: func() *jenner.Documents { return docs },
		Host: func(*jenner.Incident) act.Host { return act.Host{Telemetry: blindTelemetry{}} }}
}

// noJournal is the journal of a dry run: there is nothing in it, and nothing may come into it.
type noJournal struct{}

var errDryRun = errors.New("a dry run keeps no journal")

func (noJournal) Begin(context.Context, jenner.Intent) (jenner.Intent, bool, error) {
	return jenner.Intent{}, false, errDryRun
}
func (noJournal) Finish(context.Context, jenner.Intent) error { return errDryRun }
func (noJournal) Intent(context.Context, string) (jenner.Intent, error) {
	return jenner.Intent{}, jenner.ErrNotFound
}

// blindTelemetry sees nothing, which is unknown and neither good nor bad.
type blindTelemetry struct{}

func (blindTelemetry) Query(context.Context, string) (jenner.Answer, error) {
	return jenner.Answer{}, nil
}
func (blindTelemetry) Probe(string, string) (jenner.ProbeState, bool) {
	return jenner.ProbeState{}, false
}
func (blindTelemetry) Probes(string) []jenner.ProbeState { return nil }
