package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/store/sqlite"
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
	await.True(t, "the service, which was never started, is asked about", func() bool { _, asking := w.asked(t); return asking })
	incident, _ := w.asked(t)
	if starts := w.starts(t); starts != 0 {
		t.Fatalf("the service was started %d times before anybody agreed", starts)
	}
	out, code := w.ask(t, "approve", incident.ID, "--reason", "go on")
	says(t, out, code, 0, "agreed, 1 of 1", "restart on process/stock")
	await.True(t, "it is healed", func() bool { return w.calm(t, 1) })
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
	await.True(t, "people are asked", func() bool { _, asking := w.asked(t); return asking })
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
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	out, code := w.ask(t, "pause", "stock", "--for", "1h", "--reason", "moving house")
	says(t, out, code, 0, "stock is paused by")
	broken := w.signal(t, syscall.SIGKILL)
	await.True(t, "the guard says no", func() bool { return strings.Contains(c.out.String(), "guard hold: service stock is held") })
	c.kill()
	c = w.serve(t)
	await.True(t, "the pause is told at the start", func() bool { return strings.Contains(c.out.String(), "stock is paused by") })
	out, code = w.ask(t, "resume")
	says(t, out, code, 0, "it was not stopped")
	if w.starts(t) != 1 {
		t.Fatal("something was started in spite of the pause")
	}
	out, code = w.ask(t, "resume", "stock")
	says(t, out, code, 0, "stock is not paused any more")
	await.True(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 2) })
	w.verified(t)
}

// TestStopBySignal: SIGUSR1 puts the kill switch on, which survives a restart like any other.
func TestStopBySignal(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	if err := c.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the kill switch is told to be on", func() bool { return strings.Contains(c.out.String(), "Jenner acts no more") })
	c.kill()
	c = w.serve(t)
	await.True(t, "it is on after a restart", func() bool {
		return strings.Contains(c.out.String(), "the kill switch is on (by signal SIGUSR1)")
	})
	w.verified(t)
}

// calendar writes the world's calendar, with these events in it.
func (w testWorld) calendar(t *testing.T, events string) {
	t.Helper()
	draft, file := filepath.Join(w.dir, "draft.ics"), filepath.Join(w.dir, "ops.ics")
	whole := "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//test//EN\n" + events + "END:VCALENDAR\n"
	if err := errors.Join(os.WriteFile(draft, []byte(whole), 0o600), os.Rename(draft, file)); err != nil {
		t.Fatal(err)
	}
}

const planned = "\n---\nkind: calendar\nname: ops\nics: ../ops.ics\n"

// freezing is an event that is on now and freezes.
func freezing() string {
	now := time.Now().UTC()
	return fmt.Sprintf("BEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\nSUMMARY:moving house\nDTSTART:%s\nDTEND:%s\nX-JENNER-EFFECT:freeze\nEND:VEVENT\n",
		now.Add(-time.Hour).Format("20060102T150405Z"), now.Add(time.Hour).Format("20060102T150405Z"))
}

// TestFreezeFromACalendar: while an event freezes a service nothing is done to it; as soon as the event is taken out of the
// file it is healed; while the file cannot be read a person is asked.
func TestFreezeFromACalendar(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms")+planned)
	w.calendar(t, "")
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	c.kill()
	w.calendar(t, freezing())
	broken, before := w.signal(t, syscall.SIGKILL), w.starts(t)
	c = w.serve(t)
	await.True(t, "the guard says wait", func() bool {
		return strings.Contains(c.out.String(), "guard calendar: \"moving house\" of calendar ops freezes everything")
	})
	if starts := w.starts(t); starts != before {
		t.Fatalf("it was started %d times in spite of the freeze", starts-before)
	}
	w.calendar(t, "")
	await.True(t, "it is healed after the event was taken out", func() bool { return w.pid() != broken && w.calm(t, 2) })

	w.calendar(t, "BEGIN:VEVENT\nX-JENNER-EFFECT:freze\nEND:VEVENT\n")
	await.True(t, "it is told that the calendar cannot be read", func() bool { return strings.Contains(c.out.String(), "a calendar cannot be read") })
	broken, before = w.signal(t, syscall.SIGKILL), w.starts(t)
	await.True(t, "people are asked", func() bool { _, asking := w.asked(t); return asking })
	incident, _ := w.asked(t)
	if asked := incident.Request().Asked; len(asked) == 0 || asked[0].Guard != "calendar" || w.starts(t) != before {
		t.Errorf("asked because of %+v, and started %d times", asked, w.starts(t)-before)
	}
	out, code := w.ask(t, "approve", incident.ID)
	says(t, out, code, 0, "agreed, 1 of 1")
	await.True(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 3) })
	w.verified(t)
}

