package process

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alarm wakes the one OS thread that traces from its wait4, which has no timeout. It does so by a signal to that thread
// alone, whose handler is the Go runtime's and does nothing.
type alarm struct {
	tid  int
	rung atomic.Bool
	over atomic.Bool // nobody waits any more
}

// alarmSignal is none that the runtime, the C library or os/signal makes use of by themselves.
const alarmSignal = unix.Signal(63)

// newAlarm makes the alarm of the calling thread.
func newAlarm() (*alarm, error) {
	if err := interrupting(); err != nil {
		return nil, fmt.Errorf("no alarm can be set: %w", err)
	}
	return &alarm{tid: unix.Gettid()}, nil
}

// ring returns once the thread has heard it, or listens no more. A signal that comes just before wait4 is lost, hence
// the repetition.
func (a *alarm) ring() {
	a.rung.Store(true)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for a.rung.Load() && !a.over.Load() {
		_ = unix.Tgkill(unix.Getpid(), a.tid, alarmSignal)
		<-tick.C
	}
}

// heard tells whether it rang since heard was asked last.
func (a *alarm) heard() bool { return a.rung.Swap(false) }

// interrupting takes SA_RESTART from the signal's handler: calls of the thread that gets it end with EINTR.
var interrupting = sync.OnceValue(func() error {
	// struct sigaction of the kernel
	var action struct{ handler, flags, restorer, mask uintptr }
	const restart = 0x10000000 // SA_RESTART
	size := unsafe.Sizeof(action.mask)
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(alarmSignal), 0, uintptr(unsafe.Pointer(&action)), size, 0, 0); errno != 0 {
		return errno
	}
	action.flags &^= restart
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(alarmSignal), uintptr(unsafe.Pointer(&action)), 0, size, 0, 0); errno != 0 {
		return errno
	}
	return nil
})
