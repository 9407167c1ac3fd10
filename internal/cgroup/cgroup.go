// Package cgroup finds the control group that limits a process, in the old form (one tree a controller) and in the new
// one (one tree for all), as the kernel and the mounts of this machine have them.
//
// It is for faults that work inside of the same limits as their target. It is not for making groups, nor for managing
// services by them: that is for systemd and container runtimes.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// Group is one control group, as one controller sees it.
type Group struct {
	Controller string `json:"controller"` // cpu, memory, pids …
	Path       string `json:"path"`       // in the controller's tree; / is the whole machine
	Dir        string `json:"dir"`        // its folder
	Unified    bool   `json:"unified"`    // of the new form, cgroup v2
}

// ErrNone says that the machine has no such controller.
var ErrNone = errors.New("no such controller on this machine")

// Of finds the group of a process for a controller. It is ErrNone where the kernel does not have the controller, or
// where its tree is mounted nowhere.
func Of(pid int, controller string) (Group, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return Group{}, fmt.Errorf("the control group of pid %d cannot be found: %w", pid, err)
	}
	memberships, err := process.Cgroups()
	if err != nil {
		return Group{}, fmt.Errorf("the control group of pid %d cannot be found: %w", pid, err)
	}
	mounts, err := procfs.GetMounts()
	if err != nil {
		return Group{}, fmt.Errorf("the mounted control groups cannot be found: %w", err)
	}
	for _, mount := range mounts {
		unified := mount.FSType == "cgroup2"
		_, own := mount.SuperOptions[controller]
		if unified {
			own = offers(mount.MountPoint, controller)
		}
		if !own || !unified && mount.FSType != "cgroup" {
			continue
		}
		for _, member := range memberships {
			if unified && member.HierarchyID != 0 || !unified && !slices.Contains(member.Controllers, controller) {
				continue
			}
			below, inside := strings.CutPrefix(member.Path, strings.TrimSuffix(mount.Root, "/"))
			if !inside {
				continue // the mount shows another part of the tree
			}
			return Group{controller, member.Path, filepath.Join(mount.MountPoint, below), unified}, nil
		}
	}
	return Group{}, fmt.Errorf("%s: %w", controller, ErrNone)
}

// offers tells whether the tree of the new form has the controller.
func offers(root, controller string) bool {
	list, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(list)), controller)
}

// Whole tells whether the group is the whole machine, which no limit holds.
func (g Group) Whole() bool { return g.Path == "/" }

// Read reads one of the group's files, without blanks around it. It is fs.ErrNotExist where the group is gone.
func (g Group) Read(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(g.Dir, file))
	return strings.TrimSpace(string(text)), err
}

// Number reads a file that holds one number; ok is false where it says `max`, or -1, which both mean no limit, and where
// there is no such file.
func (g Group) Number(file string) (value uint64, ok bool, err error) {
	text, err := g.Read(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (text == "max" || text == "-1") {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	value, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s of group %s holds %q, which is no number", file, g.Path, text)
	}
	return value, true, nil
}

// Write writes one of the group's files.
func (g Group) Write(file, text string) error {
	// No O_CREATE and no O_TRUNC: the files are the kernel's.
	out, err := os.OpenFile(filepath.Join(g.Dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = out.WriteString(text)
	return errors.Join(err, out.Close())
}

// Members are the processes in the group and in those below it.
func (g Group) Members() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(g.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		list, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for _, word := range strings.Fields(string(list)) {
			if pid, bad := strconv.Atoi(word); bad == nil {
				pids = append(pids, pid)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the group went meanwhile
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the processes of group %s cannot be listed: %w", g.Path, err)
	}
	return pids, nil
}
