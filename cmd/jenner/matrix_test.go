package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

var updateDocs = flag.Bool("update", false, "write the crash matrix into docs/crash-matrix.md")

// matrixDoc is where the matrix is kept. The test writes between the two marks of each story.
const matrixDoc = "../../docs/crash-matrix.md"

// matrixStory is one incident, and how it must end wherever jenner died.
type matrixStory struct {
	name    string
	steps   string // of the runbook
	phase   jenner.Phase
	effects []string // every change of the outside world, in order
	// about picks the boundaries that are rows; all of them if nil. The others belong to another story.
	about func(boundary string) bool
	// unsure allows what an action that cannot tell leads to: an effect left out, and a person told. Never one done twice.
	unsure bool
}

// set is a step that sets the flag of its name.
func set(name string) string {
	return fmt.Sprintf("- {name: %s, action: set_flag, target: %[1]s, params: {key: on, value: true}}\n", name)
}

// ring is a command without a way to find out whether it ran.
const ring = "- {name: ring, action: command.run, params: {argv: [mktemp, effects/ring.XXXXXX]}}\n"

var matrixStories = []matrixStory{{
	name:    "healed",
	steps:   set("one") + "- {name: again, action: restart}\n" + set("three"),
	phase:   jenner.PhaseResolved,
	effects: []string{"one", "again", "three"},
}, {
	name:    "undone",
	steps:   set("one") + set("two") + set("three"),
	phase:   jenner.PhaseEscalated,
	effects: []string{"one", "two", "three", "three", "two", "one"},
}, {
	name:    "unknown",
	steps:   ring,
	phase:   jenner.PhaseEscalated,
	effects: []string{"ring"},
	about:   func(boundary string) bool { return strings.Contains(boundary, "ring") },
	unsure:  true,
}}

// matrixFiles describe a process that is not there, and three flags. Each start of the process leaves a file.
const matrixFiles = `
kind: service
name: stock
environment: test
targets:
- kind: process
  name: stock
  start: sh -c 'mktemp effects/again.XXXXXX >/dev/null; exec ./shop inventory --host %[1]s --pidfile run/stock.pid'
  pidfile: run/stock.pid
  program: shop
  grace: 500ms
- {kind: file, name: one, path: effects/one.json}
- {kind: file, name: two, path: effects/two.json}
- {kind: file, name: three, path: effects/three.json}
probes:
- {name: health, http: {url: 'http://%[1]s:18083/healthz'}, every: 50ms, timeout: 50ms, alert: false}
---
kind: signature
name: gone
cause: crashed
evidence: [{process: gone, weight: 1}]
---
kind: runbook
name: book
steps:
%[2]s---
kind: policy
name: gone
incident_type: crashed
runbooks: [book]
mode: auto
confidence_threshold: 0.9
verification_window: %[3]s
stable_for: 200ms
rollback_if_failed: true
---
kind: limits
max_targets_of_service: 4
`

// untouched is a flag before anything was done.
const untouched = "{\"on\": false}\n"

// matrixWorld is a world in which the changes from outside are watched.
type matrixWorld struct {
	testWorld
	story   matrixStory
	watcher *fsnotify.Watcher
}

