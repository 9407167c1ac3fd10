package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// Gameday is what one game day showed.
type Gameday struct {
	At        time.Time         `json:"at"`      // when it was written
	Version   string            `json:"version"` // of jenner
	Run       jenner.GamedayRun `json:"run"`
	Card      learn.Scorecard   `json:"scorecard"`
	Timeline  []jenner.Entry    `json:"timeline"` // in the order of time
	Incidents []Incident        `json:"incidents,omitempty"`
	Panels    []Panel           `json:"panels,omitempty"`
}

// NewGameday puts together what a game day showed. Before it is over it tells nothing of secret faults.
func NewGameday(run jenner.GamedayRun, timeline []jenner.Entry, incidents []Incident) Gameday {
	var opened []learn.GamedayIncident
	for _, incident := range incidents {
		opened = append(opened, learn.GamedayIncident{Incident: incident.Incident, Phase: incident.Phase})
	}
	if run.EndedAt.IsZero() {
		run = masked(run)
	}
	timeline = slices.Clone(timeline)
	slices.SortStableFunc(timeline, func(a, b jenner.Entry) int { return a.At.Compare(b.At) })
	day := Gameday{Run: run, Timeline: timeline, Incidents: incidents, Card: learn.Scorecard{Faults: []learn.FaultScore{}}}
	if !run.EndedAt.IsZero() { // before, the score itself would tell what is broken
		day.Card = learn.Score(run, opened)
	}
	return day
}

// masked is a game day without what is not to be known yet: which faults there are, and when.
func masked(run jenner.GamedayRun) jenner.GamedayRun {
	run.Struck = slices.DeleteFunc(slices.Clone(run.Struck), func(strike jenner.GamedayStrike) bool { return strike.Secret })
	run.Gameday.Faults = slices.DeleteFunc(slices.Clone(run.Gameday.Faults), func(fault jenner.GamedayFault) bool { return fault.Secret })
	return run
}

// JSON is all of it.
func (g Gameday) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(g, "", "  ")
	return append(raw, '\n'), err
}

// HTML is the game day as one page that needs nothing but itself.
func (g Gameday) HTML() ([]byte, error) { return render("gameday", g) }

// Text is the scorecard and the timeline for a terminal.
func (g Gameday) Text() string {
	var out strings.Builder
	g.head(&out)
	for i, fault := range g.Card.Faults {
		fmt.Fprintf(&out, "\nFault %d: %s on %s of %s%s\n", i+1, fault.Fault, fault.Target, fault.Service, secretly(fault.Secret))
		for _, line := range linesAbout(fault) {
			fmt.Fprintf(&out, "  %-13s %s\n", line[0], line[1])
		}
	}
	for _, word := range g.Card.Astray {
		fmt.Fprintf(&out, "\n%s said %q about %s, where nothing was broken\n", word.Person, word.Kind, word.Service)
	}
	fmt.Fprintf(&out, "\nTimeline\n")
	for _, entry := range g.Timeline {
		fmt.Fprintf(&out, "  %s  %-9s %-8s %s\n", entry.At.Local().Format(time.TimeOnly), offset(entry.At.Sub(g.Run.StartedAt)), entry.Kind, entry.Text)
	}
	return out.String()
}

func (g Gameday) head(out *strings.Builder) {
	day := g.Run.Gameday
	fmt.Fprintf(out, "Game day %s (%s)", day.Name, g.Run.ID)
	if g.Run.EndedAt.IsZero() {
		fmt.Fprintf(out, " is on since %s\n", g.Run.StartedAt.Local().Format(time.DateTime))
	} else {
		fmt.Fprintf(out, ", %s, %s\n", g.Run.StartedAt.Local().Format(time.DateTime), lasting(g.Run.EndedAt.Sub(g.Run.StartedAt)))
	}
	for _, strike := range g.Run.Struck {
		if g.Run.EndedAt.IsZero() && !strike.InjectedAt.IsZero() && strike.EndedAt().IsZero() {
			fmt.Fprintf(out, "%s on %s of %s is on since %s\n", strike.Fault, strike.Target, strike.Service, strike.InjectedAt.Local().Format(time.TimeOnly))
		}
	}
	if day.Hypothesis != "" {
		fmt.Fprintf(out, "%s\n", day.Hypothesis)
	}
	if g.Run.Aborted != "" {
		fmt.Fprintf(out, "BROKEN OFF: %s\n", g.Run.Aborted)
	}
	if !g.Run.EndedAt.IsZero() {
		found, injected := g.Card.Found()
		fmt.Fprintf(out, "%d of %d faults were found; %s\n", found, injected, g.Verdict())
	}
}

