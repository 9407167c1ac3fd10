package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("descriptors", "Let the process run out of file descriptors", func() chaos.Fault { return &FaultDescriptors{} }, "process")
}

// FaultDescriptors lowers the limit of open files of the process of the checkpoint, so that it can open no more than
// `leave` files and connections beside those that it has. What is open stays open. It needs no rights beside those of
// the process's own user. Children that the process starts meanwhile have the low limit too; the undo raises theirs as
// well.
type FaultDescriptors struct {
	victim
	Leave int `json:"leave,omitempty"` // how many more it may open; none where not said
}

// lowered is the checkpoint: the process, its limit before, and the one that the fault sets.
type lowered struct {
	sight
	Soft uint64 `json:"soft"`
	Hard uint64 `json:"hard"`
	Set  uint64 `json:"set"`
	// Same are the processes below it that had this very limit before, for reasons of their own.
	Same []identity `json:"same,omitempty"`
}

// Validate checks the parameters.
func (f *FaultDescriptors) Validate() error {
	if f.Leave < 0 {
		return fmt.Errorf("leave %d is less than nothing", f.Leave)
	}
	return nil
}

// Checkpoint keeps the limits before, and finds the one that leaves as many as asked.
func (f *FaultDescriptors) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	raw, err := f.victim.Checkpoint(ctx, call)
	if err != nil {
		return nil, err
	}
	seen, err := before(raw)
	if err != nil {
		return nil, err
	}
	limit, err := filesLimit(seen.identity)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	used, err := descriptors(seen.Pid)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	set := limitLeaving(used, f.Leave)
	if set >= limit.Cur {
		return nil, jenner.Permanent(fmt.Errorf("pid %d may open no more than %d more descriptors already: %d are open and %d is its limit",
			seen.Pid, f.Leave, len(used), limit.Cur), "leave less")
	}
	same, err := limitedBelow(seen.identity, set)
	return jenner.Raw(lowered{seen, limit.Cur, limit.Max, set, same}), err
}

// Fingerprint is whether the process runs, and the limits of the process of the checkpoint. A process that is gone, and
// one whose limit somebody else has changed meanwhile, keep nothing of the fault.
func (f *FaultDescriptors) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	mood, err := f.victim.Fingerprint(ctx, call)
	if err != nil {
		return "", err
	}
	was, err := read[lowered](call)
	if err != nil {
		return "", err
	}
	soft := was.Soft
	if limit, err := filesLimit(was.identity); err == nil && limit.Cur == was.Set {
		soft = limit.Cur
	} else if err != nil && !errors.Is(err, errGone) {
		return "", err
	}
	return fmt.Sprintf("%s, %d descriptors", mood, soft), nil
}

// Inject sets the low limit, unless the limit is another one meanwhile than the checkpoint saw.
func (f *FaultDescriptors) Inject(_ context.Context, call chaos.Call) error {
	was, err := read[lowered](call)
	if err != nil {
		return err
	}
	limit, err := filesLimit(was.identity)
	if err != nil {
		return err
	}
	if limit.Cur == was.Set {
		return nil
	}
	if limit.Cur != was.Soft || limit.Max != was.Hard {
		return jenner.Permanent(fmt.Errorf("somebody else has just changed the limit of pid %d to %d", was.Pid, limit.Cur), "")
	}
	return setFilesLimit(was.identity, unix.Rlimit{Cur: was.Set, Max: was.Hard})
}

// Bite sees the low limit in the kernel, and how many descriptors are open below it.
func (f *FaultDescriptors) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	armed, err := f.Armed(ctx, call)
	was, readErr := read[lowered](call)
	if err = errors.Join(err, readErr); err != nil {
		return chaos.Witness{}, err
	}
	if !armed {
		return chaos.Witness{Saw: fmt.Sprintf("the limit of pid %d is not %d", was.Pid, was.Set)}, nil
	}
	used, err := descriptors(was.Pid)
	if err != nil {
		return chaos.Witness{}, err
	}
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("pid %d has %d descriptors open and its limit is %d, before %d", was.Pid, len(used), was.Set, was.Soft)}, nil
}

