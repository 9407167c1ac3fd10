package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// flagFile reads feature flags from a JSON object and notices when the file changes, at the price of one stat a
// question. A missing file means that all flags are off. A broken one leaves them as they were and is counted, once
// for what it contains and at every question while it cannot be read at all. Keys that are not ours are left alone.
// It may be used concurrently.
type flagFile struct {
	path   string
	names  []string
	log    *slog.Logger
	errors prometheus.Counter

	mu    sync.Mutex
	seen  os.FileInfo // the file as it was when last read, nil if there was none
	flags map[string]bool
}

func newFlagFile(path string, log *slog.Logger, names ...string) *flagFile {
	return &flagFile{
		path: path, names: names, log: log,
		errors: newCounter("shop_flag_errors_total", "Times that the flag file could not be used."),
	}
}

// on says whether the flag is on in the file as it is now.
func (f *flagFile) on(name string) bool {
	if f.path == "" {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		f.errors.Inc()
		f.log.Warn("flag file not usable, keeping the flags as they were", "file", f.path, "error", err)
	}
	return f.flags[name]
}

// refresh reads the file again if it is not the one seen last. The stat comes before the read: a change in between
// is then seen as one more change.
func (f *flagFile) refresh() error {
	now, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.seen, f.flags = nil, nil
		return nil
	}
	if err != nil {
		return err
	}
	if f.unchanged(now) {
		return nil
	}
	content, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	f.seen = now
	flags, err := parseFlags(content, f.names)
	if err != nil {
		return err
	}
	f.flags = flags
	f.log.Info("flags read", "file", f.path, "flags", flags)
	return nil
}

func (f *flagFile) unchanged(now os.FileInfo) bool {
	return f.seen != nil && os.SameFile(f.seen, now) && f.seen.Size() == now.Size() && f.seen.ModTime().Equal(now.ModTime())
}

func parseFlags(content []byte, names []string) (map[string]bool, error) {
	var object map[string]any
	if err := json.Unmarshal(content, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	flags := make(map[string]bool, len(names))
	for _, name := range names {
		value, present := object[name]
		on, isBool := value.(bool)
		if present && !isBool {
			return nil, fmt.Errorf("flag %s: want true or false, got %v", name, value)
		}
		flags[name] = on
	}
	return flags, nil
}
