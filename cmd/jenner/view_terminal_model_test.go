package main

import (
	"math"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

var demoStart = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return demoStart.Add(time.Duration(seconds * float64(time.Second)))
}

// shown is a model that was told the messages, one after the other.
func shown(t *testing.T, m terminalModel, msgs ...tea.Msg) terminalModel {
	t.Helper()
	for _, msg := range msgs {
		next, _ := m.Update(msg)
		m = next.(terminalModel)
	}
	return m
}

func modelOf(width, height int, drills ...string) terminalModel {
	return newTerminalModel(paletteFor(colorprofile.ASCII), drills, demoStart).sized(width, height)
}

var killed = jenner.Experiment{Name: "checkout-killed", Hypothesis: "when checkout is killed, it is started again within 5 s",
	Service: "checkout", Faults: []jenner.FaultSpec{{Fault: "kill", Target: "checkout"}}}

var idle = jenner.Experiment{Name: "nothing-broken", Hypothesis: "while nothing is broken, nothing is done",
	Service: "gateway", ExpectVerdict: jenner.VerdictNotNeeded}

func drillIn(experiment jenner.Experiment, phase jenner.Phase, seconds float64) drillMsg {
	drill := jenner.Drill{ID: "d-1", Experiment: experiment}
	if len(experiment.Faults) > 0 && phase != jenner.PhasePreflight && phase != jenner.PhaseBaseline {
		drill.Faults = []jenner.FaultRecord{{Fault: "process.kill"}}
	}
	return drillMsg{at: after(seconds), phase: phase, drill: drill}
}

func drillEnded(experiment jenner.Experiment, seconds float64, result jenner.DrillResult) drillMsg {
	return drillMsg{at: after(seconds), phase: jenner.PhaseVerdict, drill: jenner.Drill{Experiment: experiment, Result: result}}
}

func told(seconds float64, service, kind, text string, data any) entryMsg {
	entry := jenner.Entry{At: after(seconds), Kind: kind, Text: text}
	if data != nil {
		entry.Data = jenner.Raw(data)
	}
	return entryMsg{jenner.Change{Record: jenner.Record{Subject: service}, Timeline: []jenner.Entry{entry}}}
}

var proven = jenner.DrillResult{Experiment: killed.Name, Verdict: jenner.VerdictProven, DetectedMS: 310, ActedMS: 350, RecoveredMS: 1920}

// wantView compares a frame, line by line; the blanks at the ends of lines do not count.
func wantView(t *testing.T, m terminalModel, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.SplitSeq(ansi.Strip(m.frame()), "\n") {
		got = append(got, strings.TrimRight(line, " "))
	}
	if diff := cmp.Diff(append(want, ""), got); diff != "" {
		t.Errorf("the view is not as it should be (-want +got):\n%s", diff)
	}
}

func TestTerminalViewBeforeTheFirstDrill(t *testing.T) {
	m := shown(t, modelOf(80, 24, "checkout-killed", "nothing-broken"),
		stageMsg{after(0.1), "starting ledger"}, stageMsg{after(1.3), "learning for 5s what steady means"}, tickMsg(after(2)))
	wantView(t, m,
		" jenner demo  0:02  ░░░░░░░░░░░░░░░░░░░░░░░░  before the first drill",
		" ⠋ learning for 5s what steady means",
		"",
		"   DRILL            STATE                         DETECTED     ACTED   RECOVERED",
		" · checkout-killed  waiting",
		" · nothing-broken   waiting",
		"",
		"   0.1  demo                 starting ledger",
		"   1.3  demo                 learning for 5s what steady means")
}

func TestTerminalViewInTheMidstOfADrill(t *testing.T) {
	m := shown(t, modelOf(80, 24, "checkout-killed", "nothing-broken"),
		drillIn(killed, jenner.PhasePreflight, 8), drillIn(killed, jenner.PhaseControl, 9), drillIn(killed, jenner.PhaseObserve, 14),
		told(14.3, "checkout", "alert", "process-gone on checkout: the process of checkout does not live: pid 11395 is gone", nil),
		told(14.1, "checkout", "inject", "process.kill on process/checkout (treatment arm)", nil),
		told(14.4, "checkout", "phase", "detected → diagnosed", nil),
		drillIn(killed, jenner.PhaseObserve, 15), tickMsg(after(65.2)))
	wantView(t, m,
		" jenner demo  1:05  ███████░░░░░░░░░░░░░░░░░  drill 1 of 2",
		" ⠹ when checkout is killed, it is started again within 5 s",
		"",
		"   DRILL            STATE                         DETECTED     ACTED   RECOVERED",
		" ⠹ checkout-killed  broken; watching Jenner 51 s",
		" · nothing-broken   waiting",
		"",
		"  14.1  checkout   inject    process.kill on process/checkout (treatment arm)",
		"  14.3  checkout   alert     process-gone on checkout: the process of checkout …")
}

