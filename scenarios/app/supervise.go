package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func init() { programs["supervise"] = supervise }

// supervise PIDFILE COMMAND...: starts a command again whenever it ends, as an init system does, and writes down its own
// process id.
func supervise(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("write PIDFILE COMMAND")
	}
	signal.Ignore(syscall.SIGHUP)
	if err := os.WriteFile(args[0], []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
		return err
	}
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, args[1], args[2:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 2 * time.Second
		err := cmd.Run()
		fmt.Printf("%s ended: %v\n", args[1], err)
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	return nil
}
