package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

// place is where a load is put: the whole machine, or the control groups of one process.
type place struct {
	Pid    int            `json:"pid,omitempty"`    // of the process; 0 for the whole machine
	Start  uint64         `json:"start,omitempty"`  // of the process, in clock ticks since the boot
	Groups []cgroup.Group `json:"groups,omitempty"` // those that the load joins; none where it stands there already
}

// placed is what the faults share that load a place.
type placed struct{}

// Fingerprint tells whether the place is loaded by this fault. What else there is to do on the machine does not count.
func (placed) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	if call.Held.Alive {
		return fmt.Sprintf("loaded by pid %d", call.Held.Pid), nil
	}
	return "not loaded", nil
}

// placeOf finds where a target is, as the controllers see it.
func placeOf(target jenner.Target, controllers ...string) (place, error) {
	if target.Kind == "host" {
		return place{}, nil
	}
	if target.Kind != "process" {
		return place{}, jenner.Permanent(fmt.Errorf("target %s is neither a host nor a process", target.Ref()), "")
	}
	pid, start, err := processOf(target)
	if err != nil {
		return place{}, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "start it first")
	}
	where := place{Pid: pid, Start: start}
	for _, controller := range controllers {
		group, err := cgroup.Of(pid, controller)
		if errors.Is(err, cgroup.ErrNone) {
			continue // without it nobody is limited by it
		}
		if err != nil {
			return place{}, err
		}
		own, err := cgroup.Of(os.Getpid(), controller)
		if err != nil {
			return place{}, err
		}
		if own.Dir != group.Dir {
			where.Groups = append(where.Groups, group)
		}
	}
	for _, group := range where.Groups {
		if unix.Access(filepath.Join(group.Dir, "cgroup.procs"), unix.W_OK) != nil {
			return place{}, jenner.Permanent(fmt.Errorf("nothing can be put into the %s group %s of target %s: needs CAP_DAC_OVERRIDE; run as root",
				group.Controller, group.Path, target.Ref()), "")
		}
	}
	return where, nil
}

// placeIn reads a checkpoint.
func placeIn(checkpoint json.RawMessage) (where place, err error) {
	if err := json.Unmarshal(checkpoint, &where); err != nil {
		return where, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return where, nil
}

// String is the place in words.
func (p place) String() string {
	if p.Pid == 0 {
		return "on the whole machine"
	}
	if len(p.Groups) == 0 {
		return fmt.Sprintf("where pid %d is", p.Pid)
	}
	var names []string
	for _, group := range p.Groups {
		names = append(names, group.Controller+" "+group.Path)
	}
	return fmt.Sprintf("in the groups of pid %d (%s)", p.Pid, strings.Join(names, ", "))
}

// joined puts a thread of this process, or the whole process, into the groups. Only the old form takes single threads.
func (p place) joined(tid int) error {
	for _, group := range p.Groups {
		file, id := "tasks", tid
		if group.Unified || tid == 0 {
			file, id = "cgroup.procs", os.Getpid()
		}
		if err := group.Write(file, strconv.Itoa(id)); err != nil {
			return fmt.Errorf("nothing can be put into the %s group %s: %w", group.Controller, group.Path, err)
		}
	}
	return nil
}

// mtimeSlack is how much younger than its pidfile a process may look: clocks of files are coarse.
const mtimeSlack = 2 * time.Second

// processOf finds the process that the pidfile of a target names. A process that is younger than the file has only got
// the number of the one that was meant.
func processOf(target jenner.Target) (pid int, start uint64, err error) {
	var path string
	if err := json.Unmarshal(target.Params["pidfile"], &path); err != nil || path == "" {
		return 0, 0, errors.New("it has no pidfile")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(target.Dir, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf("the pidfile cannot be read: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, fmt.Errorf("the pidfile cannot be read: %w", err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || pid <= 1 {
		return 0, 0, fmt.Errorf("pidfile %s holds %.40q, which is no process id", path, text)
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, 0, fmt.Errorf("pid %d is gone", pid)
	}
	stat, err := process.Stat()
	if err != nil || stat.State == "Z" || stat.State == "X" {
		return 0, 0, fmt.Errorf("pid %d is gone", pid)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, 0, err
	}
	const tick = time.Second / 100 // USER_HZ, the unit of start times in /proc
	born := time.Now().Add(time.Duration(stat.Starttime)*tick - time.Duration(now.Nano()))
	if born.After(info.ModTime().Add(mtimeSlack)) {
		return 0, 0, fmt.Errorf("pid %d is gone; another process, younger than the pidfile, has the number now", pid)
	}
	return pid, stat.Starttime, nil
}

// reported reads what the process that holds a fault has told last; the zero value where it told nothing.
func reported[T any](call chaos.Call) (report T, err error) {
	if len(call.Held.Report) == 0 {
		return report, nil
	}
	if err := json.Unmarshal(call.Held.Report, &report); err != nil {
		return report, fmt.Errorf("the report of the process that holds the fault cannot be read: %w", err)
	}
	return report, nil
}

// every calls turn again and again until it gives an error or ctx ends.
func every(ctx context.Context, pause time.Duration, turn func() error) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if err := turn(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