func newMatrixWorld(t *testing.T, story matrixStory) matrixWorld {
	t.Helper()
	w := matrixWorld{testWorld: newWorld(t, ""), story: story}
	window := "500ms" // for a service that nothing heals
	if story.phase == jenner.PhaseResolved {
		window = "20s"
	}
	text := fmt.Sprintf(matrixFiles, w.host, story.steps, window)
	errs := []error{os.WriteFile(filepath.Join(w.files(), "stock.yaml"), []byte(text), 0o600), os.Mkdir(w.effects(), 0o700)}
	for _, name := range []string{"one", "two", "three"} {
		errs = append(errs, os.WriteFile(filepath.Join(w.effects(), name+".json"), []byte(untouched), 0o600))
	}
	var err error
	if w.watcher, err = fsnotify.NewWatcher(); err == nil {
		t.Cleanup(func() { w.watcher.Close() })
		err = w.watcher.Add(w.effects())
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w matrixWorld) effects() string { return filepath.Join(w.files(), "effects") }

// seen is every change of the outside world, in order, as the kernel told it: a flag's file that was replaced, or a file
// that a command left.
func (w matrixWorld) seen(t *testing.T) []string {
	t.Helper()
	last := filepath.Join(w.effects(), "last")
	if err := os.WriteFile(last, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var effects []string
	for {
		select {
		case err := <-w.watcher.Errors:
			t.Fatal(err)
		case event := <-w.watcher.Events:
			if event.Name == last {
				return effects
			}
			name := filepath.Base(event.Name)
			if event.Has(fsnotify.Create) && !strings.HasPrefix(name, ".") { // those with a dot are being written
				name, _, _ = strings.Cut(name, ".")
				effects = append(effects, name)
			}
		}
	}
}

// start runs the child to its end and gives its trace. died tells whether it was killed.
func (w matrixWorld) start(t *testing.T, life string, death ...string) (trace []string, died bool) {
	t.Helper()
	path := filepath.Join(w.dir, "trace-"+life)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{matrixWord, w.files(), w.data, path}, death...)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	raw, readErr := os.ReadFile(path)
	if readErr != nil {
		t.Fatalf("the child left no trace: %v\n%s", readErr, out)
	}
	trace = strings.Split(strings.TrimSpace(string(raw)), "\n")
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if died = status.Signaled() && status.Signal() == syscall.SIGKILL; err != nil && !died {
		t.Fatalf("the child of life %q: %v\n%s\n%s", life, err, out, raw)
	}
	return trace, died
}

// TestCrashMatrix kills jenner, a real process, before and after every commit and every effect of an incident, starts it
// again, and wants that each effect happened once, that the end is the right one, and that nothing stays open.
func TestCrashMatrix(t *testing.T) {
	for _, story := range matrixStories {
		t.Run(story.name, func(t *testing.T) {
			m := &matrix{story: story, cells: map[string]string{}}
			m.rows = dryPass(t, story)
			t.Run("died", func(t *testing.T) { // returns when all that run beside each other have ended
				for _, row := range m.rows {
					for _, when := range []string{"before", "after"} {
						t.Run(when+" "+row, func(t *testing.T) {
							t.Parallel()
							m.die(t, when, row)
						})
					}
				}
			})
			if t.Failed() {
				return
			}
			t.Log("\n" + m.table())
			m.compare(t)
		})
	}
}

// dryPass plays a story without a death and gives the boundaries that it came to, each once.
func dryPass(t *testing.T, story matrixStory) []string {
	t.Helper()
	w := newMatrixWorld(t, story)
	trace, _ := w.start(t, "dry")
	if seen := w.seen(t); !slices.Equal(seen, story.effects) {
		t.Fatalf("without a death the effects are %v, not %v\n%s\n%s", seen, story.effects, strings.Join(trace, "\n"), w.pages(t))
	}
	w.ended(t)
	var rows []string
	for _, name := range boundariesOf(trace) {
		if !slices.Contains(rows, name) && (story.about == nil || story.about(name)) {
			rows = append(rows, name)
		}
	}
	return rows
}

// boundariesOf are the boundaries of a trace, without the looks of phases that may or may not need more than one:
// verifying always does.
func boundariesOf(trace []string) []string {
	var found []string
	for _, line := range trace {
		name, is := strings.CutPrefix(line, traceAt+" ")
		if is && (!strings.HasSuffix(name, notYet) || strings.HasPrefix(name, string(jenner.PhaseVerifying))) {
			found = append(found, name)
		}
	}
	return found
}

// matrix is what came of one story.
type matrix struct {
	story matrixStory
	rows  []string

	mu    sync.Mutex
	cells map[string]string // by "before ROW" and "after ROW"
}

// die plays the story with one death.
func (m *matrix) die(t *testing.T, when, row string) {
	w := newMatrixWorld(t, m.story)
	trace, died := w.start(t, "first", when, row)
	if !died {
		t.Fatalf("it did not come to this boundary:\n%s", strings.Join(trace, "\n"))
	}
	after, died := w.start(t, "second")
	if died {
		t.Fatal("the second start was killed by somebody")
	}
	cell := whatFollowed(after, row)
	effects, pages := w.seen(t), w.pages(t)
	w.ended(t)
	want := m.story.effects
	if m.story.unsure && strings.Contains(cell, "cannot tell") {
		want = want[:min(len(want), len(effects))] // it was not begun, or it was done: nobody can tell, and it is not done again
		if !strings.Contains(pages, "nobody can tell whether") {
			t.Errorf("no human was told that nobody can tell:\n%s", pages)
		}
	}
	if !slices.Equal(effects, want) {
		t.Errorf("the effects are %v, not %v\nfirst:\n%s\nsecond:\n%s", effects, want, strings.Join(trace, "\n"), strings.Join(after, "\n"))
	}
	if escalated := m.story.phase == jenner.PhaseEscalated; (pages != "") != escalated {
		t.Errorf("a human was told: %t, and should be: %t\n%s", pages != "", escalated, pages)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[when+" "+row] = cell
}

// ended wants one incident with the right end, the flags as they belong, the audit log whole and no intent open.
func (w matrixWorld) ended(t *testing.T) {
	t.Helper()
	records := w.incidents(t)
	if len(records) != 1 || !records[0].Ended || records[0].Phase != w.story.phase {
		t.Errorf("there are %d incidents, not one that ended %s: %+v", len(records), w.story.phase, records)
	}
	for _, name := range []string{"one", "two", "three"} {
		raw, err := os.ReadFile(filepath.Join(w.effects(), name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		set := w.story.phase == jenner.PhaseResolved && slices.Contains(w.story.effects, name)
		if (string(raw) != untouched) != set {
			t.Errorf("flag %s: %q", name, raw)
		}
	}
	if w.story.phase == jenner.PhaseResolved && !serves(w.healthURL()) {
		t.Error("the service does not serve")
	}
	w.verified(t)
}

func (w matrixWorld) pages(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.data, "pages.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(raw)
}

// whatFollowed says what the next start did about the boundary at which the one before had died.
func whatFollowed(trace []string, row string) string {
	for i, line := range trace {
		switch answer := strings.TrimPrefix(line, traceAsked+" "); {
		case answer == line:
		case strings.HasSuffix(answer, string(act.HappenedUnknown)):
			return "asked the action, which cannot tell: told a human"
		case strings.HasSuffix(answer, string(act.HappenedNot)):
			return "asked the action: it had not happened; did it"
		default:
			return "asked the action: it had happened"
		}
		next := boundariesOf([]string{line})
		switch {
		case len(next) == 0:
			continue
		case strings.Contains(row, "of the undo of") && strings.Contains(next[0], "the intent of the undo of"):
			return undidAgain(trace[i:], row)
		case strings.Contains(row, "of the undo of") && strings.Contains(next[0], "the result of the undo of "+row[strings.LastIndex(row, " ")+1:]):
			return "found it undone already"
		case next[0] != row || strings.HasSuffix(row, notYet):
			return "went on"
		case strings.Contains(row, "commit of"):
			return "took the stored result"
		}
		return "made the step again"
	}
	return "nothing was left to do"
}

// undidAgain says whether an undo that is done once more found something to take back. Another step's is not meant.
func undidAgain(trace []string, row string) string {
	name := row[strings.LastIndex(row, " ")+1:]
	for _, line := range trace {
		switch {
		case line == traceDid+" "+name+": "+didNothing:
			return "undid it again, and it was undone already"
		case line == traceDid+" "+name+": "+didChange:
			return "undid it"
		case strings.HasPrefix(line, traceDid):
			return "went on"
		}
	}
	return "went on"
}

func (m *matrix) table() string {
	var b strings.Builder
	b.WriteString("| phase | boundary | died before it | died after it |\n|---|---|---|---|\n")
	for _, row := range m.rows {
		phase, what, _ := strings.Cut(row, ": ")
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", phase, what, m.cells["before "+row], m.cells["after "+row])
	}
	return b.String()
}

// compare holds the matrix against the one in the docs, or writes it there.
func (m *matrix) compare(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(matrixDoc)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s -->\n", m.story.name), fmt.Sprintf("<!-- end of %s -->\n", m.story.name)
	head, rest, found := strings.Cut(string(raw), begin)
	kept, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks the marks %q and %q", matrixDoc, begin, end)
	}
	if *updateDocs {
		if err := os.WriteFile(matrixDoc, []byte(head+begin+m.table()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if kept != m.table() {
		t.Errorf("%s is not what happens any more; write it anew with `go test ./cmd/jenner -run TestCrashMatrix -update`\nin the docs:\n%s\nnow:\n%s",
			matrixDoc, kept, m.table())
	}
}
