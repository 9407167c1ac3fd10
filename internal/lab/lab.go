// Package lab starts real programs, such as PostgreSQL and nginx, on ports and in folders of their own, and ends them by
// their process id.
//
// It is for tests and for scenarios, which need the real thing without touching what else runs on the machine. It is not
// part of the product, and it installs nothing: where a program is missing, the error says which package has it.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Need finds a program in PATH or in one of the folders, or says which Debian package has it.
func Need(program, debian string, folders ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, folder := range append(folders, "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(folder, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed; apt-get install %s", program, debian)
}

// The ports that FreePort gives lie below those that the kernel takes for connections of its own choice, so that none of
// these takes a port between FreePort and the start of the server.
const (
	firstPort = 15000
	lastPort  = 32000
)

// FreePort gives a TCP port of the loopback address that nobody listens on at present, chosen by chance.
func FreePort() (int, error) {
	var taken error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
		taken = err
	}
	return 0, fmt.Errorf("no free port between %d and %d was found: %w", firstPort, lastPort, taken)
}

// Process is a program that was started here.
type Process struct {
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{}
	err   error // how it ended; known once ended is closed
}

// Options say how a program is started.
type Options struct {
	Dir  string
	Env  []string            // added to the environment
	As   *syscall.Credential // whom it runs as; like this process where nil
	Path string              // file that all it says is added to as well; none where empty
}

// Start starts a program that stays in the foreground. It dies with this process where the kernel can see to it.
func Start(opts Options, argv ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(argv[0], argv[1:]...), said: &tail{}, ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = opts.Dir, append(os.Environ(), opts.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: opts.As}
	if opts.Path != "" {
		file, err := os.OpenFile(opts.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		p.cmd.Stdout, p.cmd.Stderr = file, file
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", filepath.Base(argv[0]), err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Said is the end of what the program said, where it was not given a file.
func (p *Process) Said() string { return p.said.String() }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop ends the program: first with the signal, and where it does not end within patience, with SIGKILL.
func (p *Process) Stop(signal syscall.Signal, patience time.Duration) error {
	for _, with := range []syscall.Signal{signal, syscall.SIGCONT, syscall.SIGKILL} {
		if with == syscall.SIGKILL {
			select {
			case <-p.ended:
			case <-time.After(patience):
			}
		}
		if err := p.cmd.Process.Signal(with); errors.Is(err, os.ErrProcessDone) {
			break
		} else if err != nil {
			return err
		}
	}
	<-p.ended
	return nil
}

// Await asks again and again until ready gives no error, the program has ended, or ctx ends.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it was ready (%w):\n%s", filepath.Base(p.cmd.Path), errors.Join(p.err, err), p.Said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", filepath.Base(p.cmd.Path), errors.Join(err, context.Cause(ctx)), p.Said())
		case <-tick.C:
		}
	}
}

// tail keeps the last of what was written to it.
type tail struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

const tailSize = 16 << 10

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept.Write(text)
	if over := t.kept.Len() - tailSize; over > 0 {
		t.kept.Next(over)
	}
	return len(text), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.kept.String())
}
