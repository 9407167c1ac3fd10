package kubernetes

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// manifestSettles is how long a manifest must be left alone before it is read: editors and Git write in several steps.
const manifestSettles = 100 * time.Millisecond

// watchManifest calls changed whenever the target's manifest may have been changed, until ctx ends. Folders are watched
// rather than files, so that editors which replace a file, and mounted ConfigMaps, are seen too.
func watchManifest(ctx context.Context, t *Target, changed func()) error {
	folders, err := manifestFolders(t)
	if err != nil {
		return err
	}
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", t.Desired, err)
	}
	for _, folder := range folders {
		if err := notifier.Add(folder); err != nil {
			_ = notifier.Close()
			return fmt.Errorf("cannot watch %s: %w", folder, err)
		}
	}
	go func() {
		defer func() { _ = notifier.Close() }()
		for {
			select {
			case <-ctx.Done():
				return
			case _, open := <-notifier.Events:
				if !open {
					return
				}
			case _, open := <-notifier.Errors: // events were lost: what changed is not known, so look
				if !open {
					return
				}
			}
			changed()
		}
	}()
	return nil
}

// manifestFolders are those in which something happens when the manifest is changed: its own, or those in which Git keeps
// what its branches are.
func manifestFolders(t *Target) ([]string, error) {
	own := filepath.Dir(t.Desired)
	if t.Revision == "" {
		return []string{own}, nil
	}
	raw, err := exec.Command("git", "-C", own, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir").Output()
	if err != nil {
		return nil, fmt.Errorf("%s lies in no Git working copy that git can read: %w", t.Desired, err)
	}
	roots := strings.Fields(string(raw))
	folders := roots
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(root, "refs"), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil // a working copy of a worktree has no refs of its own
		})
		if err != nil {
			return nil, err
		}
	}
	return folders, nil
}
