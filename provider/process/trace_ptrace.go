package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests of ptrace(2) that x/sys has no function for, or only without the argument that is needed here.

// seize begins to trace a thread without stopping it. It never asks for PTRACE_O_EXITKILL: where the tracer dies, the
// kernel lets go of the thread.
func seize(tid, options int) error {
	return ptrace(unix.PTRACE_SEIZE, tid, 0, uintptr(options))
}

// letRun lets a stopped thread run to its next system call, with the signal that stopped it; 0 is none.
func letRun(tid int, signal unix.Signal) error { return unix.PtraceSyscall(tid, int(signal)) }

// letListen lets a thread stay in the stop that SIGSTOP and its like made, so that SIGCONT can end it.
func letListen(tid int) error { return ptrace(unix.PTRACE_LISTEN, tid, 0, 0) }

// letGo ends the tracing of a stopped thread, which gets the signal; 0 is none.
func letGo(tid int, signal unix.Signal) error {
	return ptrace(unix.PTRACE_DETACH, tid, 0, uintptr(signal))
}

func ptrace(request, tid int, address, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), address, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// syscallInfo is struct ptrace_syscall_info of linux/ptrace.h, as far as its forms for the entry and the exit go.
type syscallInfo struct {
	Op   uint8
	_    [3]uint8
	Arch uint32
	IP   uint64
	SP   uint64
	// Number is the call's number at its entry, and its result at its exit.
	Number uint64
	Args   [6]uint64
}

const (
	opEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	opExit  = 2 // PTRACE_SYSCALL_INFO_EXIT
)

func readSyscall(tid int, into *syscallInfo) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(*into),
		uintptr(unsafe.Pointer(into)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// stop is what wait4 tells of a thread that stopped.
type stop struct {
	signal unix.Signal
	event  int
}

func stopOf(status unix.WaitStatus) stop {
	return stop{unix.Signal(status >> 8 & 0xff), int(status >> 16)}
}

// call tells whether the thread stopped at a system call.
func (s stop) call() bool { return s.event == 0 && s.signal == unix.SIGTRAP|0x80 }

// group tells whether the thread takes part in the stop that SIGSTOP and its like made.
func (s stop) group() bool { return s.event == unix.PTRACE_EVENT_STOP && s.signal != unix.SIGTRAP }

// owed is the signal that is on its way to the thread; 0 where it stopped for another reason.
func (s stop) owed() unix.Signal {
	if s.event != 0 || s.call() {
		return 0
	}
	return s.signal
}

// waitTraced waits for one of the threads that this very thread traces, and for no child of the program; -1 is any.
func waitTraced(tid int, flags int) (which int, status unix.WaitStatus, err error) {
	which, err = unix.Wait4(tid, &status, unix.WALL|unix.WNOTHREAD|flags, nil)
	return which, status, err
}

// step lets a stopped thread run one instruction. It gives errBusy where the thread stopped for another reason.
func step(tid int) (stop, error) {
	for {
		if err := unix.PtraceSingleStep(tid); err != nil {
			return stop{}, err
		}
		_, status, err := waitTraced(tid, 0)
		for errors.Is(err, unix.EINTR) {
			_, status, err = waitTraced(tid, 0)
		}
		if err != nil || !status.Stopped() {
			return stop{}, errors.Join(unix.ESRCH, err)
		}
		switch at := stopOf(status); {
		case at.event == unix.PTRACE_EVENT_STOP && !at.group():
			continue // asked for before
		case at.event != 0 || at.signal != unix.SIGTRAP:
			return at, errBusy
		}
		return stop{event: unix.PTRACE_EVENT_STOP, signal: unix.SIGTRAP}, nil // nothing is owed for it
	}
}

// ownThread runs do on an OS thread of its own, which ends with it: the kernel lets go of whatever the thread still
// traces then. The first thread of a program never ends, so it is never taken.
func ownThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			do()
			return
		}
		defer runtime.UnlockOSThread()
		ownThread(do)
	}()
	<-done
}

// threads are the threads of a process that live now.
func threads(pid int) ([]int, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("the threads of pid %d cannot be listed: %w", pid, err)
	}
	var tids []int
	for _, name := range names {
		if tid, err := strconv.Atoi(name.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	return tids, nil
}

// errSeize says what is missing where a thread cannot be traced; errGone where the thread has ended.
func errSeize(pid, tid int, err error) error {
	if _, living, _ := readStat(tid); errors.Is(err, unix.ESRCH) || !living {
		return errGone // one that nobody has waited for gives EPERM
	}
	if errors.Is(err, unix.EPERM) {
		if tracer, _ := statusNumber(pid, "TracerPid"); tracer != 0 {
			return fmt.Errorf("pid %d is traced by pid %d already, and only one can: %w", pid, tracer, err)
		}
		return fmt.Errorf("pid %d may not be traced: needs CAP_SYS_PTRACE; run as root: %w", pid, err)
	}
	return fmt.Errorf("thread %d of pid %d cannot be traced: %w", tid, pid, err)
}
