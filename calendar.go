package jenner

import "time"

// Calendar is a document: a place that tells what is planned, as iCalendar (RFC 5545).
type Calendar struct {
	Name  string   `json:"name"`            // unique among calendars
	ICS   string   `json:"ics"`             // a file, relative to the file that names it, or an http or https URL
	Every Duration `json:"every,omitempty"` // how often it is read again; 5m where not said
	// Services are those that its events are about, where an event does not name services itself.
	Services Selector `json:"services,omitzero"`
	// Effect is what its events do where an event does not say so itself; approve where not said.
	Effect  PlannedEffect `json:"effect,omitempty"`
	LowerBy Share         `json:"lower_by,omitempty"` // with the effect lower: by how much; 20% where not said
	Dir     string        `json:"-"`                  // the folder that a relative path starts from
	Source  Source        `json:"-"`
}

// PlannedEffect is what a planned event does to decisions.
type PlannedEffect string

// The effects, from the mildest to the strictest.
const (
	PlannedLower   PlannedEffect = "lower"   // what is seen may be due to the event: confidence is lowered
	PlannedApprove PlannedEffect = "approve" // a person is asked
	PlannedFreeze  PlannedEffect = "freeze"  // nothing is done until it is over
)

// Planned is one event of a calendar, one of its repetitions where it recurs.
type Planned struct {
	Calendar string        `json:"calendar"`
	Summary  string        `json:"summary"`
	From     time.Time     `json:"from"`
	Until    time.Time     `json:"until"` // not included
	Services Selector      `json:"services,omitzero"`
	Effect   PlannedEffect `json:"effect"`
	LowerBy  float64       `json:"lower_by,omitempty"` // with the effect lower, within [0,1]
}

// Covers tells whether the event is on for a service at a time.
func (p Planned) Covers(service Service, at time.Time) bool {
	return !at.Before(p.From) && at.Before(p.Until) && p.Services.Picks(service)
}
