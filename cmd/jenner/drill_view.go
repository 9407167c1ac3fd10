package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
)

// drillView shows drills while they run: a line for everything that happens and, on a terminal, below these a line that
// keeps moving and says what is waited for. Whatever else writes to the same terminal writes through it, so that the two
// never mix. Its methods may be called concurrently.
type drillView struct {
	out   io.Writer
	width func() int // of the terminal; nil: plain lines only

	mu     sync.Mutex
	status string // what the moving line says, but for the time
	since  time.Time
	drawn  bool
	phases map[string]phaseSince // by drill
	stop   chan struct{}
	ended  chan struct{}
}

// phaseSince is where a drill stands, and since when.
type phaseSince struct {
	phase jenner.Phase
	at    time.Time
}

// waitsFor says in a few words what each phase of a drill waits for.
var waitsFor = map[jenner.Phase]string{
	jenner.PhasePreflight:   "until all is well, no incident is open and no other drill is on",
	jenner.PhaseBaseline:    "until the service has stayed steady for a moment",
	jenner.PhaseControl:     "whether it stays broken while nobody may help",
	jenner.PhaseInject:      "for the fault to be injected",
	jenner.PhaseBite:        "for a witness that the fault works",
	jenner.PhaseObserve:     "for Jenner to act",
	jenner.PhaseRecover:     "until the remediation is verified",
	jenner.PhaseUndo:        "for the fault to be taken back",
	jenner.PhaseProveUndone: "until all is as it was before",
	jenner.PhaseStay:        "whether the service stays steady",
}

// liveEvery is how often the moving line is drawn.
const liveEvery = 100 * time.Millisecond

// newDrillView draws the moving line where out is a terminal that can do it.
func newDrillView(out io.Writer) *drillView {
	v := &drillView{out: out, phases: map[string]phaseSince{}, stop: make(chan struct{}), ended: make(chan struct{})}
	file, _, _, ok := terminalOf(out)
	if !ok {
		close(v.ended)
		return v
	}
	v.width = func() int {
		size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return leastWidth
		}
		return int(size.Col)
	}
	go v.run()
	return v
}

func (v *drillView) run() {
	defer close(v.ended)
	ticker := time.NewTicker(liveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-ticker.C:
			v.mu.Lock()
			v.draw(time.Now())
			v.mu.Unlock()
		}
	}
}

// close takes the moving line away. The view may be written to afterwards.
func (v *drillView) close() {
	select {
	case <-v.stop:
		return
	default:
	}
	close(v.stop)
	<-v.ended
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = ""
	v.clear()
}

// Write writes above the moving line. The text should be whole lines.
func (v *drillView) Write(text []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clear()
	n, err := v.out.Write(text)
	if strings.HasSuffix(string(text), "\n") {
		v.draw(time.Now())
	}
	return n, err
}

// waiting says on the moving line what is waited for from now on.
func (v *drillView) waiting(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status, v.since = what, time.Now()
	v.draw(v.since)
}

func (v *drillView) clear() {
	if v.drawn {
		_, _ = io.WriteString(v.out, "\r\x1b[K")
		v.drawn = false
	}
}

func (v *drillView) draw(now time.Time) {
	if v.width == nil || v.status == "" {
		return
	}
	what, rest, _ := strings.Cut(v.status, "\t")
	line := fmt.Sprintf("… %s %.1f s", what, now.Sub(v.since).Seconds())
	if rest != "" {
		line += ", waits " + rest
	}
	// One column is left free: a line that fills the last one would wrap.
	_, _ = io.WriteString(v.out, "\r\x1b[K"+ansi.Truncate(line, v.width()-1, "…"))
	v.drawn = true
}

// entry prints what a commit tells, each thing once.
func (v *drillView) entry(change jenner.Change) {
	drill := change.Record.Line == loop.DrillLine
	for _, entry := range change.Timeline {
		text := entry.Text
		if entry.Kind == "phase" {
			if !drill {
				continue
			}
			text = v.phase(change.Record.ID, entry)
		}
		fmt.Fprintf(v, "%s %-10s %-9s %s\n", entry.At.Format("15:04:05.000"), change.Record.Subject, entry.Kind, text)
	}
	if !drill {
		return
	}
	var state jenner.Drill
	switch {
	case change.Record.Ended:
		v.waiting("")
	case json.Unmarshal(change.Record.State, &state) == nil:
		v.stands(state, change.Record.Phase)
	}
}

// phase is the line about a change of phase, with how long the last one took.
func (v *drillView) phase(id string, entry jenner.Entry) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	was, known := v.phases[id]
	_, to, _ := strings.Cut(entry.Text, "→ ")
	v.phases[id] = phaseSince{jenner.Phase(to), entry.At}
	if !known {
		return entry.Text
	}
	return fmt.Sprintf("%s (%s took %.2f s)", entry.Text, was.phase, entry.At.Sub(was.at).Seconds())
}

// stands moves the moving line where the phase is another one.
func (v *drillView) stands(drill jenner.Drill, phase jenner.Phase) {
	name := drill.Experiment.Name
	if drill.Stage < len(drill.Experiment.Stages) {
		name += "/" + drill.Experiment.Stages[drill.Stage].Name
	}
	if rounds := drill.Experiment.Repeat; rounds > 1 {
		name += fmt.Sprintf(", round %d of %d", drill.Round, rounds)
	}
	what := waitsFor[phase]
	if phase == jenner.PhaseControl && drill.Control != nil && drill.Control.Done {
		what = "until all is well again after the control arm"
	}
	status := fmt.Sprintf("%s: %s\t%s", name, phase, what)
	v.mu.Lock()
	same := v.status == status
	if _, known := v.phases[drill.ID]; !known {
		v.phases[drill.ID] = phaseSince{phase, drill.StartedAt}
	}
	v.mu.Unlock()
	if !same {
		v.waiting(status)
	}
}