func TestTerminalViewTellsABadEndFromAGoodOne(t *testing.T) {
	acted := jenner.DrillResult{Experiment: idle.Name, Verdict: jenner.VerdictHarmful, DetectedMS: 100, ActedMS: -1, RecoveredMS: -1}
	m := shown(t, modelOf(80, 24, "checkout-killed", "nothing-broken"),
		drillEnded(killed, 20, proven), drillEnded(idle, 40, acted), tickMsg(after(40)))
	wantView(t, m,
		" jenner demo  0:40  ████████████████████████  2 of 2 drills done",
		" ⠋ while nothing is broken, nothing is done",
		"",
		"   DRILL            STATE                         DETECTED     ACTED   RECOVERED",
		" ✓ checkout-killed  PROVEN                           0.31s     0.35s       1.92s",
		" ✗ nothing-broken   HARMFUL, not NOT_NEEDED          0.10s         -           -",
		"")
}

func TestTerminalViewKeepsTheNewestLinesOnASmallTerminal(t *testing.T) {
	m := modelOf(50, 9, "checkout-killed")
	for i := range 30 {
		m = shown(t, m, told(float64(i), "checkout", "wait", strings.Repeat("word ", 9), nil))
	}
	wantView(t, m,
		" jenner demo  0:00  ░░░░░░░░░░░░░░░░░░░░░░░░  bef…",
		" ⠋ starting",
		"",
		"   DRILL            STATE",
		" · checkout-killed  waiting",
		"",
		"  28.0  checkout   wait      word word word word …",
		"  29.0  checkout   wait      word word word word …")
}

func TestEveryPhaseHasWordsThatFit(t *testing.T) {
	for _, phase := range phasesInOrder[:len(phasesInOrder)-1] {
		words := phaseWords(shownDrill{phase: phase, drill: drillIn(killed, phase, 0).drill})
		if words == string(phase) || len(words) > 23 {
			t.Errorf("phase %s is shown as %q; it wants words of at most 23 columns", phase, words)
		}
	}
}

func TestTheFrameAlwaysFitsTheTerminal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		width, height := rapid.IntRange(1, 160).Draw(rt, "width"), rapid.IntRange(1, 50).Draw(rt, "height")
		m := modelOf(200, 60, demoDrills()...)
		text := rapid.OneOf(rapid.String(), rapid.Just("\x1b[2J\x1b]0;title\a\nübel \t 龍龍龍"))
		for range rapid.IntRange(0, 60).Draw(rt, "events") {
			m = shown(t, m, rapid.SampledFrom([]tea.Msg{
				stageMsg{after(1), text.Draw(rt, "stage")},
				told(2, text.Draw(rt, "service"), "check", text.Draw(rt, "text"), nil),
				drillIn(killed, rapid.SampledFrom(phasesInOrder).Draw(rt, "phase"), 3),
			}).Draw(rt, "event"))
		}
		m = shown(t, m, tea.WindowSizeMsg{Width: width, Height: height})
		lines := strings.Split(m.frame(), "\n")
		if len(lines) > height {
			rt.Fatalf("%d lines on a terminal of %d", len(lines), height)
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\x1b\r\t\a") || ansi.StringWidth(line) > width {
				rt.Fatalf("%q moves the cursor, or is wider than %d", line, width)
			}
		}
		if lines[len(lines)-1] != "" {
			rt.Fatalf("the last line is %q; it must be empty", lines[len(lines)-1])
		}
		if cursor := m.View().Cursor; cursor == nil || cursor.X != 0 || cursor.Y != len(lines)-1 {
			rt.Fatalf("the cursor is at %+v; it must rest on the last line, %d", cursor, len(lines)-1)
		}
	})
}

func TestAShrunkTerminalIsClearedAndAGrownOneNot(t *testing.T) {
	m := modelOf(100, 30)
	for _, tc := range []struct {
		width, height int
		clears        bool
	}{{100, 30, false}, {99, 30, true}, {100, 29, true}, {140, 40, false}} {
		if _, cmd := m.Update(tea.WindowSizeMsg{Width: tc.width, Height: tc.height}); (cmd != nil) != tc.clears {
			t.Errorf("from 100x30 to %dx%d: cleared is %v, want %v", tc.width, tc.height, cmd != nil, tc.clears)
		}
	}
}

