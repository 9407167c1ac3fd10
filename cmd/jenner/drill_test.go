package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/report"
)

// drillFile is an experiment on stock.
const drillFile = `
kind: experiment
name: stock-killed
hypothesis: when stock is killed it serves again within 20 s
service: stock
faults: [{fault: kill, target: stock}]
expect: {cause: crashed, runbook: restart, recovered_within: 20s}
repeat: 2
control: true
control_for: 500ms
`

// TestADrillWithReports: it has as many rounds as --repeat says or else the file, every form of report is written, the lines on the way are
// whole and none stands twice, and the proof is what `jenner coverage` counts.
func TestADrillWithReports(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	file := filepath.Join(w.files(), "drills.yaml")
	if err := os.WriteFile(file, []byte(drillFile), 0o600); err != nil {
		t.Fatal(err)
	}
	w.startStock(t)
	page, junit, whole := filepath.Join(w.dir, "r.html"), filepath.Join(w.dir, "r.xml"), filepath.Join(w.dir, "r.json")
	out, code := w.ask(t, "drill", file, "--repeat", "0")
	says(t, out, code, 2, "--repeat is 0; write 1 or more")
	out, code = w.ask(t, "drill", file, "--repeat", "1", "--baseline", "1s")
	says(t, out, code, 0, "stock-killed  PROVEN  ")
	if strings.Count(out, "phase     prove-undone → ") != 1 {
		t.Errorf("it has not one round:\n%s", out)
	}
	out, code = w.ask(t, "drill", file, "--baseline", "1s", "--report", page, "--report", junit, "--report", whole)
	says(t, out, code, 0, "stock-killed  PROVEN", "stock-killed: PROVEN, 2 of 2 rounds PROVEN; recovered after", "control → inject (control took", "bite → observe")
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		timed := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} `).MatchString(line)
		if timed && seen[line] {
			t.Errorf("it stands twice: %s", line)
		}
		seen[line] = true
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	raw, err := os.ReadFile(junit)
	if err != nil || xml.Unmarshal(raw, &suites) != nil || suites.Tests != 2 || suites.Failures != 0 {
		t.Errorf("JUnit XML: %v\n%s", err, raw)
	}
	var all report.Report
	if err := readJSON(whole, &all); err != nil || len(all.Drills) != 1 || len(all.Drills[0].Rounds) != 2 {
		t.Fatalf("JSON: %v %+v", err, all)
	}
	for _, round := range all.Drills[0].Rounds {
		var kinds []string
		for _, mark := range round.Marks() {
			kinds = append(kinds, string(mark.Kind))
		}
		if got := strings.Join(kinds, " "); got != "fault bite detection action recovery undo" {
			t.Errorf("round %d has the marks %s", round.Number, got)
		}
		if len(round.Panels) == 0 || len(round.Incidents) == 0 || round.Control == nil || !round.Control.StayedBroken || len(round.Panels[0].Failed) == 0 {
			t.Errorf("round %d has %d panels and %d incidents, control arm %+v", round.Number, len(round.Panels), len(round.Incidents), round.Control)
		}
	}
	if all.Drills[0].Versions[jenner.VersionSignature] == "" {
		t.Errorf("the versions are %v", all.Drills[0].Versions)
	}
	if raw, err := os.ReadFile(page); err != nil || strings.Count(string(raw), `<svg class="figure"`) != 4 {
		t.Errorf("the page has %d figures, want two a round: %v", strings.Count(string(raw), `<svg class="figure"`), err)
	}
	out, code = w.ask(t, "coverage")
	says(t, out, code, 0, "process.kill  restart  proven", "1 of 2 proven")
}

func TestReportsThatCannotBeWritten(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	for file, want := range map[string]string{"r.pdf": "the ending says the form; write one of .html, .json, .xml", "-": "the ending says the form",
		"nowhere/r.html": "there is no folder nowhere"} {
		out, code := w.ask(t, "drill", filepath.Join(w.files(), "stock.yaml"), "--report", file)
		says(t, out, code, exitUsage, want)
	}
}

// TestTheMovingLine: what is written comes above it, whole; it is drawn again after that, and gone in the end.
func TestTheMovingLine(t *testing.T) {
	var out bytes.Buffer
	v := &drillView{out: &out, width: func() int { return 40 }, phases: map[string]phaseSince{}, stop: make(chan struct{}), ended: make(chan struct{})}
	close(v.ended) // nothing redraws by itself in this test
	fmt.Fprintln(v, "before")
	drill := jenner.Drill{ID: "d-1", Experiment: jenner.Experiment{Name: "killed", Repeat: 2}, Round: 1}
	commit := func(phase jenner.Phase, entries ...jenner.Entry) {
		v.entry(jenner.Change{Record: jenner.Record{Line: loop.DrillLine, ID: "d-1", Subject: "shop", Phase: phase, State: jenner.Raw(drill)}, Timeline: entries})
	}
	commit(jenner.PhaseObserve, jenner.Entry{Kind: "phase", Text: "bite → observe"})
	commit(jenner.PhaseObserve)
	commit(jenner.PhaseObserve, jenner.Entry{Kind: "alert", Text: "it is gone"})
	v.close()
	v.close()
	fmt.Fprintln(v, "after")
	var shown []string // as a terminal shows it
	for _, line := range strings.Split(out.String(), "\n") {
		parts := strings.Split(line, "\r\x1b[K")
		for _, part := range parts {
			if width := len([]rune(part)); strings.HasPrefix(part, "…") && width > 39 {
				t.Errorf("the moving line is %d wide: %q", width, part)
			}
		}
		shown = append(shown, parts[len(parts)-1])
	}
	want := []string{"before", "00:00:00.000 shop       phase     bite → observe", "00:00:00.000 shop       alert     it is gone", "after", ""}
	if strings.Join(shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("it shows\n%q\nnot\n%q", shown, want)
	}
	if moving := strings.Count(out.String(), "… killed, round 1 of 2: observe"); moving != 2 {
		t.Errorf("the moving line was drawn %d times in %q", moving, out.String())
	}
}

// TestTheMovingLineIsForTerminals: a file gets plain lines, whoever writes at the same time.
func TestTheMovingLineIsForTerminals(t *testing.T) {
	var out lockedBuffer
	v := newDrillView(&out)
	v.waiting("something")
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() { fmt.Fprintf(v, "line %d\n", i) })
	}
	writers.Wait()
	v.close()
	if text := out.String(); strings.ContainsAny(text, "\r\x1b…") || strings.Count(text, "\n") != 20 {
		t.Errorf("it wrote %q", text)
	}
}

// TestEveryPhaseSaysWhatItWaitsFor: a phase that somebody adds says so too.
func TestEveryPhaseSaysWhatItWaitsFor(t *testing.T) {
	for _, phase := range loop.Drills(&loop.Lab{World: &loop.World{Now: time.Now}}).Phases {
		if waitsFor[phase.Name] == "" && phase.Name != jenner.PhaseVerdict {
			t.Errorf("phase %s does not say what it waits for", phase.Name)
		}
	}
}

// TestADrillThatIsInterrupted: Ctrl-C takes the fault back and ends the drill for good, so that the next start does not go
// on with what nobody waits for.
func TestADrillThatIsInterrupted(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	file := filepath.Join(w.files(), "drills.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(drillFile, "control_for: 500ms", "control_for: 2m")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.startStock(t)
	c := &child{t: t, cmd: exec.Command(filepath.Join(w.files(), "jenner"), "drill", file, "--baseline", "1s", "--data", w.data)}
	c.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	await.True(t, "the fault is in: "+c.out.String(), func() bool { return strings.Contains(c.out.String(), "(control arm)") })
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait() // the exit code tells
	says(t, c.out.String(), c.cmd.ProcessState.ExitCode(), 1, "putting things in order", "abort", "jenner: interrupted")
	drills := w.records(t, loop.DrillLine)
	if len(drills) != 1 || !drills[0].Ended || !strings.Contains(string(drills[0].State), `"aborted":"interrupted"`) {
		t.Errorf("the drills are %+v", drills)
	}
}
