package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Fault("clock_skew", "Let the live process see a wrong time", func() chaos.Fault {
		return &FaultClockSkew{Clocks: []string{"wall"}, Drift: 1}
	}, "process")
}

// FaultClockSkew changes the code that the process of the checkpoint reads the clock with, in its own copy of the vDSO.
// Programs in Go and those with a C library read it there; a program that makes the system call by itself is not
// reached, and neither are timers of the kernel and timestamps of files. Processes that the target forks see the same
// wrong time, programs that it executes do not, and a restart of the target ends the fault. It needs to be root, or
// CAP_SYS_PTRACE; all threads of the process stand still for about a millisecond at the beginning and at the end.
type FaultClockSkew struct {
	victim
	// Ahead is by how much the clocks are fast.
	Ahead jenner.Duration `json:"ahead,omitempty"`
	// Behind is by how much the clocks are slow.
	Behind jenner.Duration `json:"behind,omitempty"`
	// Drift is how fast the clocks run from now on: 1.01 gains a hundredth of a second each second, 0 stands still.
	Drift jenner.Number `json:"drift,omitempty"`
	// Clocks are wall, monotonic, or both. A monotonic clock must not go back, but it does when a fault with behind begins,
	// and when one with ahead or a fast drift ends: a program's timers, and all that Go's scheduler does by time, may then
	// stand still for that long. Plan for a restart.
	Clocks []string `json:"clocks,omitempty"`
	// Children are hit too: the processes that descend from the target now.
	Children bool `json:"children,omitempty"`
	// Sandboxed says that the target runs behind a seccomp filter that lets clock_gettime and gettimeofday through.
	Sandboxed bool `json:"sandboxed,omitempty"`
}

// maxDrift is the fastest that a clock may run.
const maxDrift = 1000

// Validate checks the parameters.
func (f *FaultClockSkew) Validate() error {
	for _, clock := range f.Clocks {
		if clocksOf[clock] == 0 {
			return fmt.Errorf("unknown clock %q%s", clock, strict.Hint(clock, slices.Sorted(maps.Keys(clocksOf))))
		}
	}
	switch {
	case len(f.Clocks) == 0:
		return errors.New("clocks is empty; write wall, monotonic, or both")
	case f.Ahead != 0 && f.Behind != 0:
		return errors.New("a clock is ahead or behind, not both")
	case f.Drift < 0 || f.Drift > maxDrift:
		return fmt.Errorf("drift %g is outside 0 to %d", float64(f.Drift), maxDrift)
	case f.Ahead == 0 && f.Behind == 0 && f.Drift == 1:
		return errors.New("ahead, behind and drift are all missing; the clocks would be right")
	}
	return nil
}

// skewed is the checkpoint: the process, and what the fault writes into it and its children, with what was there before.
type skewed struct {
	sight
	Tag     uint64  `json:"tag"`
	Patches []patch `json:"patches"` // the first one is the target's own
}

// Checkpoint keeps what stands now where the fault will write, and refuses a process whose vDSO is not the kernel's own.
func (f *FaultClockSkew) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	raw, err := f.victim.Checkpoint(ctx, call)
	if err != nil {
		return nil, err
	}
	seen, err := before(raw)
	if err != nil {
		return nil, err
	}
	data, err := f.data(call.Record.ID)
	if err != nil {
		return nil, jenner.Permanent(err, "")
	}
	kept := skewed{sight: seen, Tag: data.Tag}
	pids := []int{seen.Pid}
	if f.Children {
		below, err := descendants(seen.Pid)
		if err != nil {
			return nil, err
		}
		pids = append(pids, slices.Sorted(maps.Keys(below))...)
	}
	for _, pid := range pids {
		patch, err := f.plan(pid, data)
		if err != nil {
			return nil, err
		}
		kept.Patches = append(kept.Patches, patch)
	}
	return jenner.Raw(kept), nil
}

// data are the numbers that the code works with.
func (f *FaultClockSkew) data(id string) (clockData, error) {
	tag := sha256.Sum256([]byte(id))
	data := clockData{Rate: rateOf(float64(f.Drift)), Shift: int64(f.Ahead - f.Behind), Bases: clockBases(),
		Tag: binary.LittleEndian.Uint64(tag[:]) | 1}
	for _, clock := range f.Clocks {
		data.Mask |= clocksOf[clock]
	}
	for clock, base := range data.Bases {
		if data.Mask>>clock&1 == 1 && base > 0 && base+data.Shift < 0 {
			return data, fmt.Errorf("%s behind is before the clocks began, %s ago; write less", f.Behind, time.Duration(base).Round(time.Second))
		}
	}
	return data, nil
}

// plan is the patch of one process.
func (f *FaultClockSkew) plan(pid int, data clockData) (patch, error) {
	if err := traceable(pid, f.Sandboxed); err != nil {
		return patch{}, err
	}
	id, err := identityOf(pid)
	if err != nil {
		return patch{}, err
	}
	theirs, err := ownVDSO(pid)
	if err != nil {
		return patch{}, err
	}
	if f.Drift != 1 && slices.Contains(f.Clocks, "monotonic") && !sameTimeNamespace(pid) {
		return patch{}, jenner.Permanent(fmt.Errorf("pid %d is in a time namespace of its own; a drift of its monotonic clock is not possible", pid), "")
	}
	return theirs.plan(id, data)
}

