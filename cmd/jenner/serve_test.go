package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
)

// TestServeHealsAndStops: the whole loop on a real process, its metrics, and a stop that leaves the service alone.
func TestServeHealsAndStops(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	broken := w.signal(t, syscall.SIGKILL)
	await.True(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 2) })
	metrics := c.get("/metrics")
	for _, want := range []string{`jenner_remediations_total{result="passed",runbook="restart"} 2`, `jenner_incidents_total{phase="resolved"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s:\n%s", want, metrics)
		}
	}
	if code := c.stop(); code != 0 {
		t.Errorf("a stop by Ctrl-C ends with exit code %d:\n%s", code, c.out.String())
	}
	if !serves(w.healthURL()) {
		t.Error("the service does not serve any more after jenner was stopped")
	}
	w.verified(t)
}

var addressOf = regexp.MustCompile(`http://[0-9.:]+`)

func (c *child) get(path string) string {
	c.t.Helper()
	answer, err := http.Get(addressOf.FindString(c.out.String()) + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(body)
}

// TestReload: a broken file is refused whole, the error names file and line, and what was in force stays so; a good one
// comes into force by being written, or by SIGHUP.
func TestReload(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	file := filepath.Join(w.files(), "more.yaml")
	if err := os.WriteFile(file, []byte("kind: runbook\nname: nap\nsteps:\n- {name: zzz, action: restrat}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the broken file is refused", func() bool {
		return strings.Contains(c.out.String(), "refused") && strings.Contains(c.out.String(), "more.yaml:4") &&
			strings.Contains(c.out.String(), "restart")
	})
	broken := w.signal(t, syscall.SIGKILL)
	await.True(t, "it is healed all the same", func() bool { return w.pid() != broken && w.calm(t, 2) })
	good := "kind: service\nname: second\nprobes:\n- {name: answers, tcp: {address: '" + w.host + ":18083'}, every: 200ms}\n"
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the good file is in force", func() bool { return strings.Contains(c.out.String(), "services=2") })
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await.True(t, "SIGHUP reads again", func() bool { return strings.Count(c.out.String(), "services=2") >= 2 })
}

// TestKillSwitch: nothing is done while it is on, whatever breaks; it survives a restart; and then it is healed.
func TestKillSwitch(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	if code := run([]string{"stop", "--data", w.data, "--reason", "a test"}); code != 0 {
		t.Fatalf("jenner stop ends with %d", code)
	}
	broken := w.signal(t, syscall.SIGKILL)
	refused := func() bool { return strings.Contains(c.out.String(), "guard hold") }
	await.True(t, "the guard says no", refused)
	c.kill()
	c = w.serve(t)
	await.True(t, "the guard says no after a restart", func() bool {
		return strings.Contains(c.out.String(), "the kill switch is on") && len(w.incidents(t)) > 0
	})
	if w.starts(t) != 1 {
		t.Fatal("something was started in spite of the kill switch")
	}
	if code := run([]string{"resume", "--data", w.data}); code != 0 {
		t.Fatalf("jenner resume ends with %d", code)
	}
	await.True(t, "it is healed", func() bool { return w.pid() != broken && w.calm(t, 2) })
	w.verified(t)
	if _, on := app.NewHolds(w.data, time.Now).KillSwitch(); on {
		t.Error("the kill switch is on after resume")
	}
}

// TestDataInUse: two jenners on one data directory would act twice.
func TestDataInUse(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	c := w.serve(t)
	_, err := app.New(app.Options{Config: []string{w.files()}, Data: w.data, Catalog: providers})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint("pid ", c.cmd.Process.Pid)) {
		t.Errorf("the error does not name the other jenner: %v", err)
	}
}

// TestPidfileOfSomebodyElse: a pidfile that names another process is told to a human, and that process is not touched.
func TestPidfileOfSomebodyElse(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	pidfile := filepath.Join(w.files(), "run", "stock.pid")
	if err := os.MkdirAll(filepath.Dir(pidfile), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pidfile, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	c := w.serve(t)
	await.True(t, "a human is told whose process it is", func() bool {
		return strings.Contains(c.out.String(), "PAGE") && strings.Contains(c.out.String(), "somebody else's process")
	})
}

// TestPortInUse: the error names the port and the flag, and nothing stays open behind it.
func TestPortInUse(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	taken, err := net.Listen("tcp", w.host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for range 2 { // the second time shows that the first left the data directory free
		a, err := app.New(app.Options{Config: []string{w.files()}, Data: w.data, Catalog: providers,
			Logger: slog.New(slog.DiscardHandler), Listen: taken.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		err = a.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "--listen") {
			t.Fatalf("the error does not say which port and what to do: %v", err)
		}
	}
}
