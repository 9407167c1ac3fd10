package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/report"
)

// gamedayFile is a game day on stock: it is killed in the first second, and nobody is to know.
const gamedayFile = `
kind: gameday
name: spring
hypothesis: somebody finds out within a minute
lasts: %s
lease: 2s
faults: [{at: 300ms, fault: hang, target: stock, secret: true}]
goals: {acknowledge_within: 30s, resolve_within: 30s}
`

// gameday starts `jenner gameday run` over a world whose service serves, and waits until the fault is on.
func (w testWorld) gameday(t *testing.T, lasts string, more ...string) *child {
	t.Helper()
	file := filepath.Join(w.files(), "gameday.yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(gamedayFile, lasts)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.startStock(t)
	args := append([]string{"gameday", "run", file, "--data", w.data, "--baseline", "1s"}, more...)
	c := &child{t: t, cmd: exec.Command(filepath.Join(w.files(), "jenner"), args...)}
	c.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	await.True(t, "the fault is on: "+c.out.String(), func() bool { return strings.Contains(c.out.String(), "a secret, is on") })
	return c
}

// startStock starts the service by its own start command, as its people do.
func (w testWorld) startStock(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("echo started >> starts; exec ./shop inventory --ignore-term --host %s --pidfile run/stock.pid", w.host))
	cmd.Dir = w.files()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await.True(t, "the service serves", func() bool { return serves(w.healthURL()) && w.pid() != 0 })
}

func (c *child) wait() int {
	_ = c.cmd.Wait() // the exit code tells
	return c.cmd.ProcessState.ExitCode()
}

// TestAGameDay: people speak from other terminals and remove a fault that nothing told them of; the scorecard and the report
// have it all.
func TestAGameDay(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	pages := []string{filepath.Join(w.dir, "day.html"), filepath.Join(w.dir, "day.json")}
	day := w.gameday(t, "60s", "--report", pages[0], "--report", pages[1])
	for _, asked := range [][]string{{"undo"}, {"undo", "--json"}, {"gameday", "show"}, {"gameday", "show", "--json"}, {"incidents"}} {
		if out, code := w.ask(t, asked...); code != 0 || strings.Contains(out, "process.hang") {
			t.Errorf("%v gives the secret away, or fails with %d:\n%s", asked, code, out)
		}
	}
	out, code := w.ask(t, "gameday", "ack", "orders fail")
	says(t, out, code, 0, "ack by "+person(), "game day spring")
	out, code = w.ask(t, "gameday", "comment", "I think it is stock")
	says(t, out, code, 0, "comment by")
	out, code = w.ask(t, "gameday", "resolve", "--service", "nonesuch")
	says(t, out, code, 2, `there is no service "nonesuch"`)
	starts := w.starts(t)
	w.signal(t, syscall.SIGCONT)
	await.True(t, "it is seen that somebody removed it", func() bool { return strings.Contains(day.out.String(), "was removed by somebody") })
	out, code = w.ask(t, "gameday", "resolve", "--service", "stock", "it goes on")
	says(t, out, code, 0, "resolve by")
	if code := day.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, day.out.String())
	}
	said := day.out.String()
	before, after, _ := strings.Cut(said, "1 of 1 faults were found; every goal was met")
	if strings.Contains(before, "process.hang") || !strings.Contains(after, "process.hang on process/stock of stock, which was a secret") ||
		!strings.Contains(after, "then somebody removed it") {
		t.Errorf("it says:\n%s", said)
	}
	if w.starts(t) != starts {
		t.Error("Jenner restarted it, although people were to do it")
	}
	var day1 report.Gameday
	if err := readJSON(pages[1], &day1); err != nil || len(day1.Card.Faults) != 1 || !day1.Card.Met || len(day1.Panels) == 0 || len(day1.Run.Words) != 3 {
		t.Errorf("the JSON report: %v %+v", err, day1.Card)
	}
	if page, err := os.ReadFile(pages[0]); err != nil || !strings.Contains(string(page), "fault 1 gone") || !strings.Contains(string(page), "probe health of stock") {
		t.Errorf("the page: %v\n%.2000s", err, page)
	}
	out, code = w.ask(t, "gameday", "show")
	says(t, out, code, 0, "process.hang on process/stock of stock, which was a secret", "every goal was met")
	out, code = w.ask(t, "gameday", "ack")
	says(t, out, code, 1, "no game day is on")
	out, code = w.ask(t, "audit", "verify")
	says(t, out, code, 0, "the audit log is whole")
}

// TestAGameDayIsStopped: by kill -9 and by jenner stop; each time the fault is gone, and the service serves.
func TestAGameDayIsStopped(t *testing.T) {
	for name, c := range map[string]struct {
		stop func(t *testing.T, w testWorld, day *child)
		code int // of gameday run; -1 is a signal
		says string
	}{
		"kill -9":     {func(_ *testing.T, _ testWorld, day *child) { _ = day.cmd.Process.Kill() }, -1, ""},
		"Ctrl-C":      {func(_ *testing.T, _ testWorld, day *child) { _ = day.cmd.Process.Signal(os.Interrupt) }, 1, "BROKEN OFF: interrupted"},
		"jenner stop": {func(t *testing.T, w testWorld, _ *child) { w.ask(t, "stop") }, 1, "stopped Jenner"},
		"jenner undo --all": {func(t *testing.T, w testWorld, day *child) {
			out, code := w.ask(t, "undo", "--all")
			says(t, out, code, 0, "a secret of game day")
			await.True(t, "it is seen that it is gone", func() bool { return strings.Contains(day.out.String(), "was removed by somebody") })
			_ = day.cmd.Process.Signal(os.Interrupt)
		}, 1, "then somebody removed it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
			day := w.gameday(t, "60s")
			if serves(w.healthURL()) {
				t.Fatal("the fault does not bite")
			}
			c.stop(t, w, day)
			if code := day.wait(); code != c.code || !strings.Contains(day.out.String(), c.says) {
				t.Errorf("exit code %d, not %d, or it does not say %q:\n%s", code, c.code, c.says, day.out.String())
			}
			await.True(t, "the fault is gone and the service serves", func() bool {
				out, code := w.ask(t, "undo")
				return code == 0 && strings.Contains(out, "no fault is open") && serves(w.healthURL())
			})
		})
	}
}
