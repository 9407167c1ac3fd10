package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

func init() {
	Provider.Fault("pids", "Let the process run out of processes and threads", func() chaos.Fault { return &FaultPids{} }, "process")
}

// FaultPids lowers the limit of processes and threads of the control group that the process has for itself, so that no
// more than `leave` can be started beside those that run. A process that shares its group with others is refused: the
// limit of a group hits all in it, and the limit that a process has of its own, RLIMIT_NPROC, counts all processes of
// its user. It needs the right to write the group's files, which is root's where nobody gave it away.
type FaultPids struct {
	victim
	Leave int `json:"leave,omitempty"` // how many more may be started; none where not said
}

// crowded is the checkpoint: the process, its group, the limit before, and the one that the fault sets.
type crowded struct {
	sight
	Group   cgroup.Group `json:"group"`
	Max     string       `json:"max"` // as it is written in the group's file: a number, or max
	Set     string       `json:"set"`
	Refused uint64       `json:"refused"` // how often the group's limit had refused a start before
}

const (
	pidsMax     = "pids.max"
	pidsCurrent = "pids.current"
	pidsEvents  = "pids.events"
)

// Validate checks the parameters.
func (f *FaultPids) Validate() error {
	if f.Leave < 0 {
		return fmt.Errorf("leave %d is less than nothing", f.Leave)
	}
	return nil
}

// Checkpoint finds the group and keeps its limit. It refuses a group that is not the process's own.
func (f *FaultPids) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	raw, err := f.victim.Checkpoint(ctx, call)
	if err != nil {
		return nil, err
	}
	seen, err := before(raw)
	if err != nil {
		return nil, err
	}
	group, err := ownGroup(seen.Pid)
	if err != nil {
		return nil, jenner.Permanent(err, "start it in a control group of its own, as systemd and containers do")
	}
	most, err := group.Read(pidsMax)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("group %s has no limit of processes: %w", group.Path, err), "")
	}
	if err := unix.Access(filepath.Join(group.Dir, pidsMax), unix.W_OK); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("the limits of group %s are not ours to change: needs CAP_DAC_OVERRIDE; run as root (%w)", group.Path, err), "")
	}
	current, _, err := group.Number(pidsCurrent)
	if err != nil {
		return nil, err
	}
	set := current + uint64(f.Leave)
	if limit, has, err := group.Number(pidsMax); err != nil || has && limit <= set {
		return nil, errors.Join(err, jenner.Permanent(fmt.Errorf("group %s may have no more than %d more processes already: it has %d and its limit is %s",
			group.Path, f.Leave, current, most), "leave less"))
	}
	refused, err := refusedStarts(group)
	return jenner.Raw(crowded{seen, group, most, strconv.FormatUint(set, 10), refused}), err
}

// ownGroup finds the group in which the process is alone, but for its descendants.
func ownGroup(pid int) (cgroup.Group, error) {
	group, err := cgroup.Of(pid, "pids")
	if err != nil {
		return group, err
	}
	if group.Whole() {
		return group, fmt.Errorf("pid %d has no control group for its processes; it is in the one of the whole machine", pid)
	}
	members, err := group.Members()
	if err != nil {
		return group, err
	}
	below, err := descendants(pid)
	if err != nil {
		return group, err
	}
	for _, member := range members {
		if _, is := below[member]; is || member == pid {
			continue
		}
		whose := fmt.Sprintf("pid %d", member)
		if member == os.Getpid() {
			whose = "this jenner itself"
		} else if stat, _, err := readStat(member); err == nil && stat.Comm != "" {
			whose += " (" + stat.Comm + ")"
		}
		return group, fmt.Errorf("pid %d shares its control group %s with %s, which the limit would hit too", pid, group.Path, whose)
	}
	return group, nil
}

// refusedStarts is how often the group's limit has refused to start a process; 0 where the kernel does not count it.
func refusedStarts(group cgroup.Group) (uint64, error) {
	events, err := group.Read(pidsEvents)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range strings.Lines(events) {
		if count, is := strings.CutPrefix(strings.TrimSpace(line), "max "); is {
			return strconv.ParseUint(count, 10, 64)
		}
	}
	return 0, err
}

// Fingerprint is whether the process runs, and the group's limit. A group that is gone, and one whose limit somebody else
// has changed meanwhile, keep nothing of the fault.
func (f *FaultPids) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	mood, err := f.victim.Fingerprint(ctx, call)
	if err != nil {
		return "", err
	}
	was, err := read[crowded](call)
	if err != nil {
		return "", err
	}
	armed, err := f.Armed(ctx, call)
	limit := was.Max
	if armed {
		limit = was.Set
	}
	return fmt.Sprintf("%s, %s of group %s is %s", mood, pidsMax, was.Group.Path, limit), err
}

// Inject sets the low limit, unless the limit is another one meanwhile than the checkpoint saw.
func (f *FaultPids) Inject(_ context.Context, call chaos.Call) error {
	was, err := read[crowded](call)
	if err != nil {
		return err
	}
	limit, err := was.Group.Read(pidsMax)
	if err != nil {
		return fmt.Errorf("the limit of group %s cannot be read: %w", was.Group.Path, err)
	}
	if limit != was.Max && limit != was.Set {
		return jenner.Permanent(fmt.Errorf("somebody else has just changed the limit of group %s to %s", was.Group.Path, limit), "")
	}
	return was.Group.Write(pidsMax, was.Set)
}

// Bite sees the low limit in the kernel, and how many starts it has refused.
func (f *FaultPids) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	was, err := read[crowded](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return chaos.Witness{Saw: fmt.Sprintf("the limit of group %s is not %s", was.Group.Path, was.Set)}, err
	}
	current, currentErr := was.Group.Read(pidsCurrent)
	refused, refusedErr := refusedStarts(was.Group)
	return chaos.Witness{Bit: true, Saw: fmt.Sprintf("group %s has %s processes and threads and its limit is %s, before %s; %d starts were refused since",
		was.Group.Path, current, was.Set, was.Max, refused-was.Refused)}, errors.Join(currentErr, refusedErr)
}

// Armed tells whether the group is there with the low limit.
func (*FaultPids) Armed(_ context.Context, call chaos.Call) (bool, error) {
	was, err := read[crowded](call)
	if err != nil {
		return false, err
	}
	limit, err := was.Group.Read(pidsMax)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return false, nil
	}
	return limit == was.Set, err
}

// Undo sets the limit back where it still is as this fault left it.
func (f *FaultPids) Undo(ctx context.Context, call chaos.Call) error {
	armed, err := f.Armed(ctx, call)
	if err != nil || !armed {
		return err
	}
	was, err := read[crowded](call)
	if err != nil {
		return err
	}
	err = was.Group.Write(pidsMax, was.Max)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
