package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/store/sqlite"
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

// configKey is where a data directory keeps the folders and files that its jenner was last started with.
const configKey = "config"

// ConfigOf gives the folders and files that the jenner of a data directory was last started with.
func ConfigOf(ctx context.Context, store *sqlite.Store) ([]string, error) {
	raw, err := store.Value(ctx, configKey)
	if err != nil {
		return nil, fmt.Errorf("the data directory does not say which files its jenner reads: %w", err)
	}
	var paths []string
	if err := json.Unmarshal(raw, &paths); err != nil {
		return nil, fmt.Errorf("the data directory does not say which files its jenner reads: %w", err)
	}
	return paths, nil
}

// rememberConfig keeps the folders and files for ConfigOf.
func (a *App) rememberConfig(ctx context.Context) error {
	var paths []string
	for _, path := range a.Config {
		whole, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		paths = append(paths, whole)
	}
	return a.Store.PutValue(ctx, configKey, jenner.Raw(paths))
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
