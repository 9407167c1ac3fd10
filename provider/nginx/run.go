package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner"
)

// errRefused says that nginx does not accept its configuration; what it said follows.
var errRefused = errors.New("nginx refuses its configuration")

// program finds nginx. Its folder is often not in the PATH of a service.
func (t *Target) program() (string, error) {
	bin := t.Bin
	if bin == "" {
		bin = "nginx"
	}
	path, err := exec.LookPath(bin)
	if err != nil && !strings.Contains(bin, "/") {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", bin))
	}
	if err != nil {
		return "", jenner.Permanent(fmt.Errorf("the program %s cannot be run: %w", bin, err), "apt-get install nginx, or write bin")
	}
	return path, nil
}

// command is nginx with the target's configuration.
func (t *Target) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	bin, err := t.program()
	if err != nil {
		return nil, err
	}
	args = append([]string{"-c", t.Config}, args...)
	if t.Prefix != "" {
		args = append([]string{"-p", t.Prefix}, args...)
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second
	return cmd, nil
}

// test lets nginx check its configuration. errRefused is nginx's own answer; any other error says nothing about it.
func (t *Target) test(ctx context.Context) error {
	if _, err := os.Stat(t.Config); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	cmd, err := t.command(ctx, "-t", "-q")
	if err != nil {
		return err
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("nginx -t: %w", context.Cause(ctx))
	case errors.As(err, &exit):
		return jenner.Permanent(fmt.Errorf("%w: %s", errRefused, words(string(said), exit)), "")
	case err != nil:
		return jenner.Retryable(fmt.Errorf("nginx -t: %w", err), "")
	}
	return nil
}

// words are what nginx said, on one line and without what goes without saying.
func words(said string, otherwise error) string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(said, "?")) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "nginx: ")
		if line != "" && !(strings.HasPrefix(line, "configuration file ") && strings.HasSuffix(line, " test failed")) {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return otherwise.Error()
	}
	text := strings.Join(lines, "; ")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}

// start starts nginx, which goes to the background by itself, and returns when it has workers. An nginx whose
// configuration says `daemon off` is left running as well.
func (t *Target) start(ctx context.Context) (sight, error) {
	log, err := os.CreateTemp("", "jenner-nginx-*")
	if err != nil {
		return sight{}, err
	}
	defer os.Remove(log.Name()) // nginx keeps it open until it opens its own log
	defer log.Close()
	cmd, err := t.command(context.WithoutCancel(ctx))
	if err != nil {
		return sight{}, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return sight{}, jenner.Retryable(fmt.Errorf("nginx cannot be started: %w", err), "")
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ended := false; ; {
		seen, err := t.look()
		if err == nil && seen.Alive && len(seen.Workers) > 0 {
			return seen, nil
		}
		select {
		case exit := <-exited:
			if exit != nil {
				return seen, jenner.Permanent(fmt.Errorf("nginx did not start: %s", words(readAll(log), exit)), "")
			}
			ended, exited = true, nil
		case <-ctx.Done():
			if !ended {
				cmd.Process.Kill()
			}
			return seen, jenner.Retryable(fmt.Errorf("nginx was started and has no workers yet (%s): %w", seen, errors.Join(err, context.Cause(ctx))), "")
		case <-tick.C:
		}
	}
}

func readAll(file *os.File) string {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(file, 4096))
	return string(text)
}
