package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errGone says that the process does not live any more.
var errGone = errors.New("the process is gone")

// handle holds one process through a pidfd: whatever is done with it hits that process or nothing, even where its
// number was given to another one meanwhile.
type handle struct {
	identity
	pidfd *os.File
}

// hold opens a handle on exactly that process; errGone where it does not live any more.
func hold(id identity) (*handle, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	if boot != id.Boot {
		return nil, errGone
	}
	fd, err := unix.PidfdOpen(id.Pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("pid %d cannot be held: %w", id.Pid, err)
	}
	h := &handle{id, os.NewFile(uintptr(fd), fmt.Sprintf("pidfd %d", id.Pid))}
	// Only now is the number bound; what has it must still be the process that was meant.
	stat, living, err := readStat(id.Pid)
	if err == nil && (!living || stat.Starttime != id.Start) {
		err = errGone
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *handle) close() { h.pidfd.Close() }

// signal sends a signal; errGone where the process does not live any more.
func (h *handle) signal(signal unix.Signal) error {
	err := h.control(func(fd int) error { return unix.PidfdSendSignal(fd, signal, nil, 0) })
	if errors.Is(err, unix.ESRCH) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("pid %d cannot be sent %s: %w", h.Pid, unix.SignalName(signal), err)
	}
	return nil
}

func (h *handle) control(do func(fd int) error) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = do(int(fd)) })
	return errors.Join(err, inner)
}

// stopped tells whether the process is stopped now.
func (h *handle) stopped() (bool, error) {
	stat, living, err := readStat(h.Pid)
	if err == nil && (!living || stat.Starttime != h.Start) {
		err = errGone
	}
	return err == nil && stopped(stat), err
}

// wait blocks until the process has ended, or ctx has. It costs no thread and asks nothing again and again: a pidfd
// becomes readable when its process ends.
func (h *handle) wait(ctx context.Context) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	if err := h.pidfd.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("pid %d cannot be waited for: %w", h.Pid, err)
	}
	wake := context.AfterFunc(ctx, func() { h.pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer wake()
	err = raw.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, pollErr := unix.Poll(ready, 0)
		return pollErr == nil && n > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}
