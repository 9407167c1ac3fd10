package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// KillSwitchFile is the file in the data directory whose being there stops all action. It is a file so that it works
// from any terminal, survives every restart, and needs nothing else to be well; `touch` is enough.
const KillSwitchFile = "kill-switch"

// killSwitchLook is how often the file is looked at for what is in flight. What is not begun yet looks by itself.
const killSwitchLook = 40 * time.Millisecond

// Holds are the kill switch and the holds on single services. It is safe for concurrent use.
type Holds struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	held []jenner.Hold
}

// NewHolds reads the kill switch of a data directory.
func NewHolds(dataDir string, now func() time.Time) *Holds {
	return &Holds{path: filepath.Join(dataDir, KillSwitchFile), now: now}
}

// KillSwitch is the kill switch, if it is on. A file that cannot be read stops as well: when in doubt, nothing is done.
func (h *Holds) KillSwitch() (jenner.Hold, bool) {
	raw, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return jenner.Hold{}, false
	}
	hold := jenner.Hold{}
	if err != nil || json.Unmarshal(raw, &hold) != nil {
		hold = jenner.Hold{By: "somebody", Reason: "the file " + h.path + " is there"}
		if info, statErr := os.Stat(h.path); statErr == nil {
			hold.At = info.ModTime()
		}
	}
	hold.Scope, hold.Until = jenner.HoldAll, time.Time{}
	return hold, true
}

// Stop puts the kill switch on, synced to disk. An earlier one stays as it is.
func (h *Holds) Stop(by, reason string) (jenner.Hold, error) {
	if hold, on := h.KillSwitch(); on {
		return hold, nil
	}
	hold := jenner.Hold{Scope: jenner.HoldAll, By: by, Reason: reason, At: h.now()}
	file, err := os.OpenFile(h.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return hold, fmt.Errorf("cannot put the kill switch on: %w; create the file %s by any means", err, h.path)
	}
	_, err = file.Write(jenner.Raw(hold))
	return hold, errors.Join(err, file.Sync(), file.Close())
}

// Resume takes the kill switch away, and gives the hold that was on; false where none was.
func (h *Holds) Resume() (jenner.Hold, bool, error) {
	hold, on := h.KillSwitch()
	if err := os.Remove(h.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hold, on, fmt.Errorf("cannot take the kill switch away: %w", err)
	}
	return hold, on, nil
}

// Put holds one service; a hold of the same owner on the same service is replaced.
func (h *Holds) Put(hold jenner.Hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = slices.DeleteFunc(h.held, func(other jenner.Hold) bool { return other.By == hold.By && other.Scope == hold.Scope })
	h.held = append(h.held, hold)
}

// Release takes away all holds of an owner.
func (h *Holds) Release(by string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = slices.DeleteFunc(h.held, func(hold jenner.Hold) bool { return hold.By == by })
}

// All are the holds in force.
func (h *Holds) All() []jenner.Hold {
	var all []jenner.Hold
	if hold, on := h.KillSwitch(); on {
		all = append(all, hold)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, hold := range h.held {
		if hold.Until.IsZero() || now.Before(hold.Until) {
			all = append(all, hold)
		}
	}
	return all
}

// Held tells whether acting on a service is forbidden now.
func (h *Holds) Held(service string) (jenner.Hold, bool) {
	for _, hold := range h.All() {
		if hold.Covers(service, h.now()) {
			return hold, true
		}
	}
	return jenner.Hold{}, false
}

// watch tells halt about the kill switch while effects may be in flight, and changed about each change of it.
func (h *Holds) watch(ctx context.Context, halt func(jenner.Hold), changed func(jenner.Hold, bool)) {
	ticker := time.NewTicker(killSwitchLook)
	defer ticker.Stop()
	_, was := h.KillSwitch()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, err := os.Lstat(h.path)
		if is := err == nil; !is && !was {
			continue
		}
		hold, on := h.KillSwitch()
		if on {
			halt(hold)
		}
		if on != was {
			was = on
			changed(hold, on)
		}
	}
}
