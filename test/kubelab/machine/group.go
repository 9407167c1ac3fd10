package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// groups is where control groups are, of both versions.
const groups = "/sys/fs/cgroup"

// unified is the tree of version 2 beside those of version 1; it has no controllers to speak of.
const unified = groups + "/unified"

// hierarchies are the folders below which there are control groups: one where the kernel shows version 2 alone,
// otherwise one for each controller, and unified.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(groups + "/cgroup.controllers"); err == nil {
		return []string{groups}, nil
	}
	roots, err := filepath.Glob(groups + "/*/cgroup.procs")
	if err != nil {
		return nil, err
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("there are no control groups below %s", groups)
	}
	var dirs []string
	for _, root := range roots {
		if dir := filepath.Dir(root); !isLink(dir) { // some names lead to the same folder
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// MakeGroup makes a control group in every hierarchy, for pods to live in.
func MakeGroup(name string) error {
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if dir == unified {
			continue // containers that want a group there make it
		}
		at := dir
		for part := range strings.SplitSeq(name, "/") {
			if err := allow(at); err != nil {
				return err
			}
			parent := at
			at = filepath.Join(at, part)
			if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("control group: %w", err)
			}
			if err := inherit(parent, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// allow lets the groups below use the controllers, which version 2 asks for at every level.
func allow(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(text)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("control group %s: controller %s: %w", dir, controller, err)
		}
	}
	return nil
}

// inherit copies what a group of version 1 has to have before a process may enter it.
func inherit(parent, child string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		text, err := os.ReadFile(filepath.Join(parent, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(child, name), text, 0o644); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	return nil
}

// RemoveGroup removes a control group with all below it. The processes in it must be ending: it waits for them.
func RemoveGroup(ctx context.Context, name string) error {
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, dir := range dirs {
		for {
			err := removeTree(filepath.Join(dir, name))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("control group: %w", errors.Join(err, context.Cause(ctx)))
			case <-tick.C:
			}
		}
	}
	return nil
}

// removeTree removes the groups from the bottom up; the files in them go with the folders.
func removeTree(dir string) error {
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			found = append(found, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, path := range slices.Backward(found) {
		if removal := os.Remove(path); removal != nil && !errors.Is(removal, fs.ErrNotExist) {
			err = errors.Join(err, removal)
		}
	}
	return err
}