func TestMoods(t *testing.T) {
	check := func(outcome jenner.CheckOutcome) any { return jenner.Verification{Outcome: outcome} }
	step := func(status jenner.StepStatus) any { return jenner.StepRecord{Status: status} }
	drill := jenner.Raw(jenner.Drill{Experiment: killed})
	for _, tc := range []struct {
		kind   string
		data   any
		record jenner.Record
		want   mood
	}{
		{"alert", nil, jenner.Record{}, bad},
		{"decision", nil, jenner.Record{}, thinking},
		{"control", nil, jenner.Record{}, quiet},
		{"check", check(jenner.Passed), jenner.Record{}, good},
		{"check", check(jenner.Failed), jenner.Record{}, bad},
		{"check", check(jenner.Inconclusive), jenner.Record{}, thinking},
		{"step", step(jenner.StepPassed), jenner.Record{}, doing},
		{"step", step(jenner.StepFailed), jenner.Record{}, bad},
		{"undo", step(jenner.StepUndone), jenner.Record{}, doing},
		{"end", nil, jenner.Record{Phase: jenner.PhaseResolved}, good},
		{"end", nil, jenner.Record{Phase: jenner.PhaseEscalated}, bad},
		{"end", nil, jenner.Record{Phase: jenner.PhaseSuppressed}, quiet},
		{"verdict", proven, jenner.Record{State: drill}, good},
		{"verdict", jenner.DrillResult{Verdict: jenner.VerdictHarmful}, jenner.Record{State: drill}, bad},
		{"of a later version", nil, jenner.Record{}, neutral},
	} {
		entry := jenner.Entry{Kind: tc.kind}
		if tc.data != nil {
			entry.Data = jenner.Raw(tc.data)
		}
		if got := moodOf(entry, tc.record); got != tc.want {
			t.Errorf("%s with %s in %s: mood %d, want %d", tc.kind, entry.Data, tc.record.Phase, got, tc.want)
		}
	}
}

func TestColoursAreThereAndCanBeSwitchedOff(t *testing.T) {
	for _, tc := range []struct {
		name, term, noColor, clicolor string
		want                          string // how the frame's line about an alert is to begin
	}{
		{"256 colours", "xterm-256color", "", "", "\x1b[38;5;160m"},
		{"16 colours", "linux", "", "", "\x1b[31m"},
		{"NO_COLOR", "xterm-256color", "yes please", "", "   1.0"},
		{"CLICOLOR=0", "xterm-256color", "", "0", "   1.0"},
		{"a dumb terminal", "dumb", "", "", "   1.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("TERM", tc.term)
			t.Setenv("NO_COLOR", tc.noColor)
			t.Setenv("CLICOLOR", tc.clicolor)
			for _, other := range []string{"CLICOLOR_FORCE", "COLORTERM", "WT_SESSION", "GOOGLE_CLOUD_SHELL"} {
				t.Setenv(other, "")
			}
			m := newTerminalModel(paletteFor(colourProfile()), nil, demoStart).sized(80, 24)
			frame := shown(t, m, told(1, "checkout", "alert", "process-gone on checkout", nil)).frame()
			lines := strings.Split(frame, "\n")
			if alert := lines[len(lines)-2]; !strings.HasPrefix(alert, tc.want) {
				t.Errorf("the alert is drawn as %q; it is to begin with %q", alert, tc.want)
			}
			if strings.HasPrefix(tc.want, " ") && ansi.Strip(frame) != frame {
				t.Errorf("there are control sequences in %q", frame)
			}
		})
	}
}

// The contrast is that of WCAG 2.2: (L1+0.05)/(L2+0.05), with the relative luminance L of white 1 and of black 0.
func TestColoursCanBeReadOnLightAndOnDark(t *testing.T) {
	linear := func(channel uint32) float64 {
		c := float64(channel) / 0xffff
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	for mood, colour := range moodColours {
		r, g, b, _ := colour.indexed.RGBA()
		luminance := 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
		if white, black := 1.05/(luminance+0.05), (luminance+0.05)/0.05; min(white, black) < 3.8 {
			t.Errorf("mood %d: colour %d has contrast %.1f on white and %.1f on black, want 3.8 on both",
				mood, colour.indexed, white, black)
		}
	}
}

func TestHistoryCutsNothingAndIndents(t *testing.T) {
	m := shown(t, modelOf(60, 24, killed.Name),
		told(1, "checkout", "alert", "the process of checkout does not live: pid 11395 is gone", nil), closeMsg{after(71)})
	if m.frame() != "" {
		t.Errorf("a closed view still shows %q", m.frame())
	}
	var got []string
	for line := range strings.SplitSeq(m.history(), "\n") {
		got = append(got, strings.TrimRight(line, " "))
	}
	want := []string{
		"   1.0  checkout   alert     the process of checkout does",
		"                             not live: pid 11395 is gone",
		"",
		" jenner demo  1:11  ░░░░░░░░░░░░░░░░░░░░░░░░  before the first drill", "", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the history is not as it should be (-want +got):\n%s", diff)
	}
}

func TestTheDemosDrillsAreKnownBeforehand(t *testing.T) {
	want := []string{"checkout-killed", "inventory-hung", "partner-slow", "ledger-down", "nothing-broken"}
	if diff := cmp.Diff(want, demoDrills()); diff != "" {
		t.Errorf("the drills are others than the demo's (-want +got):\n%s", diff)
	}
}
