package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Process is a process that is told from a later one of the same number by the time of its start.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the machine's boot
	Boot  string `json:"boot"`  // the kernel's id of this boot
}

// Find reads what there is to know of a process.
func Find(pid int) (Process, error) {
	start, state, err := stat(pid)
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	if state == 'Z' {
		return Process{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Start: start, Boot: string(bytes.TrimSpace(boot))}, nil
}

// Alive tells whether the process is still there. One that nobody has waited for is not.
func (p Process) Alive() bool {
	now, err := Find(p.PID)
	return err == nil && now == p
}

// Kill ends the process, and with a machine's first process all of the machine, and waits for the end. One that has
// ended, or whose number belongs to another process by now, is left alone without an error.
func (p Process) Kill(ctx context.Context) error {
	// It holds on to this process, so that nothing is killed that takes its number; and it tells the end of its last
	// thread, before which a machine's processes are not all gone, whereas /proc tells the end of the first one.
	handle, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	defer unix.Close(handle)
	if !p.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("cannot kill process %d: %w", p.PID, err)
	}
	for {
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 100)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case ended > 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("process %d was killed and has not ended: %w", p.PID, context.Cause(ctx))
		}
	}
}

// stat reads the start time and the state of a process from /proc/PID/stat, whose second field may hold blanks and
// brackets; see proc_pid_stat(5).
func stat(pid int) (start uint64, state byte, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseStat(text)
}

func parseStat(text []byte) (start uint64, state byte, err error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const stateField, startField = 0, 19 // the third and the 22nd in the manual, which counts number and name too
	if len(fields) <= startField {
		return 0, 0, fmt.Errorf("%q is not the state of a process", text)
	}
	start, err = strconv.ParseUint(string(fields[startField]), 10, 64)
	return start, fields[stateField][0], err
}
