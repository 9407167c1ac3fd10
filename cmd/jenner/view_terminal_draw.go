package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"github.com/jenner-heal/jenner"
)

// palette are the styles of the view. Without colours (NO_COLOR) the words say the same.
type palette struct {
	moods  map[mood]ansi.Style
	strong ansi.Style
}

// colour is one of the 256, and what stands for it where there are only 16.
type colour struct {
	indexed ansi.IndexedColor
	basic   ansi.BasicColor
}

// moodColours can be read on a light background and on a dark one alike, so that the terminal need not be asked for its
// own: one that does not answer would hold up the demo.
var moodColours = map[mood]colour{
	bad:      {160, ansi.Red},
	thinking: {130, ansi.Yellow},
	doing:    {27, ansi.Cyan},
	good:     {28, ansi.Green},
}

// colourProfile is what the environment says of the terminal's colours. NO_COLOR counts whatever its value
// (no-color.org), and so does CLICOLOR=0 (bixense.com/clicolors).
func colourProfile() colorprofile.Profile {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("CLICOLOR") == "0" {
		return colorprofile.ASCII
	}
	return colorprofile.Env(os.Environ())
}

func paletteFor(profile colorprofile.Profile) palette {
	if profile < colorprofile.ANSI {
		return palette{}
	}
	p := palette{moods: map[mood]ansi.Style{quiet: ansi.NewStyle().Faint()}, strong: ansi.NewStyle().Bold()}
	for m, colour := range moodColours {
		if profile == colorprofile.ANSI {
			p.moods[m] = ansi.NewStyle().ForegroundColor(colour.basic)
		} else {
			p.moods[m] = ansi.NewStyle().ForegroundColor(colour.indexed)
		}
	}
	return p
}

func (p palette) paint(m mood, text string) string { return p.moods[m].Styled(text) }

// View is the frame, drawn below the prompt. The cursor rests at its end, so that an echoed ^C spoils nothing.
func (m terminalModel) View() tea.View {
	frame := m.frame()
	view := tea.NewView(frame)
	view.DisableBracketedPasteMode = true
	view.Cursor = tea.NewCursor(0, strings.Count(frame, "\n"))
	return view
}

// frame has at most as many lines as the terminal, none wider than it is. The last line is empty. A closed view is
// empty.
func (m terminalModel) frame() string {
	if m.closed {
		return ""
	}
	lines := []string{m.header(), m.activity(), ""}
	lines = append(lines, m.list()...)
	lines = append(lines, "")
	room := m.height - 1 - len(lines)
	for _, line := range m.timeline[max(0, len(m.timeline)-max(0, room)):] {
		lines = append(lines, m.timelineLine(line))
	}
	lines = lines[:min(len(lines), max(0, m.height-1))]
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	return strings.Join(append(lines, ""), "\n")
}

// header is the line with the clock, the progress and the number of the drill.
func (m terminalModel) header() string {
	const width = 24
	full := int(m.progress()*width + 0.5)
	bar := m.colours.paint(good, strings.Repeat("█", full)) + m.colours.paint(quiet, strings.Repeat("░", width-full))
	return fmt.Sprintf(" %s  %s  %s  %s", m.colours.strong.Styled("jenner demo"), m.clock(), bar, m.count())
}

// clock is the time since the start in minutes and seconds.
func (m terminalModel) clock() string {
	elapsed := m.now.Sub(m.start)
	return fmt.Sprintf("%d:%02d", int(elapsed.Minutes()), int(elapsed.Seconds())%60)
}

func (m terminalModel) count() string {
	begun, ended := 0, 0
	for _, drill := range m.drills {
		if drill.begun() {
			begun++
		}
		if drill.ended() {
			ended++
		}
	}
	switch {
	case begun == 0:
		return "before the first drill"
	case ended == len(m.drills):
		return fmt.Sprintf("%d of %d drills done", ended, ended)
	}
	return fmt.Sprintf("drill %d of %d", begun, len(m.drills))
}

// activity is the line that says what goes on.
func (m terminalModel) activity() string {
	return " " + m.colours.paint(doing, m.spinner()) + " " + m.headline
}

func (m terminalModel) spinner() string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(frames[int(max(0, m.now.Sub(m.start))/blink)%len(frames)])
}

// numbersWidth are the columns of the three times in the list of drills.
const numbersWidth = 32

