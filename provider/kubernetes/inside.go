package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// KillMain lets the first process of the process namespace that this program runs in be killed with SIGKILL when this
// program ends, which must be at once. It is what `jenner inside kill` does in a container that shares the namespace of
// another one. It refuses where the first process is this very one, and where it is the machine's own.
func KillMain() error {
	if os.Getpid() == 1 {
		return errors.New("this container has a process namespace of its own, so that the other one's processes cannot be seen; " +
			"the container runtime does not know of target containers")
	}
	if name, err := os.ReadFile("/proc/2/comm"); err == nil && string(bytes.TrimSpace(name)) == "kthreadd" {
		return errors.New("this is the process namespace of the node itself, whose first process is not to be killed")
	}
	runtime.LockOSThread() // what this thread traces ends with the thread
	// A process cannot send SIGKILL to the first one of its own namespace; the kernel can, and does so for a tracer that ended.
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 1, 0, unix.PTRACE_O_EXITKILL, 0, 0)
	if errno != 0 {
		return fmt.Errorf("the first process cannot be traced: %w; it needs CAP_SYS_PTRACE", errno)
	}
	return nil
}

// The words between the process that holds a fault and the guest in a pod that makes it.
const (
	// GuestSilence is after how much silence of its holder a guest ends: the holder, the API server or the network is gone.
	GuestSilence = 10 * time.Second
	// guestBeat is how often a holder says that it lives: with any one byte.
	guestBeat = time.Second
)
