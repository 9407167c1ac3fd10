package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/examples/shop"
)

// blink is how often the clock and the spinner move.
const blink = 100 * time.Millisecond

// What the terminal view is told. All times are the caller's: the model asks no clock.
type (
	stageMsg struct {
		at   time.Time
		text string
	}
	drillMsg struct {
		at    time.Time
		drill jenner.Drill
		phase jenner.Phase
	}
	entryMsg struct{ change jenner.Change }
	tickMsg  time.Time
	closeMsg struct{ at time.Time }
)

// terminalModel is all that the terminal view shows. It is a value: Update returns the next one.
type terminalModel struct {
	colours       palette
	width, height int
	start, now    time.Time
	headline      string // what goes on, in one sentence
	drills        []shownDrill
	timeline      []shownLine
	closed        bool
}

// shownDrill is one row of the list of drills.
type shownDrill struct {
	name  string
	phase jenner.Phase // empty: it has not begun
	since time.Time    // when the phase began
	drill jenner.Drill
}

func (d shownDrill) begun() bool { return d.phase != "" }
func (d shownDrill) ended() bool { return d.phase == jenner.PhaseVerdict }

// good tells whether a drill that has ended came out as it should.
func (d shownDrill) good() bool {
	return d.drill.Result.Verdict == d.drill.Experiment.ExpectedVerdict()
}

// shownLine is one line of the timeline.
type shownLine struct {
	at              time.Time
	who, kind, text string
	mood            mood
}

func newTerminalModel(colours palette, drills []string, start time.Time) terminalModel {
	m := terminalModel{colours: colours, start: start, now: start, headline: "starting"}
	for _, name := range drills {
		m.drills = append(m.drills, shownDrill{name: name})
	}
	return m
}

// demoDrills are the names of the drills that the demo is going to run, in its order.
func demoDrills() []string {
	var names []string
	files, _ := fs.Glob(shop.Files, "jenner/*.yaml") // the pattern is a good one
	for _, file := range files {
		raw, err := shop.Files.ReadFile(file)
		if err != nil {
			continue // the demo itself reads the file too, and says what is wrong with it
		}
		decoder := yaml.NewDecoder(bytes.NewReader(raw))
		for {
			var document struct{ Kind, Name string }
			if decoder.Decode(&document) != nil {
				break
			}
			if document.Kind == "experiment" {
				names = append(names, document.Name)
			}
		}
	}
	return names
}

// sized is the model on a terminal of that size.
func (m terminalModel) sized(width, height int) terminalModel {
	m.width, m.height = width, height
	return m
}

// Init starts the clock.
func (m terminalModel) Init() tea.Cmd { return tick() }

func tick() tea.Cmd {
	return tea.Tick(blink, func(now time.Time) tea.Msg { return tickMsg(now) })
}

// Update takes one message in.
func (m terminalModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tickMsg:
		m.now = time.Time(msg)
		return m, tick()
	case tea.WindowSizeMsg:
		shrunk := msg.Width < m.width || msg.Height < m.height
		m = m.sized(msg.Width, msg.Height)
		if shrunk { // the terminal has broken the lines of the old frame, so nobody knows where it began
			return m, tea.Sequence(tea.Raw(ansi.EraseEntireScreen+ansi.CursorHomePosition), tea.ClearScreen)
		}
	case stageMsg:
		m.headline = clean(msg.text)
		m = m.withLine(shownLine{at: msg.at, who: "demo", text: m.headline, mood: quiet})
	case drillMsg:
		m = m.withDrill(msg)
	case entryMsg:
		m = m.withEntries(msg.change)
	case closeMsg:
		m.closed, m.now = true, msg.at
		return m, tea.Quit
	}
	return m, nil
}

