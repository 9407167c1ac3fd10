package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// KillSwitchFile is the file in the data directory whose being there stops all action. It is a file so that it works
// from any terminal, survives every restart, and needs nothing else to be well; `touch` is enough.
const KillSwitchFile = "kill-switch"

// PausesDir is the folder in the data directory with the pauses of single services, a file each. They are files for the
// same reasons.
const PausesDir = "pauses"

// killSwitchLook is how often the file is looked at for what is in flight. What is not begun yet looks by itself.
const killSwitchLook = 40 * time.Millisecond

// Holds are the kill switch and the holds on single services. It is safe for concurrent use.
type Holds struct {
	path   string
	pauses string
	now    func() time.Time
	// fence, where it is set, says why this process may do nothing at this moment, whatever the files say.
	fence func() error

	mu     sync.Mutex
	held   []jenner.Hold
	paused []jenner.Hold // as they were read last
	readAt time.Time
}

// NewHolds reads the kill switch of a data directory.
func NewHolds(dataDir string, now func() time.Time) *Holds {
	return &Holds{path: filepath.Join(dataDir, KillSwitchFile), pauses: filepath.Join(dataDir, PausesDir), now: now}
}

// KillSwitch is the kill switch, if it is on, or what stops this process as the switch would: a lease that it has lost.
func (h *Holds) KillSwitch() (jenner.Hold, bool) {
	if h.fence != nil {
		if err := h.fence(); err != nil {
			return jenner.Hold{Scope: jenner.HoldAll, By: "lease", Reason: err.Error(), At: h.now()}, true
		}
	}
	return h.switchFile()
}

// switchFile is the kill switch on disk. A file that cannot be read stops as well: when in doubt, nothing is done.
func (h *Holds) switchFile() (jenner.Hold, bool) {
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
	if hold, on := h.switchFile(); on {
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
	hold, on := h.switchFile()
	if err := os.Remove(h.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hold, on, fmt.Errorf("cannot take the kill switch away: %w", err)
	}
	return hold, on, nil
}

// Pause forbids acting on a service until a time, zero until it is resumed, synced to disk. A later pause of the same
// service takes the place of an earlier one.
func (h *Holds) Pause(service string, until time.Time, by, reason string) (jenner.Hold, error) {
	hold := jenner.Hold{Scope: service, By: by, Reason: reason, At: h.now(), Until: until}
	if err := os.MkdirAll(h.pauses, 0o700); err != nil {
		return hold, fmt.Errorf("cannot pause %s: %w", service, err)
	}
	// Written beside and renamed, so that nobody ever reads half of it.
	draft, err := os.CreateTemp(h.pauses, ".draft-")
	if err != nil {
		return hold, fmt.Errorf("cannot pause %s: %w", service, err)
	}
	_, err = draft.Write(jenner.Raw(hold))
	err = errors.Join(err, draft.Sync(), draft.Close(), os.Rename(draft.Name(), h.pauseFile(service)))
	if err != nil {
		return hold, errors.Join(fmt.Errorf("cannot pause %s: %w", service, err), os.Remove(draft.Name()))
	}
	return hold, nil
}

// Unpause takes the pause of a service away, and gives it; false where there was none.
func (h *Holds) Unpause(service string) (jenner.Hold, bool, error) {
	var hold jenner.Hold
	for _, one := range h.read() {
		if one.Scope == service {
			hold = one
		}
	}
	files, err := h.pauseFiles()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hold, true, fmt.Errorf("cannot end the pause of %s: %w", service, err)
	}
	was := false
	for _, file := range files {
		if file.service != service {
			continue
		}
		err := os.Remove(filepath.Join(h.pauses, file.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return hold, true, fmt.Errorf("cannot end the pause of %s: %w", service, err)
		}
		was = was || err == nil
	}
	return hold, was, nil
}

// pauseFile has the service's name escaped, for a name may hold anything.
func (h *Holds) pauseFile(service string) string {
	return filepath.Join(h.pauses, url.PathEscape(service)+".json")
}

// Pauses are the pauses in force.
func (h *Holds) Pauses() []jenner.Hold { return h.inForce(h.read()) }

// namedPause is a file of the pauses and the service that its name says. Several names may say the same one, for people
// make such files by hand and do not escape them as Pause does.
type namedPause struct{ name, service string }

func (h *Holds) pauseFiles() ([]namedPause, error) {
	entries, err := os.ReadDir(h.pauses)
	var files []namedPause
	for _, entry := range entries {
		escaped, is := strings.CutSuffix(entry.Name(), ".json")
		if service, err := url.PathUnescape(escaped); is && err == nil {
			files = append(files, namedPause{entry.Name(), service})
		}
	}
	return files, err
}

// read reads the pauses from disk. A file that cannot be read pauses its service, and a folder that cannot be read
// pauses all of them: when in doubt, nothing is done.
func (h *Holds) read() []jenner.Hold {
	files, err := h.pauseFiles()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no such folder as long as nobody ever paused anything
	}
	var paused []jenner.Hold
	if err != nil {
		paused = append(paused, jenner.Hold{Scope: jenner.HoldAll, By: "somebody", Reason: "the pauses in " + h.pauses + " cannot be read: " + err.Error()})
	}
	for _, file := range files {
		var hold jenner.Hold
		raw, err := os.ReadFile(filepath.Join(h.pauses, file.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was taken away just now
		}
		if err != nil || json.Unmarshal(raw, &hold) != nil {
			hold = jenner.Hold{By: "somebody", Reason: "the file " + file.name + " in " + h.pauses + " cannot be read"}
		}
		hold.Scope = file.service
		paused = append(paused, hold)
	}
	return paused
}

func (h *Holds) inForce(holds []jenner.Hold) []jenner.Hold {
	now := h.now()
	return slices.DeleteFunc(slices.Clone(holds), func(hold jenner.Hold) bool {
		return !hold.Until.IsZero() && !now.Before(hold.Until)
	})
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

// All are the holds in force. The kill switch is looked up on disk each time, pauses at most every killSwitchLook.
func (h *Holds) All() []jenner.Hold {
	var all []jenner.Hold
	if hold, on := h.KillSwitch(); on {
		all = append(all, hold)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); h.readAt.IsZero() || now.Sub(h.readAt) >= killSwitchLook || now.Before(h.readAt) {
		h.paused, h.readAt = h.read(), now
	}
	return append(append(all, h.inForce(h.paused)...), h.inForce(h.held)...)
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

// watch tells halt about the kill switch and pauses while effects may be in flight, and changed about each change.
func (h *Holds) watch(ctx context.Context, halt func(jenner.Hold), changed func(hold jenner.Hold, on bool)) {
	ticker := time.NewTicker(killSwitchLook)
	defer ticker.Stop()
	was := map[string]jenner.Hold{}
	for _, hold := range h.All() {
		was[hold.Scope+" "+hold.By] = hold
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		h.mu.Lock()
		h.readAt = time.Time{} // what is under way is broken off as soon as this can see it
		h.mu.Unlock()
		is := map[string]jenner.Hold{}
		for _, hold := range h.All() {
			key := hold.Scope + " " + hold.By
			is[key] = hold
			halt(hold)
			if _, known := was[key]; !known {
				changed(hold, true)
			}
		}
		for key, hold := range was {
			if _, still := is[key]; !still {
				changed(hold, false)
			}
		}
		was = is
	}
}