// Armed tells whether the process of the checkpoint lives with the low limit.
func (*FaultDescriptors) Armed(_ context.Context, call chaos.Call) (bool, error) {
	was, err := read[lowered](call)
	if err != nil {
		return false, err
	}
	limit, err := filesLimit(was.identity)
	if errors.Is(err, errGone) {
		return false, nil
	}
	return err == nil && limit.Cur == was.Set, err
}

// Undo sets the limit back where it still is as this fault left it, in the process of the checkpoint and in the children
// that inherited it.
func (*FaultDescriptors) Undo(_ context.Context, call chaos.Call) error {
	was, err := read[lowered](call)
	if err != nil {
		return err
	}
	heirs, err := limitedBelow(was.identity, was.Set)
	for _, id := range append(heirs, was.identity) {
		if slices.Contains(was.Same, id) {
			continue
		}
		limit, one := filesLimit(id)
		if one == nil && limit.Cur == was.Set {
			one = setFilesLimit(id, unix.Rlimit{Cur: min(was.Soft, limit.Max), Max: limit.Max})
		}
		if one != nil && !errors.Is(one, errGone) {
			err = errors.Join(err, one)
		}
	}
	return err
}

// limitLeaving is the limit below which just as many numbers are free as are to be left: a limit is on the number of a
// descriptor, and not on how many there are.
func limitLeaving(used map[int]bool, leave int) uint64 {
	limit := 0
	for ; used[limit] || leave > 0; limit++ {
		if !used[limit] {
			leave--
		}
	}
	return uint64(limit)
}

func descriptors(pid int) (map[int]bool, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the descriptors of pid %d cannot be counted: needs CAP_SYS_PTRACE; run as root or as the process's user", pid)
	}
	if err != nil {
		return nil, fmt.Errorf("the descriptors of pid %d cannot be counted: %w", pid, err)
	}
	used := map[int]bool{}
	for _, name := range names {
		if number, err := strconv.Atoi(name.Name()); err == nil {
			used[number] = true
		}
	}
	return used, nil
}

func filesLimit(id identity) (limit unix.Rlimit, err error) {
	err = prlimit(id, nil, &limit)
	return limit, err
}

func setFilesLimit(id identity, limit unix.Rlimit) error { return prlimit(id, &limit, nil) }

// prlimit works on exactly that process; errGone where it does not live.
func prlimit(id identity, set, was *unix.Rlimit) error {
	process, err := hold(id)
	if err != nil {
		return err
	}
	defer process.close()
	switch err := unix.Prlimit(id.Pid, unix.RLIMIT_NOFILE, set, was); {
	case errors.Is(err, unix.ESRCH):
		return errGone
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the limits of pid %d are not ours to change: needs CAP_SYS_RESOURCE; run as root or as the process's user", id.Pid)
	case err != nil:
		return fmt.Errorf("the limits of pid %d cannot be changed: %w", id.Pid, err)
	}
	return nil
}

// limitedBelow are the processes that descend from one and have exactly that limit.
func limitedBelow(above identity, soft uint64) ([]identity, error) {
	if boot, err := bootID(); err != nil || boot != above.Boot {
		return nil, err
	}
	below, err := descendants(above.Pid)
	var found []identity
	for pid, stat := range below {
		id := identity{pid, stat.Starttime, above.Boot}
		if limit, err := filesLimit(id); err == nil && limit.Cur == soft { // else it went, or never was ours to change
			found = append(found, id)
		}
	}
	return found, err
}

// descendants are all processes below one, as far as /proc shows who started whom.
func descendants(pid int) (map[int]procfs.ProcStat, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	children := map[int][]procfs.ProcStat{}
	for _, process := range all {
		if stat, err := process.Stat(); err == nil { // else it went meanwhile
			children[stat.PPID] = append(children[stat.PPID], stat)
		}
	}
	below := map[int]procfs.ProcStat{}
	for next := children[pid]; len(next) > 0; next = next[1:] {
		if _, known := below[next[0].PID]; !known {
			below[next[0].PID] = next[0]
			next = append(next, children[next[0].PID]...)
		}
	}
	return below, nil
}

// read reads a checkpoint that holds more than a sight, and checks the sight in it.
func read[T any](call chaos.Call) (T, error) {
	var checkpoint T
	if _, err := before(call.Record.Checkpoint); err != nil {
		return checkpoint, err
	}
	if err := json.Unmarshal(call.Record.Checkpoint, &checkpoint); err != nil {
		return checkpoint, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return checkpoint, nil
}