// Verdict is the whole in a few words.
func (g Gameday) Verdict() string {
	goals := g.Run.Gameday.Goals
	switch {
	case goals == (jenner.GamedayGoals{}):
		return "no goal was set"
	case g.Card.Met:
		return "every goal was met"
	}
	missed := 0
	for _, fault := range g.Card.Faults {
		missed += len(fault.Missed)
	}
	return fmt.Sprintf("%d goals were missed", missed)
}

func secretly(secret bool) string {
	if secret {
		return ", which was a secret"
	}
	return ""
}

// linesAbout are what is told of one fault: a word and what it says.
func linesAbout(fault learn.FaultScore) [][2]string {
	if fault.InjectedAt.IsZero() {
		if fault.Error == "" {
			return [][2]string{{"not injected", "the game day was over before"}}
		}
		return [][2]string{{"not injected", fault.Error}}
	}
	how := "until the end"
	switch {
	case !fault.RemovedAt.IsZero():
		how = "then somebody removed it"
	case !fault.UndoneAt.IsZero():
		how = "then it was taken back"
	}
	lines := [][2]string{{"held", lasting(fault.Held) + ", " + how}, {"acknowledged", saidBy(fault.AcknowledgedMS, fault.AcknowledgedBy)},
		{"resolved", saidBy(fault.ResolvedMS, fault.ResolvedBy)}}
	if fault.TooEarly {
		lines[2][1] += ", while it still held"
	}
	well := "never sick, as far as the probes and alerts tell"
	switch {
	case fault.WellMS >= 0:
		well = "again after " + after(fault.WellMS)
	case !fault.SickAt.IsZero():
		well = "not again"
	}
	lines = append(lines, [2]string{"well", well}, [2]string{"Jenner", byJenner(fault.Jenner)})
	if !fault.Found {
		lines = append(lines, [2]string{"NOT FOUND", "nobody named it, acknowledged it or resolved it"})
	}
	for _, missed := range fault.Missed {
		lines = append(lines, [2]string{"GOAL MISSED", missed})
	}
	if fault.Error != "" {
		lines = append(lines, [2]string{"ERROR", fault.Error})
	}
	return lines
}

func saidBy(ms int64, person string) string {
	if ms < 0 {
		return "by nobody"
	}
	return "after " + after(ms) + " by " + person
}

func byJenner(score learn.JennerScore) string {
	switch {
	case score.Incident == "":
		return "opened no incident about it"
	case score.ActedMS < 0:
		return fmt.Sprintf("noticed it after %s (%s, %s) and did nothing", after(score.DetectedMS), score.Incident, causeIn(score))
	}
	return fmt.Sprintf("noticed it after %s (%s, %s) and ran %s after %s: %s", after(score.DetectedMS), score.Incident, causeIn(score), score.Runbook,
		after(score.ActedMS), score.Phase)
}

func causeIn(score learn.JennerScore) string {
	if score.Cause == "" {
		return "cause not known"
	}
	return string(score.Cause)
}

// figure shows the numbers of the services with what was broken and what people said.
func (g Gameday) figure() figure {
	var marks []Mark
	for i, fault := range g.Card.Faults {
		name := fmt.Sprintf("fault %d", i+1)
		if !fault.InjectedAt.IsZero() {
			marks = append(marks, Mark{Kind: MarkFault, At: fault.InjectedAt, Text: fault.Fault + " on " + fault.Target.String(), Name: name})
		}
		if end := fault.EndedAt(); !end.IsZero() {
			marks = append(marks, Mark{Kind: MarkUndo, At: end, Text: "does not hold any more", Name: name + " gone"})
		}
	}
	kinds := map[jenner.WordKind]MarkKind{jenner.WordAck: MarkAction, jenner.WordResolve: MarkRecovery}
	for _, word := range g.Run.Words {
		if kind, shown := kinds[word.Kind]; shown {
			marks = append(marks, Mark{Kind: kind, At: word.At, Text: word.Text, Name: string(word.Kind) + " by " + word.Person})
		}
	}
	slices.SortStableFunc(marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	end := g.Run.EndedAt
	return figure{title: "the numbers of the services during the game day", from: g.Run.StartedAt, to: end.Add(end.Sub(g.Run.StartedAt) / 50),
		zero: g.Run.StartedAt, zeroName: "the beginning", marks: marks, panels: g.Panels}
}
