package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
)

// asks are the files of a service whose crash is healed once a person agrees.
func asks(approval string) string {
	return strings.Replace(fmt.Sprintf(healing, "", "200ms"), "mode: auto\n", "mode: approve\napproval: "+approval+"\n", 1)
}

// ask runs a subcommand as a process of its own and gives what it prints and its exit code.
func (w testWorld) ask(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(w.files(), "jenner"), append(args, "--data", w.data)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	_ = cmd.Run() // the exit code tells
	return all.String(), cmd.ProcessState.ExitCode()
}

// open is the newest incident, once it asks people.
func (w testWorld) asked(t *testing.T) (incident jenner.Incident, asking bool) {
	t.Helper()
	records := w.incidents(t)
	if len(records) == 0 || json.Unmarshal(records[0].State, &incident) != nil {
		return incident, false
	}
	return incident, incident.Request() != nil && !records[0].Ended
}

func says(t *testing.T, out string, code, want int, texts ...string) {
	t.Helper()
	if code != want {
		t.Errorf("exit code %d, not %d:\n%s", code, want, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
}

// TestApprove: nothing is done until the person agrees from another terminal, then it is healed once, and everything that
// was decided can be asked for afterwards.
func TestApprove(t *testing.T) {
	w := newWorld(t, asks("{by: ["+person()+"]}"))
	w.serve(t)
	until(t, "the service, which was never started, is asked about", func() bool { _, asking := w.asked(t); return asking })
	incident, _ := w.asked(t)
	if starts := w.starts(t); starts != 0 {
		t.Fatalf("the service was started %d times before anybody agreed", starts)
	}
	out, code := w.ask(t, "approve", incident.ID, "--reason", "go on")
	says(t, out, code, 0, "agreed, 1 of 1", "restart on process/stock")
	until(t, "it is healed", func() bool { return w.calm(t, 1) })
	if starts := w.starts(t); starts != 1 {
		t.Errorf("the service was started %d times", starts)
	}
	out, code = w.ask(t, "approve", incident.ID)
	says(t, out, code, 1, "is granted already")

	out, code = w.ask(t, "why", incident.ID)
	says(t, out, code, 0, "ASKED FIRST: restart", "DONE: restart", "mode ", "approval ", "yes  "+person(), "go on", "mode=approve")
	out, code = w.ask(t, "maturity")
	says(t, out, code, 0, "SERVICE", "stock", "approve (by file)")
	out, code = w.ask(t, "replay", incident.ID)
	says(t, out, code, 0, "then: ask restart", "now:  ask restart", "would do process.restart")
	w.verified(t)
}

// TestReplayOfAnotherPolicy: today's files would decide otherwise, which is told, and is exit code 1; a file with what was
// recorded says the same without any data directory.
func TestReplayOfAnotherPolicy(t *testing.T) {
	w := newWorld(t, asks("{expires: 1h}"))
	c := w.serve(t)
	until(t, "people are asked", func() bool { _, asking := w.asked(t); return asking })
	incident, _ := w.asked(t)
	recorded, code := w.ask(t, "incidents", incident.ID, "--json")
	says(t, recorded, code, 0, incident.ID)
	c.kill()
	file, bold := filepath.Join(w.dir, "recorded.json"), filepath.Join(w.dir, "bold")
	if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(bold, os.DirFS(w.files())); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(bold, "*.yaml"))
	if err != nil || len(found) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), "mode: approve", "mode: auto")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code := w.ask(t, "replay", incident.ID, "--config", bold)
	says(t, out, code, 1, "then: ask restart", "now:  act restart")
	w.data = filepath.Join(w.dir, "none")
	out, code = w.ask(t, "replay", file, "--config", bold)
	says(t, out, code, 1, "then: ask restart", "now:  act restart")
	alerts := filepath.Join(w.dir, "alerts.json")
	if err := os.WriteFile(alerts, []byte(`[{"service": "stock", "name": "process-gone", "kind": "gone", "target": {"kind": "process", "name": "stock"}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = w.ask(t, "replay", alerts, "--config", bold)
	says(t, out, code, 0, "stock", "now:  ")
}

// TestPause: a paused service is left alone, across a restart, while others would be healed; resume ends it.
func TestPause(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	until(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	out, code := w.ask(t, "pause", "stock", "--for", "1h", "--reason", "moving house")
	says(t, out, code, 0, "stock is paused by")
	broken := w.signal(t, syscall.SIGKILL)
	until(t, "the guard says no", func() bool { return strings.Contains(c.out.String(), "guard hold: service stock is held") })
	c.kill()
	c = w.serve(t)
	until(t, "the pause is told at the start", func() bool { return strings.Contains(c.out.String(), "stock is paused by") })
	out, code = w.ask(t, "resume")
	says(t, out, code, 0, "it was not stopped")
	if w.starts(t) != 1 {
		t.Fatal("something was started in spite of the pause")
	}
	out, code = w.ask(t, "resume", "stock")
	says(t, out, code, 0, "stock is not paused any more")
	until(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 2) })
	w.verified(t)
}

// TestStopBySignal: SIGUSR1 puts the kill switch on, which survives a restart like any other.
func TestStopBySignal(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	until(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	if err := c.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	until(t, "the kill switch is told to be on", func() bool { return strings.Contains(c.out.String(), "Jenner acts no more") })
	c.kill()
	c = w.serve(t)
	until(t, "it is on after a restart", func() bool {
		return strings.Contains(c.out.String(), "the kill switch is on (by signal SIGUSR1)")
	})
	w.verified(t)
}
