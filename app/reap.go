package app

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// Reap is the whole life of a reaper process: it needs nothing but the undo journal of the data directory, neither the
// store nor the files.
func Reap(ctx context.Context, data string, all *catalog.Catalog, parent io.Reader, patience time.Duration, logger *slog.Logger) error {
	journal, err := chaos.OpenJournal(filepath.Join(data, "faults"))
	if err != nil {
		return err
	}
	injector := &chaos.Injector{Journal: journal, Now: time.Now, Build: binder{all}.fault,
		Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}
	return chaos.Reap(ctx, injector, parent, patience, logger)
}
