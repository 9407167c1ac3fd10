package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

func init() {
	Provider.Fault("memory", "Fill memory", func() chaos.Fault { return &FaultMemory{Leave: leastFree} }, "host", "process")
}

// FaultMemory fills memory, of the whole machine or, for a process, inside of the limit of its control group. What fills
// it is the first that the kernel ends when memory runs out. Whatever is asked, so much stays free that the machine
// lives: what others need meanwhile is given back to them, and not taken again. It needs no rights for a host; for a
// process it needs those to put something into its memory group, where that is not Jenner's own.
type FaultMemory struct {
	chaos.HeldElsewhere
	placed
	// Size is how much is filled, such as 512MB; refused where there is not as much.
	Size Size `json:"size,omitempty"`
	// Share is how much of what is free is filled, in place of a size.
	Share jenner.Share `json:"share,omitempty"`
	// Leave is how much of the machine's memory stays free, 256MB or more. Of a group's limit a twentieth does.
	Leave Size `json:"leave,omitempty"`
}

const (
	// leastFree is what no parameter can take from the machine.
	leastFree = 256 * megabyte
	// chunk is how much is filled, and given back, at once.
	chunk = 4 * megabyte
)

// filling is what the fault reports.
type filling struct {
	Wanted Size `json:"wanted"`
	Filled Size `json:"filled"`
}

// Validate checks the parameters.
func (f *FaultMemory) Validate() error {
	switch {
	case f.Size == 0 && f.Share == 0:
		return errors.New("size and share are both missing; write how much is filled, such as size: 512MB or share: 80%")
	case f.Size > 0 && f.Share > 0:
		return errors.New("write size or share, not both")
	case f.Leave < leastFree:
		return fmt.Errorf("leave %s is too little for the machine to live; write %s or more", f.Leave, leastFree)
	}
	return nil
}

// Checkpoint finds the place, and refuses one where there is not as much to fill.
func (f *FaultMemory) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	where, err := placeOf(call.Record.Target, "memory")
	if err != nil {
		return nil, err
	}
	if _, err := f.wanted(where); err != nil {
		return nil, jenner.Permanent(err, "")
	}
	return jenner.Raw(where), nil
}

// wanted is how much is to be filled, and an error where there is not as much.
func (f *FaultMemory) wanted(where place) (Size, error) {
	free, err := available()
	if err != nil {
		return 0, err
	}
	most := free - f.Leave
	for _, group := range where.Groups {
		limit, left, err := room(group)
		if err != nil {
			return 0, err
		}
		if limit > 0 {
			free, most = min(free, left), min(most, left-limit/20)
		}
	}
	if most < chunk {
		return 0, fmt.Errorf("no memory can be filled %s: %s are free, and all of it has to stay so", where, free)
	}
	if f.Size > most {
		return 0, fmt.Errorf("%s of memory cannot be filled %s: %s are free, of which %s may be taken", f.Size, where, free, most)
	}
	if f.Size > 0 {
		return f.Size, nil
	}
	return min(most, Size(float64(f.Share)*float64(free))), nil
}

// Hold fills.
func (f *FaultMemory) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	where, err := placeIn(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	wanted, err := f.wanted(where) // counted before this process is in the group
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return fmt.Errorf("this process would not be the first to end when memory runs out: %w", err)
	}
	if err := where.joined(0); err != nil {
		return err
	}
	full := &fill{}
	defer full.release(0)
	if err := full.upTo(ctx, wanted, f.Leave); err != nil {
		return err
	}
	return every(ctx, 20*time.Millisecond, func() error {
		free, err := available()
		if err == nil && free < f.Leave {
			full.release(full.size() - (f.Leave - free))
		}
		tell(filling{wanted, full.size()})
		return err
	})
}

// fill is memory that was written to.
type fill struct{ chunks [][]byte }

func (m *fill) size() (total Size) {
	for _, one := range m.chunks {
		total += Size(len(one))
	}
	return total
}

// upTo fills until there are that many bytes, or until no more than leave is free on the machine.
func (m *fill) upTo(ctx context.Context, wanted, leave Size) error {
	for left := wanted; left > 0 && ctx.Err() == nil; {
		next := min(left, chunk)
		free, err := available()
		if err != nil {
			return err
		}
		if free-next < leave {
			return nil
		}
		memory, err := unix.Mmap(-1, 0, int(next), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("no more than %s of memory can be filled: %w", m.size(), err)
		}
		m.chunks = append(m.chunks, memory)
		for at := 0; at < len(memory); at += os.Getpagesize() {
			memory[at] = byte(at>>12) | 1 // a page is there once it was written to
		}
		left -= next
	}
	return nil
}

// release gives back until no more than keep is filled.
func (m *fill) release(keep Size) {
	for len(m.chunks) > 0 && m.size() > keep {
		last := len(m.chunks) - 1
		_ = unix.Munmap(m.chunks[last]) // it fails for nothing that was mapped
		m.chunks = m.chunks[:last]
	}
}

// Bite sees the memory that the process which holds the fault has, as the kernel counts it.
func (*FaultMemory) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	done, err := reported[filling](call)
	if err != nil || done.Filled == 0 || !call.Held.Alive {
		return chaos.Witness{Saw: "no memory is filled"}, err
	}
	resident, err := residentOf(call.Held.Pid)
	if err != nil {
		return chaos.Witness{}, err
	}
	where, err := placeIn(call.Record.Checkpoint)
	return chaos.Witness{
		Bit: resident >= done.Filled/2, // the rest may have been swapped out
		Saw: fmt.Sprintf("%s of memory filled %s, %s were asked for; pid %d has %s in memory", done.Filled, where, done.Wanted, call.Held.Pid, resident),
	}, err
}

// available is what the kernel says could be had without swapping.
func available() (Size, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, fmt.Errorf("the free memory cannot be told: %w", err)
	}
	info, err := proc.Meminfo()
	if err != nil {
		return 0, fmt.Errorf("the free memory cannot be told: %w", err)
	}
	if info.MemAvailableBytes == nil {
		return 0, errors.New("the free memory cannot be told: /proc/meminfo has no MemAvailable")
	}
	return Size(*info.MemAvailableBytes), nil
}

func residentOf(pid int) (Size, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return Size(stat.ResidentMemory()), err
}

// room is the limit of a memory group, 0 where it has none, and how much of it could be had.
func room(group cgroup.Group) (limit, left Size, err error) {
	maximum, usage, idle := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	if group.Unified {
		maximum, usage, idle = "memory.max", "memory.current", "inactive_file"
	}
	most, has, err := group.Number(maximum)
	if err != nil || !has || most > uint64(1)<<60 { // the old form has a huge number for none
		return 0, 0, err
	}
	used, _, err := group.Number(usage)
	if err != nil {
		return 0, 0, err
	}
	stat, err := group.Read("memory.stat")
	if err != nil {
		return 0, 0, err
	}
	left = Size(most) - Size(used)
	for line := range strings.Lines(stat) {
		if text, is := strings.CutPrefix(strings.TrimSpace(line), idle+" "); is {
			if cached, err := strconv.ParseInt(text, 10, 64); err == nil {
				left += Size(cached) // the kernel takes it back first
			}
		}
	}
	return Size(most), left, nil
}
