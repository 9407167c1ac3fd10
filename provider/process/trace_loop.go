package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ruling is what becomes of one call of the target: nothing, or it fails, or it waits before it is made.
type ruling struct {
	fail unix.Errno
	wait time.Duration
}

// tracer stands between a process and the kernel. It uses the one OS thread that runs it. Where it is killed, the kernel
// lets go of the process at once: calls that wait are made, and calls that it refused stay refused.
type tracer struct {
	judge    func(tid int, call *syscallInfo) ruling // called at the entry of each call
	children bool                                    // the processes that the target starts are traced too
	ready    func(threads int)                       // called once, when all threads are traced

	alarm   *alarm
	pids    map[int]bool    // processes whose threads are traced
	threads map[int]*traced // by thread
	missing int             // threads that were there at the beginning and have not stopped yet
	info    syscallInfo

	mu   sync.Mutex
	over []waited // calls that have waited long enough
}

// traced is one thread.
type traced struct {
	seen   bool       // it has stopped once, so that its calls are seen
	owed   unix.Errno // the result of the call that it is in; 0 is the kernel's own
	waits  int        // the number of the wait that it is in; 0 while it runs
	passed int        // how many waits there were
}

// waited is the end of one wait of one thread.
type waited struct{ tid, number int }

// leavePatience is how long the threads may take to be let go of. After it the kernel does so, as the OS thread ends.
const leavePatience = 3 * time.Second

// soon is the niceness of the OS thread: the target stands still until it has looked at a call.
const soon = -19

// traceOptions let stops at calls be told from others, and new threads be traced from their first instruction on. A
// tracer that asked for PTRACE_O_EXITKILL would take the target with it.
const traceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

// run traces the processes until ctx ends or none of them lives, and lets them go. It is to be called by ownThread.
func (t *tracer) run(ctx context.Context, pids ...int) (err error) {
	if t.alarm, err = newAlarm(); err != nil {
		return err
	}
	defer t.alarm.over.Store(true)
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), soon) // where it is not allowed, calls take longer
	t.pids, t.threads = map[int]bool{}, map[int]*traced{}
	for _, pid := range pids {
		if err := t.attach(pid); err != nil && !errors.Is(err, errGone) {
			return errors.Join(err, t.leave())
		}
	}
	late := time.AfterFunc(freezePatience, t.alarm.ring)
	defer late.Stop()
	began := time.Now()
	defer context.AfterFunc(ctx, t.alarm.ring)()
	for {
		if t.alarm.heard() {
			if ctx.Err() != nil {
				return t.leave()
			}
			if t.missing > 0 && time.Since(began) >= freezePatience {
				return errors.Join(fmt.Errorf("%d threads do not stop; they may be waiting for a disk", t.missing), t.leave())
			}
			t.endWaits()
		}
		tid, status, err := waitTraced(-1, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return errGone // all that was traced has ended
		case err != nil:
			return errors.Join(fmt.Errorf("the threads cannot be waited for: %w", err), t.leave())
		default:
			t.handle(tid, status)
		}
	}
}

// attach traces all threads of a process, and asks each to stop once, for only from a stop on calls are seen.
func (t *tracer) attach(pid int) error {
	t.pids[pid] = true
	options := traceOptions
	if t.children {
		options |= unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	}
	for more := true; more; {
		tids, err := threads(pid)
		if err != nil {
			return err
		}
		more = false
		for _, tid := range tids {
			if t.threads[tid] != nil {
				continue
			}
			if err := seize(tid, options); err != nil {
				if t.isOurs(tid) {
					continue // its parent was traced when it was started, and so is it
				}
				if err = errSeize(pid, tid, err); errors.Is(err, errGone) {
					continue
				}
				return err
			}
			t.threads[tid] = &traced{}
			t.missing++
			more = true
			_ = unix.PtraceInterrupt(tid)
		}
	}
	return nil
}

func (t *tracer) isOurs(tid int) bool {
	tracer, err := statusNumber(tid, "TracerPid")
	return err == nil && tracer == unix.Getpid()
}

