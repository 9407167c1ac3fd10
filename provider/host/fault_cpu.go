package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("cpu", "Burn processor time", func() chaos.Fault { return &FaultCPU{} }, "host", "process")
}

// FaultCPU burns processor time, on the whole machine or, for a process, in its control groups and on its processors, so
// that the process has to share them. It needs no rights for a host. For a process it needs those to put something into
// the process's groups, where those are not Jenner's own.
type FaultCPU struct {
	chaos.HeldElsewhere
	placed
	// Workers is how many threads burn as much as they get, one processor each at the most.
	Workers int `json:"workers,omitempty"`
	// Share is how much of all processors, or of the quota of the process's group, is burnt in place of that; all of it
	// where neither is said.
	Share jenner.Share `json:"share,omitempty"`
	// Nice is how far the threads step back before others, 1 to 19: at 19 they burn little more than nobody wants. Where it is
	// 0, they stand where Jenner stands.
	Nice int `json:"nice,omitempty"`
}

// workersPerCPU caps the threads: what many more did would be the scheduler's trouble and not a lack of processors.
const workersPerCPU = 16

// burning is what the fault reports.
type burning struct {
	Workers int             `json:"workers"`
	Burnt   jenner.Duration `json:"burnt"` // processor time that the threads have used
}

// Validate checks the parameters.
func (f *FaultCPU) Validate() error {
	switch {
	case f.Workers < 0:
		return fmt.Errorf("workers %d is less than nothing", f.Workers)
	case f.Workers > 0 && f.Share > 0:
		return errors.New("write workers or share, not both")
	case f.Nice < 0 || f.Nice > 19:
		return fmt.Errorf("nice %d is outside of 0 to 19; a load never steps in front of others", f.Nice)
	}
	return nil
}

// Checkpoint finds the place, and refuses one that is not there or not to be joined.
func (f *FaultCPU) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	where, err := placeOf(call.Record.Target, "cpu", "cpuacct", "cpuset")
	if err != nil {
		return nil, err
	}
	if most := workersPerCPU * runtime.NumCPU(); f.Workers > most {
		return nil, jenner.Permanent(fmt.Errorf("%d workers are too many for this machine; %d are the most", f.Workers, most), "")
	}
	return jenner.Raw(where), nil
}

// Hold burns.
func (f *FaultCPU) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	where, err := placeIn(call.Record.Checkpoint)
	if err != nil {
		return err
	}
	processors, count, err := processorsOf(where)
	if err != nil {
		return err
	}
	workers, duty := f.spread(count)
	runtime.GOMAXPROCS(workers + 1) // so that what ends the fault never waits for what burns
	var burnt atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready, ended := make(chan struct{}, workers), make(chan struct{}, workers)
	for range workers {
		go onThread(func() {
			defer func() { ended <- struct{}{} }()
			if err := settle(where, processors, f.Nice); err != nil {
				cancel(err)
				return
			}
			ready <- struct{}{}
			burn(ctx, duty, &burnt)
		})
	}
	for range workers {
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	if err := failure(ctx); err == nil {
		_ = every(ctx, 50*time.Millisecond, func() error {
			tell(burning{workers, jenner.Duration(burnt.Load())})
			return nil
		})
	}
	for range workers {
		<-ended
	}
	return failure(ctx)
}

// failure is why a context ended, but for the ways in which faults end.
func failure(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, chaos.ErrHoldEnded) {
		return cause
	}
	return nil
}

// spread is how many threads burn, and which share of the time each of them does.
func (f *FaultCPU) spread(count float64) (workers int, duty float64) {
	if f.Workers > 0 {
		return f.Workers, 1
	}
	share := float64(f.Share)
	if share == 0 {
		share = 1
	}
	// The small subtrahend undoes binary rounding: 0.1*30 is 3.0000000000000004.
	workers = max(1, int(math.Ceil(share*count-1e-9)))
	return workers, share * count / float64(workers)
}

// onThread calls do on a thread of its own, which ends with it, for it may be somewhere else than the others by then. The
// first thread cannot end before the process, and is left out.
func onThread(do func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		do()
		return // and no unlock: that is what ends the thread
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		do()
	}()
	<-done // it was started while the first thread was locked, so it is on another one
	runtime.UnlockOSThread()
}

// settle puts the calling thread where it is to burn.
func settle(where place, processors unix.CPUSet, nice int) error {
	tid := unix.Gettid()
	if err := where.joined(tid); err != nil {
		return err
	}
	if where.Pid != 0 {
		if err := unix.SchedSetaffinity(tid, &processors); err != nil {
			return fmt.Errorf("the processors of pid %d cannot be used: %w", where.Pid, err)
		}
	}
	if nice == 0 {
		return nil // Jenner may stand further back, and stepping forward again needs a right of its own
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil {
		return fmt.Errorf("the nice level %d cannot be taken: needs CAP_SYS_NICE; run as root, or leave it out (%w)", nice, err)
	}
	return nil
}

// burnWindow is how long a share is measured over.
const burnWindow = 100 * time.Millisecond

// burn uses the calling thread's processor for a share of the time until ctx ends.
func burn(ctx context.Context, duty float64, burnt *atomic.Int64) {
	var waste uint64
	for ctx.Err() == nil {
		began, used := time.Now(), threadTime()
		last := used
		for ctx.Err() == nil && time.Since(began) < burnWindow && (duty >= 1 || float64(last-used) < duty*float64(burnWindow)) {
			for range 100_000 { // a small part of a millisecond
				waste = waste*6364136223846793005 + 1442695040888963407
			}
			now := threadTime()
			burnt.Add(int64(now - last))
			last = now
		}
		if duty < 1 {
			rest := time.NewTimer(burnWindow - time.Since(began))
			select {
			case <-rest.C:
			case <-ctx.Done():
			}
			rest.Stop()
		}
	}
	runtime.KeepAlive(waste)
}

// threadTime is the processor time that the calling thread has used.
func threadTime() time.Duration {
	var used unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used) // it fails for no clock that there is
	return time.Duration(used.Nano())
}

// processorsOf are the processors that a place may use, and how many they come to by its quota.
func processorsOf(where place) (set unix.CPUSet, count float64, err error) {
	if err := unix.SchedGetaffinity(where.Pid, &set); err != nil { // 0 is the calling thread
		return set, 0, fmt.Errorf("the processors of pid %d cannot be found: %w", where.Pid, err)
	}
	count = float64(set.Count())
	for _, group := range where.Groups {
		if group.Controller != "cpu" {
			continue
		}
		var quota, period string
		if group.Unified {
			text, _ := group.Read("cpu.max") // the root has none
			quota, period, _ = strings.Cut(text, " ")
		} else {
			quota, _ = group.Read("cpu.cfs_quota_us")
			period, _ = group.Read("cpu.cfs_period_us")
		}
		q, noQuota := strconv.ParseFloat(quota, 64)
		p, noPeriod := strconv.ParseFloat(period, 64)
		if noQuota == nil && noPeriod == nil && q > 0 && p > 0 {
			count = min(count, q/p)
		}
	}
	return set, count, nil
}

// Bite sees the processor time that the threads have used, as the kernel counts it.
func (f *FaultCPU) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	done, err := reported[burning](call)
	if err != nil {
		return chaos.Witness{}, err
	}
	where, err := placeIn(call.Record.Checkpoint)
	return chaos.Witness{
		Bit: done.Burnt.Std() >= burnWindow/5,
		Saw: fmt.Sprintf("%d threads have burnt %s of processor time %s", done.Workers, done.Burnt.Std().Round(time.Millisecond), where),
	}, err
}
