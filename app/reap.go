package app

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// Reap is the whole life of a reaper process: it needs nothing but the undo journal of the data directory, neither the
// store nor the files. In the beginning and in the end it also looks for faults that somebody else has left on targets.
func Reap(ctx context.Context, data string, all *catalog.Catalog, parent io.Reader, patience time.Duration, logger *slog.Logger) error {
	injector, err := undoer(data, all)
	if err != nil {
		return err
	}
	var look sync.WaitGroup
	look.Go(func() { sweepOnce(ctx, data, all, logger) })
	err = chaos.Reap(ctx, injector, parent, patience, logger)
	look.Wait()
	sweepOnce(ctx, data, all, logger)
	return err
}

// Hold is the whole life of a process that holds one fault of the undo journal.
func Hold(ctx context.Context, data string, all *catalog.Catalog, id string, parent io.Reader, out io.Writer) error {
	injector, err := undoer(data, all)
	if err != nil {
		return err
	}
	return chaos.Hold(ctx, injector, id, parent, out)
}

// faultsDir is the folder in the data directory with the undo journal.
const faultsDir = "faults"

// undoer is an injector that only takes back.
func undoer(data string, all *catalog.Catalog) (*chaos.Injector, error) {
	journal, err := chaos.OpenJournal(filepath.Join(data, faultsDir))
	if err != nil {
		return nil, err
	}
	return &chaos.Injector{Journal: journal, Now: time.Now, Build: all.MakeFault, Holders: &chaos.Holders{Journal: journal},
		Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}, nil
}