// handle lets a thread go on from a stop.
func (t *tracer) handle(tid int, status unix.WaitStatus) {
	if !status.Stopped() {
		t.forget(tid)
		return
	}
	thread, at := t.threads[tid], stopOf(status)
	if thread == nil {
		if thread = t.welcome(tid, at); thread == nil {
			return
		}
	}
	if !thread.seen {
		thread.seen = true
		defer t.settled()
	}
	switch {
	case at.call():
		t.atCall(tid, thread)
		return
	case at.group():
		_ = letListen(tid)
		return
	case at.event == unix.PTRACE_EVENT_EXEC:
		if former, err := unix.PtraceGetEventMsg(tid); err == nil && int(former) != tid {
			t.forget(int(former)) // it goes on under the number of the process
		}
		thread.owed, thread.waits = 0, 0
	}
	_ = letRun(tid, at.owed()) // a thread that was killed meanwhile ends, which wait4 tells
}

// settled counts the threads that stopped for the first time.
func (t *tracer) settled() {
	if t.missing--; t.missing == 0 {
		t.ready(len(t.threads))
	}
}

// forget takes a thread from the list that has ended.
func (t *tracer) forget(tid int) {
	thread := t.threads[tid]
	delete(t.threads, tid)
	if thread != nil && !thread.seen {
		t.settled()
	}
}

// welcome begins with a thread that the kernel traces because its parent is traced. A process of its own that was not
// asked for is let go.
func (t *tracer) welcome(tid int, at stop) *traced {
	pid, err := statusNumber(tid, "Tgid")
	if err == nil && !t.pids[pid] && !t.children {
		_ = letGo(tid, at.owed())
		return nil
	}
	t.pids[pid] = true
	thread := &traced{seen: true}
	t.threads[tid] = thread
	return thread
}

// atCall rules on a call at its entry, and sees to its result at its exit.
func (t *tracer) atCall(tid int, thread *traced) {
	if err := readSyscall(tid, &t.info); err != nil {
		_ = letRun(tid, 0) // it was killed
		return
	}
	switch {
	case t.info.Op == opEntry && t.info.Arch == auditArch:
		ruled := t.judge(tid, &t.info)
		if ruled.wait > 0 {
			t.wait(tid, thread, ruled.wait)
			return
		}
		if ruled.fail != 0 && refuseCall(tid, ruled.fail) == nil {
			thread.owed = ruled.fail
		}
	case t.info.Op == opExit && thread.owed != 0:
		// A seccomp filter of the target may have answered in place of the kernel.
		if int64(t.info.Number) != -int64(thread.owed) {
			_ = answerCall(tid, thread.owed)
		}
		thread.owed = 0
	}
	_ = letRun(tid, 0)
}

// wait leaves a thread where it is for some time.
func (t *tracer) wait(tid int, thread *traced, long time.Duration) {
	thread.passed++
	thread.waits = thread.passed
	ended := waited{tid, thread.waits}
	time.AfterFunc(long, func() {
		t.mu.Lock()
		t.over = append(t.over, ended)
		t.mu.Unlock()
		t.alarm.ring()
	})
}

func (t *tracer) endWaits() {
	t.mu.Lock()
	over := t.over
	t.over = nil
	t.mu.Unlock()
	for _, ended := range over {
		if thread := t.threads[ended.tid]; thread != nil && thread.waits == ended.number {
			thread.waits = 0
			_ = letRun(ended.tid, 0)
		}
	}
}

// leave lets go of all threads: those that wait at once, the others as soon as they have stopped, each with the signal
// that it was about to get.
func (t *tracer) leave() error {
	began := time.Now()
	late := time.AfterFunc(leavePatience, t.alarm.ring)
	defer late.Stop()
	for tid, thread := range t.threads {
		if thread.waits != 0 {
			_ = letGo(tid, 0)
			delete(t.threads, tid)
			continue
		}
		_ = unix.PtraceInterrupt(tid)
	}
	for {
		tid, status, err := waitTraced(-1, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			if time.Since(began) >= leavePatience {
				return fmt.Errorf("%d threads did not stop to be let go", len(t.threads))
			}
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("the threads cannot be waited for: %w", err)
		case status.Stopped():
			at := stopOf(status)
			t.repay(tid, at)
			_ = letGo(tid, at.owed())
			fallthrough
		default:
			delete(t.threads, tid)
		}
	}
}

// repay sees to the result of a refused call where the thread is let go at its exit.
func (t *tracer) repay(tid int, at stop) {
	if thread := t.threads[tid]; thread != nil && thread.owed != 0 && at.call() &&
		readSyscall(tid, &t.info) == nil && t.info.Op == opExit && int64(t.info.Number) != -int64(thread.owed) {
		_ = answerCall(tid, thread.owed)
	}
}
