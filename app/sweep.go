package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// How often faults are looked for that are written down where the targets are, and how long one look may take.
const (
	sweepEvery    = time.Minute
	sweepPatience = time.Minute
)

// sweptFile is the file in the data directory with the targets that are looked at, for the reaper and for `jenner undo`,
// which read no other files.
const sweptFile = "swept-targets.json"

// targetsOf are those of the documents' targets on which faults may be written down.
func targetsOf(docs *jenner.Documents, all *catalog.Catalog) []jenner.Target {
	var targets []jenner.Target
	for _, service := range docs.Services {
		targets = append(targets, service.Targets...)
	}
	return all.Sweepable(targets)
}

// rememberSwept keeps the targets that are looked at.
func rememberSwept(data string, targets []jenner.Target) (err error) {
	if len(targets) == 0 {
		if err := os.Remove(filepath.Join(data, sweptFile)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	for i := range targets {
		if targets[i].Dir, err = filepath.Abs(targets[i].Dir); err != nil { // whoever reads them may run elsewhere
			return err
		}
	}
	part, err := os.CreateTemp(data, "."+sweptFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(jenner.Raw(targets))
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), filepath.Join(data, sweptFile))
}

// rememberedSwept are the targets that the last jenner of a data directory looked at.
func rememberedSwept(data string) (targets []jenner.Target, err error) {
	raw, err := os.ReadFile(filepath.Join(data, sweptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &targets)
	}
	if err != nil {
		return nil, fmt.Errorf("the targets on which faults may be written down cannot be read: %w", err)
	}
	return targets, nil
}

// sweep takes back the faults whose time is over and that are written down where the targets are, now and again and again.
func (a *App) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	said := ""
	for {
		during, cancel := context.WithTimeout(ctx, sweepPatience)
		swept, err := a.Catalog.Sweep(during, targetsOf(a.Docs(), a.Catalog), time.Now())
		cancel()
		for _, one := range swept {
			a.sweptOne(ctx, one)
		}
		if text := fmt.Sprint(err); err != nil && ctx.Err() == nil && text != said {
			said = text // the same again would only fill the log
			a.Logger.Warn("not all places could be looked at where a fault may have been left", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *App) sweptOne(ctx context.Context, one chaos.Swept) {
	a.Logger.Warn("took back a fault that somebody had left", "fault", one.Fault, "on", one.On, "by", one.By, "id", one.ID)
	err := a.Store.AppendAudit(ctx, jenner.AuditEntry{At: time.Now(), Kind: "fault.undone", Subject: one.On, Actor: "jenner", Data: jenner.Raw(one)})
	if err != nil {
		a.Logger.Error("cannot write into the audit log that a fault was taken back", "error", err)
	}
}

// sweepOnce is the reaper's look.
func sweepOnce(ctx context.Context, data string, all *catalog.Catalog, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	targets, err := rememberedSwept(data)
	var swept []chaos.Swept
	if err == nil {
		swept, err = all.Sweep(ctx, targets, time.Now())
	}
	if len(swept) > 0 {
		logger.Info("took back faults that somebody had left", "faults", len(swept))
	}
	if err != nil {
		logger.Warn("not all places could be looked at where a fault may have been left", "error", err)
	}
}

// Sweep takes back the faults whose time is over and that are written down where targets are: those that the last jenner of
// this data directory looked at, and those of the files, each of which may be a folder.
func (u *Undoer) Sweep(ctx context.Context, files []string) ([]chaos.Swept, error) {
	targets, err := rememberedSwept(u.data)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		loaded, err := config.Load(files...)
		if err != nil {
			return nil, err
		}
		targets = append(targets, targetsOf(loaded.Documents, u.all)...)
	}
	return u.all.Sweep(ctx, targets, time.Now())
}
