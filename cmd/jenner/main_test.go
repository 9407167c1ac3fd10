package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jenner-heal/jenner/examples/shop"
)

// TestMain lets the test binary be the programs under test: `shop` for the processes that are broken and healed, and
// `jenner` itself, so that it can be killed for real.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "shop" {
		os.Exit(shop.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	// A reaper and a holder are started by the path of the program, where the test binary has its own name.
	if len(os.Args) > 1 && (os.Args[1] == "reaper" || os.Args[1] == "hold") {
		os.Exit(run(os.Args[1:]))
	}
	if len(os.Args) > 1 && programs[os.Args[1]] != nil {
		os.Exit(programs[os.Args[1]](os.Args[2:]))
	}
	testscript.Main(m, map[string]func(){"jenner": func() { os.Exit(run(os.Args[1:])) }})
}

// programs are what else the test binary can be, by its first argument.
var programs = map[string]func(args []string) int{matrixWord: matrixChild, diskWord: diskKeeper}

// testWorld is a folder with one process, `stock`, and the files that describe it to Jenner.
type testWorld struct {
	dir, data, host string
}

// newWorld makes a world on a loopback address of its own. more is added to the files.
func newWorld(t testing.TB, more string) testWorld {
	t.Helper()
	dir, err := os.MkdirTemp("", "jenner-test-")
	if err != nil {
		t.Fatal(err)
	}
	host, err := ownHost()
	if err != nil {
		t.Fatal(err)
	}
	w := testWorld{dir: dir, data: filepath.Join(dir, "data"), host: host}
	t.Cleanup(func() {
		if err := stopWorld(context.Background(), filepath.Join(dir, "files")); err != nil && !t.Failed() {
			t.Logf("cannot end the world: %v", err)
		}
		os.RemoveAll(dir)
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(dir, "files")
	for _, step := range []error{os.MkdirAll(filepath.Join(files, "run"), 0o700), os.Symlink(self, filepath.Join(files, "shop")),
		os.Symlink(self, filepath.Join(files, "jenner")),
		os.WriteFile(filepath.Join(files, "stock.yaml"), []byte(fmt.Sprintf(stockFiles, w.host)+more), 0o600)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return w
}

func (w testWorld) files() string { return filepath.Join(w.dir, "files") }

// healthURL is where the process says that it serves.
func (w testWorld) healthURL() string { return "http://" + w.host + ":18083/healthz" }

// stockFiles describe one service whose starts can be counted, healed by a restart. Its process ignores SIGTERM.
const stockFiles = `
kind: service
name: stock
environment: test
targets:
- kind: process
  name: stock
  start: sh -c 'echo started >> starts; exec ./shop inventory --ignore-term --host %[1]s --pidfile run/stock.pid'
  pidfile: run/stock.pid
  program: shop
  grace: 500ms
probes:
- {name: health, http: {url: 'http://%[1]s:18083/healthz'}, every: 250ms, timeout: 250ms}
---
kind: signature
name: gone
cause: crashed
evidence: [{process: gone, weight: 9}, {probe: health, is: failing, weight: 1}]
---
kind: signature
name: hung
cause: hung
evidence: [{probe: health, is: failing, weight: 9}, {process: alive, for: 1s, weight: 9}, {dependency: healthy, weight: 2}]
---
`

// healing is a runbook and its policies, with room for more steps and settings.
const healing = `
kind: runbook
name: restart
steps:
- {name: again, action: restart}
- {name: answers, action: wait_for_probe, params: {probe: health, timeout: 20s}}
%s
---
kind: policy
name: gone
incident_type: crashed
runbooks: [restart]
mode: auto
confidence_threshold: 0.9
max_attempts: 1000000
attempts_reset_after: 1ms
recurrence: {times: 1000000}
cooldown_after_action: 1ms
verification_window: 30s
stable_for: %s
---
kind: policy
name: hung
incident_type: hung
runbooks: [restart]
mode: auto
confidence_threshold: 0.9
max_attempts: 1000000
attempts_reset_after: 1ms
recurrence: {times: 1000000}
cooldown_after_action: 1ms
verification_window: 30s
stable_for: %[2]s
`