// everything is what stands in all files of a folder, but those that readers of a database share.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, "-shm") {
			return err
		}
		raw, err := os.ReadFile(path)
		all[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReplaySince: all incidents of a time are summed up, the same each time, and neither the data directory nor the world
// is touched by it.
func TestReplaySince(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	broken := w.signal(t, syscall.SIGKILL)
	await.True(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 2) })
	if code := c.stop(); code != 0 {
		t.Fatal(c.out.String())
	}
	many := len(w.incidents(t))
	before, pid := everything(t, w.dir), w.pid()
	out, code := w.ask(t, "replay", "--since", "1d")
	says(t, out, code, 0, fmt.Sprintf("%d incidents of the last 1d: %d would be decided as then, 0 otherwise", many, many))
	if again, _ := w.ask(t, "replay", "--since", "1d"); again != out {
		t.Errorf("the second time it says\n%s\nafter\n%s", again, out)
	}
	out, code = w.ask(t, "replay", "--since", "1d", "--policy", "gone", "--service", "stock", "--json")
	says(t, out, code, 0, `"otherwise":0`, `"not_come_to":0`)
	if after := everything(t, w.dir); !maps.Equal(before, after) {
		t.Error("a replay changed something on disk")
	}
	if w.pid() != pid || !serves(w.healthURL()) {
		t.Error("a replay touched the service")
	}
	w.brokenOff(t, many)
	shy := filepath.Join(w.dir, "shy")
	if err := errors.Join(os.MkdirAll(shy, 0o700), os.WriteFile(filepath.Join(shy, "a.yaml"), []byte(strings.ReplaceAll(
		fmt.Sprintf(stockFiles, w.host)+fmt.Sprintf(healing, "", "200ms"), "mode: auto", "mode: approve")), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, code = w.ask(t, "replay", "--since", "1d", "--config", shy)
	says(t, out, code, 1, "OTHERWISE", fmt.Sprintf("0 would be decided as then, %d otherwise", many), "then: act restart", "now:  ask restart")
}

// interrupts is somebody who presses Ctrl-C at the first line.
type interrupts struct {
	bytes.Buffer
	press func()
}

func (i *interrupts) Write(p []byte) (int, error) {
	i.press()
	return i.Buffer.Write(p)
}

// brokenOff: Ctrl-C ends a replay of many with the sum of those that it came to.
func (w testWorld) brokenOff(t *testing.T, many int) {
	t.Helper()
	store, err := sqlite.Open(w.data, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	docs, err := app.Read([]string{w.files()}, providers, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &interrupts{press: func() { cancel(errInterrupted) }}
	r := replaying{store: store, docs: docs, out: out, warn: out}
	err = r.since(ctx, replayMany{since: span(24 * time.Hour)}, time.Now())
	if want := fmt.Sprintf("interrupted before %d of %d incidents", many-1, many); !errors.Is(err, errInterrupted) || err.Error() != want {
		t.Errorf("the error is %q, not %q", err, want)
	}
	if !strings.Contains(out.String(), "\n1 incidents of the last 1d: 1 would be decided as then, 0 otherwise\n") {
		t.Errorf("it sums up\n%s", out.String())
	}
}

// TestProgress: a job is silent for two seconds, and then tells how far it is every two.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, 9, func() time.Time { return now })
	p.at(1)
	p.done()
	if out.Len() > 0 {
		t.Errorf("before two seconds are over it says %q", out.String())
	}
	now = now.Add(2 * time.Second)
	p.at(5)
	p.at(6)
	if got := out.String(); got != "jenner: replayed 5 of 9\n" {
		t.Errorf("after two seconds it says %q", got)
	}
}

// TestCompletion: the shell is offered what there is, read-only and without a word where nothing is there.
func TestCompletion(t *testing.T) {
	w := newWorld(t, asks("{expires: 1h}"))
	w.serve(t)
	await.True(t, "people are asked", func() bool { _, asking := w.asked(t); return asking })
	incident, _ := w.asked(t)
	elsewhere := t.TempDir() // what is offered are the documents of the program that runs, where the folder has none
	offers := func(args ...string) string {
		cmd := exec.Command(filepath.Join(w.files(), "jenner"), append([]string{"__complete"}, args...)...)
		cmd.Dir = elsewhere
		cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		return string(out)
	}
	d := "--data=" + w.data
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"approve", d, ""}, incident.ID + "\tstock, asks about restart\n"}, {[]string{"reject", d, "i-"}, incident.ID},
		{[]string{"why", d, ""}, incident.ID}, {[]string{"replay", d, ""}, incident.ID}, {[]string{"pause", d, "st"}, "stock\n"},
		{[]string{"maturity", d, ""}, "stock\n"}, {[]string{"run", d, "--service=stock", ""}, "restart\n"}, {[]string{"run", d, "--policy", ""}, "gone\nhung\n"},
		{[]string{"approve", d, "--runbook", ""}, "restart\n"}, {[]string{"replay", d, "--service", ""}, "stock\n"},
		{[]string{"approve", d, incident.ID, ""}, ":4\n"}, {[]string{"pause", d, "stock", ""}, ":4\n"}, {[]string{"resume", d, ""}, ":4\n"},
	} {
		if out := offers(c.args...); !strings.HasPrefix(out, c.want) {
			t.Errorf("%v: %q, not %q", c.args, out, c.want)
		}
	}
	none := filepath.Join(w.dir, "none")
	for _, command := range []string{"approve", "reject", "why", "pause", "resume", "maturity"} {
		if out := offers(command, "--data="+none, ""); out != ":4\n" {
			t.Errorf("%s without a data directory: %q", command, out)
		}
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("completing made the data directory: %v", err)
	}
}
