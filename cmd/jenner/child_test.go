package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// child is a jenner in a process of its own, which can be killed.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	out lockedBuffer
}

// lockedBuffer can be read while a process writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// serve starts `jenner serve` over the world and waits until it watches.
func (w testWorld) serve(t *testing.T, more ...string) *child {
	t.Helper()
	args := append([]string{"serve", w.files(), "--data", w.data, "--listen", "127.0.0.1:0", "--baseline", "1s"}, more...)
	c := &child{t: t, cmd: exec.Command(filepath.Join(w.files(), "jenner"), args...)}
	c.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	await.True(t, "jenner serve watches: "+c.out.String(), func() bool { return strings.Contains(c.out.String(), "watching") })
	return c
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// stop is Ctrl-C; the exit code is given.
func (c *child) stop() int {
	c.t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

// incidents are those that the store of the world holds, the newest first.
func (w testWorld) incidents(t testing.TB) []jenner.Record {
	t.Helper()
	return w.records(t, loop.IncidentLine)
}

// records are all of one line.
func (w testWorld) records(t testing.TB, line string) []jenner.Record {
	t.Helper()
	store, err := sqlite.Open(w.data, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	records, err := store.List(t.Context(), line, sqlite.ListFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// calm tells whether the service serves and no incident is open, and there were that many of them.
func (w testWorld) calm(t testing.TB, incidents int) bool {
	return w.noneOpen(t) && len(w.incidents(t)) >= incidents && serves(w.healthURL())
}

func (w testWorld) noneOpen(t testing.TB) bool {
	for _, record := range w.incidents(t) {
		if !record.Ended {
			return false
		}
	}
	return true
}

// starts is how often the service's start command was run.
func (w testWorld) starts(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.files(), "starts"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(raw), "started")
}

// signal sends a signal to the service's process and gives its pid.
func (w testWorld) signal(t *testing.T, signal syscall.Signal) int {
	t.Helper()
	pid := w.pid()
	if pid == 0 {
		t.Fatal("the service has no pid")
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(fmt.Errorf("signal %d to %d: %w", signal, pid, err))
	}
	return pid
}