// list is the table of the drills. On a narrow terminal it goes without the times.
func (m terminalModel) list() []string {
	name := 0
	for _, drill := range m.drills {
		name = max(name, ansi.StringWidth(drill.name))
	}
	name = min(name, m.width/3)
	state := m.width - 3 - name - 2
	times := state-numbersWidth >= 28
	if times {
		state = min(state-numbersWidth, 44)
	}
	head := "   " + pad("DRILL", name) + "  " + pad("STATE", state)
	if times {
		head += fmt.Sprintf("%10s%10s%12s", "DETECTED", "ACTED", "RECOVERED")
	}
	lines := []string{m.colours.paint(quiet, head)}
	for _, drill := range m.drills {
		line := m.mark(drill) + pad(drill.name, name) + "  " + m.state(drill, state)
		if times && drill.ended() {
			result := drill.drill.Result
			line += fmt.Sprintf("%10s%10s%12s", seconds(result.DetectedMS), seconds(result.ActedMS), seconds(result.RecoveredMS))
		}
		lines = append(lines, line)
	}
	return lines
}

func (m terminalModel) mark(drill shownDrill) string {
	switch {
	case !drill.begun():
		return m.colours.paint(quiet, " · ")
	case !drill.ended():
		return m.colours.paint(doing, " "+m.spinner()+" ")
	case drill.good():
		return m.colours.paint(good, " ✓ ")
	}
	return m.colours.paint(bad, " ✗ ")
}

// state says in words how far a drill is, or how it ended.
func (m terminalModel) state(drill shownDrill, width int) string {
	if !drill.begun() {
		return m.colours.paint(quiet, pad("waiting", width))
	}
	if drill.ended() {
		verdict := string(drill.drill.Result.Verdict)
		if drill.good() {
			return m.colours.paint(good, pad(verdict, width))
		}
		return m.colours.paint(bad, pad(fmt.Sprintf("%s, not %s", verdict, drill.drill.Experiment.ExpectedVerdict()), width))
	}
	words := phaseWords(drill)
	if lasted := m.now.Sub(drill.since); lasted >= time.Second {
		words += fmt.Sprintf(" %d s", int(lasted.Seconds()))
	}
	return pad(words, width)
}

// phaseWords say what a drill does in its phase, in at most 23 columns, for the seconds follow.
func phaseWords(d shownDrill) string {
	drill := d.drill
	switch d.phase {
	case jenner.PhasePreflight:
		return "is all well?"
	case jenner.PhaseBaseline:
		return "is it steady?"
	case jenner.PhaseControl:
		switch {
		case drill.Control != nil && drill.Control.Done:
			return "control arm: settling"
		case len(drill.Faults) == 0:
			return "control arm: injecting"
		}
		return "control arm: no help"
	case jenner.PhaseInject:
		return "injecting the fault"
	case jenner.PhaseBite:
		return "injected; does it bite?"
	case jenner.PhaseObserve:
		if len(drill.Experiment.Faults) == 0 {
			return "nothing is broken"
		}
		return "broken; watching Jenner"
	case jenner.PhaseRecover:
		return "acted; recovering"
	case jenner.PhaseUndo:
		return "undoing the fault"
	case jenner.PhaseProveUndone:
		return "undone; all as before?"
	case jenner.PhaseStay:
		return "does it stay steady?"
	}
	return string(d.phase) // a phase added later
}

// timelineLine is one line of the timeline, cut to the terminal's width.
func (m terminalModel) timelineLine(line shownLine) string {
	return m.colours.paint(line.mood, ansi.Truncate(m.lineHead(line)+line.text, m.width, "…"))
}

// lineHead is what stands before the text of a line: when, about whom, and what kind of event.
func (m terminalModel) lineHead(line shownLine) string {
	return fmt.Sprintf("%6.1f  %s %s ", line.at.Sub(m.start).Seconds(), pad(line.who, 10), pad(line.kind, 9))
}

// history is what stays on the terminal: the whole timeline, nothing cut, and the header.
func (m terminalModel) history() string {
	var all strings.Builder
	for _, line := range m.timeline {
		head := m.lineHead(line)
		indent := ansi.StringWidth(head)
		for i, part := range strings.Split(ansi.Wrap(line.text, max(20, m.width-indent), " /"), "\n") {
			if i > 0 {
				head = strings.Repeat(" ", indent)
			}
			all.WriteString(m.colours.paint(line.mood, head+part) + "\n")
		}
	}
	all.WriteString("\n" + m.header() + "\n\n")
	return all.String()
}

// pad makes text exactly that wide.
func pad(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}
