package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// frozen is a process all of whose threads stand still under ptrace. It serves one OS thread.
type frozen struct {
	pid   int
	stops map[int]*stop // by thread; nil while it has not stopped
}

// freezePatience is how long the threads of a process may take to stop. One that is in the middle of a read from a disk
// stops only after it.
const freezePatience = 5 * time.Second

// errBusy says that a thread is where it must not be just now.
var errBusy = errors.New("a thread is in the middle of the code that is to be changed")

// freeze stops all threads of exactly that process, calls do, and lets them go on. Where do gives errBusy it lets them
// run for a moment and tries again.
func freeze(ctx context.Context, id identity, do func(*frozen) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, freezePatience)
	defer cancel()
	for {
		ownThread(func() { err = freezeOnce(ctx, id, do) })
		if !errors.Is(err, errBusy) || !pause(ctx, time.Millisecond) {
			return err
		}
	}
}

func freezeOnce(ctx context.Context, id identity, do func(*frozen) error) (err error) {
	process, err := hold(id)
	if err != nil {
		return err
	}
	defer process.close()
	f := &frozen{id.Pid, map[int]*stop{}}
	defer func() { err = errors.Join(err, f.thaw()) }()
	if err := f.stopAll(ctx); err != nil {
		return err
	}
	return do(f)
}

// stopAll stops the threads, and those that they started meanwhile.
func (f *frozen) stopAll(ctx context.Context) error {
	for {
		tids, err := threads(f.pid)
		if err != nil {
			return err
		}
		more := false
		for _, tid := range tids {
			if _, known := f.stops[tid]; known {
				continue
			}
			if err := seize(tid, 0); err != nil {
				if err = errSeize(f.pid, tid, err); errors.Is(err, errGone) {
					continue // or it is the first one, which ended before the others
				}
				return err
			}
			f.stops[tid] = nil
			more = true
			_ = unix.PtraceInterrupt(tid) // where it ended the wait tells
		}
		if !more {
			if len(f.stops) == 0 {
				return errGone
			}
			return nil
		}
		if err := f.await(ctx); err != nil {
			return err
		}
	}
}

// await waits until each thread has stopped or ended.
func (f *frozen) await(ctx context.Context) error {
	for tid, stopped := range f.stops {
		for stopped == nil {
			which, status, err := waitTraced(tid, unix.WNOHANG)
			switch {
			case errors.Is(err, unix.ECHILD), err == nil && which == tid && !status.Stopped():
				delete(f.stops, tid)
				stopped = &stop{}
			case err == nil && which == tid:
				at := stopOf(status)
				stopped = &at
				f.stops[tid] = stopped
			case err != nil && !errors.Is(err, unix.EINTR):
				return fmt.Errorf("thread %d of pid %d cannot be waited for: %w", tid, f.pid, err)
			case !pause(ctx, 50*time.Microsecond):
				return fmt.Errorf("thread %d of pid %d does not stop: %w", tid, f.pid, context.Cause(ctx))
			}
		}
	}
	return nil
}

// thaw lets all threads go on, each with the signal that it stopped for. Those that have not stopped yet the kernel lets
// go when the OS thread ends.
func (f *frozen) thaw() error {
	var failed error
	for tid, stopped := range f.stops {
		if stopped == nil {
			continue
		}
		if err := letGo(tid, stopped.owed()); err != nil && !errors.Is(err, unix.ESRCH) {
			failed = errors.Join(failed, fmt.Errorf("thread %d of pid %d was not let go: %w", tid, f.pid, err))
		}
	}
	return failed
}

// span is a piece of a process's memory: from First to before End.
type span struct {
	First uint64 `json:"first"`
	End   uint64 `json:"end"`
}

func (s span) holds(address uint64) bool { return address >= s.First && address < s.End }

// stackDepth is how far up the stack a signal handler's frame is looked for, in bytes.
const stackDepth = 64 << 10

// apart sees to it that no thread is about to run code in one of the spans. A thread that is there runs on, alone, until
// it is out. It gives errBusy where that does not do: a thread is in a signal handler that returns there. A number on the
// stack that only looks like such an address counts too.
func (f *frozen) apart(spans ...span) error {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", f.pid))
	if err != nil {
		return fmt.Errorf("the memory of pid %d cannot be read: %w", f.pid, err)
	}
	defer memory.Close()
	for tid, stopped := range f.stops {
		top, err := f.leave(tid, stopped, spans)
		if err == nil && returnsTo(memory, top, spans) {
			err = fmt.Errorf("in a signal handler: %w", errBusy)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile
			return fmt.Errorf("thread %d of pid %d: %w", tid, f.pid, err)
		}
	}
	return nil
}

// maxSteps is more than the clock's code has instructions.
const maxSteps = 1000

// leave lets a thread run until its next instruction is outside of the spans, and gives the top of its stack.
func (f *frozen) leave(tid int, stopped *stop, spans []span) (top uint64, err error) {
	for range maxSteps {
		code, top, err := position(tid)
		inside := func(s span) bool { return s.holds(code) }
		if err != nil || !slices.ContainsFunc(spans, inside) {
			return top, err
		}
		if stopped.owed() != 0 || stopped.group() {
			return top, errBusy // the step would swallow the signal
		}
		if *stopped, err = step(tid); err != nil {
			return top, err
		}
	}
	return 0, errBusy
}

// returnsTo tells whether a stack holds an address in one of the spans.
func returnsTo(memory io.ReaderAt, top uint64, spans []span) bool {
	stack := make([]byte, stackDepth)
	count, _ := memory.ReadAt(stack, int64(top&^7)) // an error only says that the stack ends before
	for at := 0; at+8 <= count; at += 8 {
		word := binary.LittleEndian.Uint64(stack[at:])
		if slices.ContainsFunc(spans, func(s span) bool { return s.holds(word) }) {
			return true
		}
	}
	return false
}