// sameTimeNamespace tells whether the clocks of a process begin where those of this one do.
func sameTimeNamespace(pid int) bool {
	own, _ := os.Readlink("/proc/self/ns/time")
	theirs, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", pid))
	return own == theirs
}

// Fingerprint is whether the process runs, and the hash of its vDSO, which is the same for all processes of a kernel.
func (f *FaultClockSkew) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	mood, err := f.victim.Fingerprint(ctx, call)
	if err != nil || mood == "gone" {
		return mood, err
	}
	_, seen, err := see(call.Record.Target)
	if err != nil || !seen.Alive {
		return "gone", err
	}
	code, err := readVDSO(seen.Pid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, vDSO sha256:%x", mood, sha256.Sum256(code.image)), nil
}

// Inject writes the patches.
func (f *FaultClockSkew) Inject(ctx context.Context, call chaos.Call) error {
	kept, err := read[skewed](call)
	if err != nil {
		return err
	}
	for i, patch := range kept.Patches {
		err := patch.writeIn(ctx, patch.identity, false)
		if errors.Is(err, errGone) && i > 0 {
			continue // a child that has ended meanwhile
		}
		if err != nil {
			return fmt.Errorf("the clock of pid %d was not changed: %w", patch.Pid, err)
		}
	}
	return nil
}

// Bite sees the changed code, and how often it has answered with a wrong time; where there was no place to count, the
// hash of the code has to do.
func (f *FaultClockSkew) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	armed, err := f.Armed(ctx, call)
	kept, readErr := read[skewed](call)
	if err = errors.Join(err, readErr); err != nil {
		return chaos.Witness{}, err
	}
	if !armed {
		return chaos.Witness{Saw: fmt.Sprintf("pid %d reads the clock with the kernel's own code", kept.Pid)}, nil
	}
	if kept.Patches[0].Counter == 0 {
		print, err := f.Fingerprint(ctx, call)
		return chaos.Witness{Bit: err == nil && print != call.Record.Fingerprint, Saw: fmt.Sprintf("pid %d is %s", kept.Pid, print)}, err
	}
	carriers, err := carriersOf(kept)
	if err != nil {
		return chaos.Witness{}, err
	}
	var answers uint64
	for pid, patch := range carriers {
		if count, err := readMemory(pid, patch.Counter, 8); err == nil && patch.Counter != 0 {
			answers += binary.LittleEndian.Uint64(count)
		}
	}
	return chaos.Witness{Bit: answers > 0, Saw: fmt.Sprintf("%d times pid %d and %d that it forked were told a wrong time by their vDSO",
		answers, kept.Pid, len(carriers)-1)}, nil
}

// Armed tells whether the process of the checkpoint lives and reads the clock with the fault's code.
func (*FaultClockSkew) Armed(_ context.Context, call chaos.Call) (bool, error) {
	kept, err := read[skewed](call)
	if err != nil || len(kept.Patches) == 0 {
		return false, err
	}
	if now, err := identityOf(kept.Pid); err != nil || now != kept.identity {
		return false, err
	}
	for _, edit := range kept.Patches[0].Edits[2:] {
		now, err := readMemory(kept.Pid, edit.Address, len(edit.New))
		if errors.Is(err, errGone) {
			return false, nil
		}
		if err != nil || bytes.Equal(now, edit.New) {
			return err == nil, err
		}
	}
	return false, nil
}

// Undo writes back what was there before, in the process of the checkpoint and in all that got the patch by a fork.
func (*FaultClockSkew) Undo(ctx context.Context, call chaos.Call) error {
	kept, err := read[skewed](call)
	if err != nil {
		return err
	}
	for {
		carriers, err := carriersOf(kept)
		if err != nil || len(carriers) == 0 {
			return err
		}
		for pid, patch := range carriers {
			id, err := identityOf(pid)
			if err != nil {
				return err
			}
			if err := patch.writeIn(ctx, id, true); err != nil && !errors.Is(err, errGone) {
				return fmt.Errorf("the clock of pid %d was not put right: %w", pid, err)
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("processes with the wrong clock are forked faster than they can be put right: %w", context.Cause(ctx))
		}
	}
}

// carriersOf are all processes that have the fault's patch, or a part of it: a fork copies it.
func carriersOf(kept skewed) (map[int]patch, error) {
	if boot, err := bootID(); err != nil || boot != kept.Boot {
		return nil, err
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("the processes cannot be listed: %w", err)
	}
	carriers := map[int]patch{}
	for _, name := range names {
		var pid int
		if _, err := fmt.Sscanf(name.Name(), "%d", &pid); err != nil {
			continue
		}
		for _, patch := range kept.Patches {
			tag, err := readMemory(pid, patch.Edits[0].Address, 8)
			if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
				break // nor could it have been changed
			}
			if err == nil && binary.LittleEndian.Uint64(tag) == kept.Tag {
				carriers[pid] = patch
				break
			}
		}
	}
	return carriers, nil
}
