// Package report writes what drills and game days showed, for people and for machines: a page that needs nothing but
// itself, JUnit XML, and JSON.
//
// It is for form: data in, bytes out. It is not for asking, judging or counting anything that is not in the data: where
// the numbers come from is for its callers to say.
package report

import (
	"encoding/json"
	"time"

	"github.com/jenner-heal/jenner"
)

// Report is what one call of `jenner drill` showed.
type Report struct {
	At      time.Time `json:"at"`      // when it was written
	Version string    `json:"version"` // of jenner
	Drills  []Drill   `json:"drills"`
}

// Drill is one experiment's execution with all its rounds.
type Drill struct {
	ID         string            `json:"id"`
	Experiment jenner.Experiment `json:"experiment"`
	Expected   jenner.Verdict    `json:"expected"`
	StartedAt  time.Time         `json:"started_at"`
	EndedAt    time.Time         `json:"ended_at"`
	Rounds     []Round           `json:"rounds"`
	Overall    jenner.Overall    `json:"overall,omitzero"`   // of all rounds together; zero where it was broken off
	Versions   map[string]string `json:"versions,omitempty"` // hashes of the documents when it began
	// State is the drill as it is kept, with whatever the above does not have.
	State json.RawMessage `json:"state,omitempty"`
}

// AsExpected tells whether there were rounds, and all of them came out as expected.
func (d Drill) AsExpected() bool {
	for _, round := range d.Rounds {
		if round.Result.Verdict != d.Expected {
			return false
		}
	}
	return len(d.Rounds) > 0
}

// Round is one round of a drill. A time that is zero is one at which nothing happened.
type Round struct {
	Number     int                  `json:"number"` // from 1 on
	Result     jenner.DrillResult   `json:"result"`
	StartedAt  time.Time            `json:"started_at"`
	InjectedAt time.Time            `json:"injected_at,omitzero"` // of the treatment arm
	BitAt      time.Time            `json:"bit_at,omitzero"`
	UndoneAt   time.Time            `json:"undone_at,omitzero"`
	EndedAt    time.Time            `json:"ended_at"`
	Witness    string               `json:"witness,omitempty"`
	Aborted    string               `json:"aborted,omitempty"`
	Faults     []jenner.FaultRecord `json:"faults,omitempty"` // of the treatment arm
	Control    *ControlArm          `json:"control,omitempty"`
	Timeline   []jenner.Entry       `json:"timeline,omitempty"` // of the drill
	Incidents  []Incident           `json:"incidents,omitempty"`
	Panels     []Panel              `json:"panels,omitempty"`
}

// ControlArm is what happened while nobody was allowed to help, and when.
type ControlArm struct {
	jenner.ControlArm
	InjectedAt time.Time `json:"injected_at,omitzero"`
	UndoneAt   time.Time `json:"undone_at,omitzero"`
}

// Incident is an incident that was opened during a round, about the services that its fault may reach.
type Incident struct {
	Incident jenner.Incident `json:"incident"`
	Phase    jenner.Phase    `json:"phase"`
	Timeline []jenner.Entry  `json:"timeline,omitempty"`
}

// Decisions are all decisions with what every guard said, as the timeline has them.
func (i Incident) Decisions() []jenner.Decision {
	var all []jenner.Decision
	for _, entry := range i.Timeline {
		var decision jenner.Decision
		if entry.Kind == jenner.EntryDecision && json.Unmarshal(entry.Data, &decision) == nil {
			all = append(all, decision)
		}
	}
	return all
}

// Panel is one number over time, or several of the same unit.
type Panel struct {
	Title  string   `json:"title"`
	Unit   string   `json:"unit,omitempty"` // `s` for seconds, which are shown as it suits them
	Series []Series `json:"series"`
	Failed []Span   `json:"failed,omitempty"` // when a probe failed
	Below  *float64 `json:"below,omitempty"`  // it is well while the number is at most this
	Above  *float64 `json:"above,omitempty"`  // it is well while the number is at least this
}

// Series is the course of one number.
type Series struct {
	Name   string  `json:"name,omitempty"`
	Points []Point `json:"points"` // in order of time
}

// Point is one value.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Span is a stretch of time.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// JSON is all of it.
func (r Report) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(r, "", "  ")
	return append(raw, '\n'), err
}