func (m terminalModel) withDrill(msg drillMsg) terminalModel {
	m.drills = slices.Clone(m.drills)
	name := msg.drill.Experiment.Name
	i := slices.IndexFunc(m.drills, func(d shownDrill) bool { return d.name == name })
	if i < 0 {
		i = len(m.drills)
		m.drills = append(m.drills, shownDrill{name: name})
	}
	row := &m.drills[i]
	if !row.begun() {
		m.headline = clean(msg.drill.Experiment.Hypothesis)
	}
	if row.phase != msg.phase {
		row.phase, row.since = msg.phase, msg.at
	}
	row.drill = msg.drill
	return m
}

func (m terminalModel) withEntries(change jenner.Change) terminalModel {
	for _, entry := range change.Timeline {
		if entry.Kind == "phase" || entry.Kind == "drill" {
			continue // the list of drills shows both
		}
		m = m.withLine(shownLine{at: entry.At, who: clean(change.Record.Subject), kind: clean(entry.Kind),
			text: clean(entry.Text), mood: moodOf(entry, change.Record)})
	}
	return m
}

// withLine puts a line where its time belongs: what happened first may be told last, as an alert that is there before
// the injection that caused it is committed.
func (m terminalModel) withLine(line shownLine) terminalModel {
	at := len(m.timeline)
	for at > 0 && m.timeline[at-1].at.After(line.at) {
		at--
	}
	if at < len(m.timeline) {
		m.timeline = slices.Clone(m.timeline) // an earlier model may still hold it
	}
	m.timeline = slices.Insert(m.timeline, at, line)
	return m
}

// progress is the share of the work that is done, in [0,1]. Every drill counts the same, and so does each of its phases.
func (m terminalModel) progress() float64 {
	if len(m.drills) == 0 {
		return 0
	}
	done := 0.0
	for _, drill := range m.drills {
		done += float64(max(0, slices.Index(phasesInOrder, drill.phase))) / float64(len(phasesInOrder)-1)
	}
	return done / float64(len(m.drills))
}

// phasesInOrder are those of the demo's drills, which have no stages.
var phasesInOrder = []jenner.Phase{jenner.PhasePreflight, jenner.PhaseBaseline, jenner.PhaseControl, jenner.PhaseInject,
	jenner.PhaseBite, jenner.PhaseObserve, jenner.PhaseRecover, jenner.PhaseUndo, jenner.PhaseProveUndone, jenner.PhaseVerdict}

// mood says how a line of the timeline is coloured.
type mood int

const (
	neutral mood = iota
	quiet        // of no weight
	bad
	thinking // Jenner makes up its mind
	doing    // Jenner changes something
	good
)

var moods = map[string]mood{
	"alert": bad, "abort": bad, "error": bad, "page": bad,
	"diagnosis": thinking, "decision": thinking, "plan": thinking,
	"run": doing, "step": doing, "undo": doing, "mitigated": doing,
	"check": good, "verdict": good, "end": good,
	"control": quiet, "bite": quiet, "observe": quiet, "wait": quiet,
}

// moodOf is the mood of the entry's kind, unless what it tells turned out otherwise: a failed check is not green.
func moodOf(entry jenner.Entry, record jenner.Record) mood {
	switch entry.Kind {
	case "verdict":
		var drill jenner.Drill
		if json.Unmarshal(record.State, &drill) != nil || json.Unmarshal(entry.Data, &drill.Result) != nil {
			return neutral
		}
		if !(shownDrill{drill: drill}).good() {
			return bad
		}
	case "check", "step", "undo":
		var told struct {
			Outcome jenner.CheckOutcome `json:"outcome"` // of a check
			Status  jenner.StepStatus   `json:"status"`  // of a step
		}
		if len(entry.Data) > 0 && json.Unmarshal(entry.Data, &told) != nil {
			return neutral
		}
		switch {
		case told.Outcome == jenner.Failed, told.Status == jenner.StepFailed:
			return bad
		case told.Outcome == jenner.Inconclusive, told.Status == jenner.StepKept:
			return thinking
		}
	case "end":
		switch record.Phase {
		case jenner.PhaseEscalated:
			return bad
		case jenner.PhaseSuppressed:
			return quiet
		}
	}
	return moods[entry.Kind]
}

// clean makes one line without control characters: a service's own words must not move the cursor.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, ansi.Strip(text))
}
