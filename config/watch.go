package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the files must be quiet before a change is told: editors write in several steps.
const settle = 100 * time.Millisecond

// Watch calls changed after files that Load would read have changed, once for changes that follow each other within
// 100 ms. It returns when it watches, so that what changes after it is not missed; the watching ends with ctx. changed
// is called from one goroutine, one call at a time. Folders are watched rather than files, so that editors which
// replace a file, and folders made later, are seen too. The error is that a path cannot be watched.
func Watch(ctx context.Context, paths []string, changed func()) error {
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch files: %w; reload with SIGHUP instead", err)
	}
	w := &watcher{notifier: notifier, changed: changed}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			w.files = append(w.files, filepath.Clean(path))
			err = notifier.Add(filepath.Dir(path))
		} else if err == nil {
			w.roots = append(w.roots, filepath.Clean(path))
		}
		if err != nil {
			_ = notifier.Close()
			return fmt.Errorf("cannot watch %s: %w", path, err)
		}
	}
	if err := w.folders(); err != nil {
		_ = notifier.Close()
		return err
	}
	go w.run(ctx)
	return nil
}

// watcher is one call of Watch.
type watcher struct {
	notifier *fsnotify.Watcher
	roots    []string // folders
	files    []string // files that were named themselves
	changed  func()
}

// folders watches every folder below the roots that is not watched yet.
func (w *watcher) folders() error {
	if len(w.roots) == 0 {
		return nil
	}
	for _, folder := range find(w.roots).folders {
		if err := w.notifier.Add(folder); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("cannot watch %s: %w", folder, err)
		}
	}
	return nil
}

func (w *watcher) run(ctx context.Context) {
	defer func() { _ = w.notifier.Close() }()
	quiet := time.NewTimer(settle)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-w.notifier.Events:
			if !open {
				return
			}
			if w.matters(event) {
				quiet.Reset(settle)
			}
		case _, open := <-w.notifier.Errors:
			if !open {
				return
			}
			quiet.Reset(settle) // events were lost: what changed is not known, so look
		case <-quiet.C:
			_ = w.folders() // folders that came meanwhile; one that went again is told by the next event
			w.changed()
		}
	}
}

// matters tells whether an event can change what Load reads: a YAML file, a folder, or the link ..data by which
// Kubernetes replaces a mounted folder.
func (w *watcher) matters(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Clean(event.Name)
	if slices.Contains(w.files, name) {
		return true
	}
	if !slices.ContainsFunc(w.roots, func(root string) bool { return below(name, root) }) {
		return false
	}
	base := filepath.Base(name)
	switch {
	case base == "..data":
		return true
	case strings.HasPrefix(base, "."):
		return false
	case isYAML(name):
		return true
	}
	info, err := os.Stat(name)
	gone := err != nil && event.Has(fsnotify.Remove|fsnotify.Rename) && filepath.Ext(name) == ""
	return gone || err == nil && info.IsDir()
}

func below(name, root string) bool {
	relative, err := filepath.Rel(root, name)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}
