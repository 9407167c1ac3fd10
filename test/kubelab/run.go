package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner/test/kubelab/lab"
)

// run starts a lab, runs a command in it, and stops it whatever happens. The logs stay where the command failed.
func (s *settings) run(ctx context.Context, args []string, progress io.Writer) error {
	remove, err := s.ownDir()
	if err != nil {
		return err
	}
	l, err := s.up(ctx, progress)
	if err != nil {
		return err
	}
	err = command(ctx, l, args)
	if stopped := down(l); stopped != nil {
		return errors.Join(err, stopped)
	}
	if err != nil {
		fmt.Fprintf(progress, "logs are in %s\n", l.Logs())
		return codeOf(err)
	}
	return remove()
}

// codeOf turns the end of a command into an exit code, as a shell does; other errors stay what they are.
func codeOf(err error) error {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return err
	}
	if code := ended.ExitCode(); code >= 0 {
		return exitCode(code)
	}
	return exitCode(128 + int(ended.Sys().(syscall.WaitStatus).Signal()))
}

// command runs a command in a lab. When ctx ends it is told to end, and has half a minute to put its things in order.
func command(ctx context.Context, l *lab.Lab, args []string) error {
	env, err := environment(l)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	return cmd.Run()
}
