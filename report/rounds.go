package report

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// Rounds tells the rounds of a drill apart by its timeline: each ends with its verdict. What was broken off before a
// verdict is no round.
func Rounds(drill jenner.Drill, timeline []jenner.Entry) []Round {
	var rounds []Round
	round := Round{Number: 1, StartedAt: drill.StartedAt}
	if len(timeline) > 0 {
		round.StartedAt = timeline[0].At // the drill's own start is that of its last round
	}
	for _, entry := range timeline {
		round.Timeline = append(round.Timeline, entry)
		round.take(entry)
		if entry.Kind == "verdict" {
			round.EndedAt = entry.At
			rounds = append(rounds, round)
			round = Round{Number: round.Number + 1, StartedAt: entry.At}
		}
	}
	return rounds
}

// take puts what an entry tells into its place.
func (r *Round) take(entry jenner.Entry) {
	inControl := entry.Phase == jenner.PhaseControl
	switch entry.Kind {
	case "inject":
		r.injected(entry, inControl)
	case "bite":
		r.BitAt, r.Witness = entry.At, entry.Text
	case "control":
		if arm := (jenner.ControlArm{}); len(entry.Data) > 0 && json.Unmarshal(entry.Data, &arm) == nil {
			r.arm().ControlArm = arm
		}
	case "undo":
		if inControl {
			r.arm().UndoneAt = entry.At
		} else {
			r.UndoneAt = entry.At
		}
	case "abort":
		r.Aborted = entry.Text
	case "verdict":
		_ = json.Unmarshal(entry.Data, &r.Result) // one that cannot be read is no verdict, and never the expected one
		if r.Result.Verdict == jenner.VerdictNoEffect {
			r.BitAt, r.Witness = time.Time{}, "" // what was written down is that nothing was seen
		}
	}
}

func (r *Round) injected(entry jenner.Entry, inControl bool) {
	at := entry.At
	var record jenner.FaultRecord
	if len(entry.Data) > 0 && json.Unmarshal(entry.Data, &record) == nil {
		at = record.InjectedAt
	}
	switch {
	case inControl && r.arm().InjectedAt.IsZero():
		r.arm().InjectedAt = at
	case inControl:
	default:
		if r.InjectedAt.IsZero() {
			r.InjectedAt = at
		}
		if record.ID != "" {
			r.Faults = append(r.Faults, record)
		}
	}
}

func (r *Round) arm() *ControlArm {
	if r.Control == nil {
		r.Control = &ControlArm{}
	}
	return r.Control
}

// MarkKind is what a mark on the charts stands for.
type MarkKind string

// The kinds of marks, in the order in which they come where all goes well.
const (
	MarkFault     MarkKind = "fault"
	MarkBite      MarkKind = "bite"
	MarkDetection MarkKind = "detection"
	MarkAction    MarkKind = "action"
	MarkRecovery  MarkKind = "recovery"
	MarkUndo      MarkKind = "undo"
)

// Mark is a moment that stands on every chart of a round.
type Mark struct {
	Kind MarkKind  `json:"kind"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`           // what it was, in a few words
	Name string    `json:"name,omitempty"` // what stands on the chart; Kind where empty
}

// Marks are what happened in the treatment arm, in the order of MarkKind; what did not happen has none.
func (r Round) Marks() []Mark {
	var marks []Mark
	add := func(kind MarkKind, at time.Time, text string) {
		if !at.IsZero() {
			marks = append(marks, Mark{Kind: kind, At: at, Text: text})
		}
	}
	after := func(ms int64) time.Time {
		if ms < 0 || r.InjectedAt.IsZero() {
			return time.Time{}
		}
		return r.InjectedAt.Add(time.Duration(ms) * time.Millisecond)
	}
	if len(r.Faults) > 0 {
		add(MarkFault, r.InjectedAt, faultsIn(r.Faults))
	}
	add(MarkBite, r.BitAt, r.Witness)
	add(MarkDetection, after(r.Result.DetectedMS), string(r.Result.Cause))
	add(MarkAction, after(r.Result.ActedMS), r.Result.Runbook)
	add(MarkRecovery, after(r.Result.RecoveredMS), "steady again for good")
	if len(r.Faults) > 0 {
		add(MarkUndo, r.UndoneAt, "what was left of the fault taken back")
	}
	return marks
}

func faultsIn(records []jenner.FaultRecord) string {
	var parts []string
	for _, record := range records {
		parts = append(parts, record.Fault+" on "+record.Target.Ref().String())
	}
	return strings.Join(parts, ", ")
}
