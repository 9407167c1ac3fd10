package jenner

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Gameday is a document: people practise on faults that come at set times, and most of them do not know which. Jenner
// injects the faults, takes them back, and writes down what people did and when.
type Gameday struct {
	Name        string         `json:"name"`                  // unique among game days
	Hypothesis  string         `json:"hypothesis,omitempty"`  // what is expected of people, in a sentence
	People      []string       `json:"people,omitempty"`      // who practises: names of accounts, or teams; anybody where not said
	Facilitator string         `json:"facilitator,omitempty"` // who leads it and may know everything
	At          string         `json:"at,omitempty"`          // when it begins: now, a time such as 14:00 or 2026-03-01 14:00; now where not said
	Lasts       Duration       `json:"lasts,omitempty"`       // it ends after this; a minute after the last fault where not said
	Faults      []GamedayFault `json:"faults"`                // what is broken, and when
	Goals       GamedayGoals   `json:"goals,omitzero"`        // what people are to reach
	Heal        bool           `json:"heal,omitempty"`        // Jenner may heal; where not, it watches and tells, and all action is held
	AbortIf     []string       `json:"abort_if,omitempty"`    // CEL: one that holds ends it and takes all faults back
	Lease       Duration       `json:"lease,omitempty"`       // a fault nobody renews ends after this; 10s where not said
	Source      Source         `json:"-"`
}

// GamedayFault is one thing that is broken: the faults of an experiment, or a fault on a target.
type GamedayFault struct {
	At         Duration `json:"at,omitempty"`         // how long after the beginning; at once where not said
	Experiment string   `json:"experiment,omitempty"` // its faults; either this or a fault
	Fault      string   `json:"fault,omitempty"`      // a verb (`kill`) or a full name (`process.kill`)
	Target     string   `json:"target,omitempty"`     // a service, or SERVICE/TARGET
	Params     Params   `json:"params,omitempty"`     // what the fault is told
	Secret     bool     `json:"secret,omitempty"`     // nobody is told what it is before the game day is over
	For        Duration `json:"for,omitempty"`        // it is taken back after this; until somebody removes it, or the end, where not said
}

// GamedayGoals are what people are to reach with each fault, counted from its injection.
type GamedayGoals struct {
	AcknowledgeWithin Duration `json:"acknowledge_within,omitempty"` // somebody says that it is theirs
	ResolveWithin     Duration `json:"resolve_within,omitempty"`     // somebody says that it is over
}

// gamedayTail is how long people have after the last fault where the game day does not say how long it lasts.
const gamedayTail = time.Minute

// Length is how long the game day goes on at most.
func (g Gameday) Length() time.Duration {
	if g.Lasts > 0 {
		return g.Lasts.Std()
	}
	var last time.Duration
	for _, fault := range g.Faults {
		last = max(last, fault.At.Std()+fault.For.Std())
	}
	return last + gamedayTail
}

// Begins is when it begins. A time of day without a date is today's, in now's time zone. What cannot be read is an error.
func (g Gameday) Begins(now time.Time) (time.Time, error) {
	if g.At == "" || g.At == "now" {
		return now, nil
	}
	if at, err := time.Parse(time.RFC3339, g.At); err == nil {
		return at, nil
	}
	for _, form := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(form, g.At, now.Location()); err == nil {
			return at, nil
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if at, err := time.Parse(form, g.At); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write now, 14:00, 2026-03-01 14:00, or with a zone 2026-03-01T14:00:00+01:00", g.At)
}

// GamedayRun is one run of a game day.
type GamedayRun struct {
	ID        string          `json:"id"`
	Gameday   Gameday         `json:"gameday"` // as it was when the run began
	StartedAt time.Time       `json:"started_at"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
	Aborted   string          `json:"aborted,omitempty"` // why, where it was broken off
	Struck    []GamedayStrike `json:"struck,omitempty"`  // what is broken, in the order of time
	Words     []Word          `json:"words,omitempty"`   // what people said, in the order in which they were written down
}

// GamedayStrike is one fault of a game day as it came about.
type GamedayStrike struct {
	ID         string    `json:"id"`    // of the fault in the undo journal
	Entry      int       `json:"entry"` // index into the game day's faults
	Fault      string    `json:"fault"` // the full name
	Service    string    `json:"service"`
	Target     TargetRef `json:"target"`
	Secret     bool      `json:"secret,omitempty"`
	DueAt      time.Time `json:"due_at"`
	InjectedAt time.Time `json:"injected_at,omitzero"` // zero: not yet, or never
	RemovedAt  time.Time `json:"removed_at,omitzero"`  // when it was seen that somebody had removed it
	UndoneAt   time.Time `json:"undone_at,omitzero"`   // when it was taken back, or proved to be gone
	SickAt     time.Time `json:"sick_at,omitzero"`     // when a probe or an alert of the service first told of trouble
	WellAt     time.Time `json:"well_at,omitzero"`     // since when all of them are well again
	Error      string    `json:"error,omitempty"`      // it could not be injected, or not be taken back
}

// EndedAt is when the fault did not hold any more; zero where it never did, or still does.
func (s GamedayStrike) EndedAt() time.Time {
	if !s.RemovedAt.IsZero() {
		return s.RemovedAt
	}
	return s.UndoneAt
}

// WordKind is what somebody says during a game day.
type WordKind string

// The kinds of words.
const (
	WordAck     WordKind = "ack"     // there is trouble, and it is mine
	WordComment WordKind = "comment" // for the timeline
	WordResolve WordKind = "resolve" // it is over
)

// Word is what one person said during a game day.
type Word struct {
	At      time.Time `json:"at"`
	Person  string    `json:"person"`
	Kind    WordKind  `json:"kind"`
	Service string    `json:"service,omitempty"` // that it is about, where it was said
	Text    string    `json:"text,omitempty"`
}

// Names tells whether the word is about that service or target: by its Service, or by naming one of them in its text.
func (w Word) Names(service string, target TargetRef) bool {
	if w.Service != "" {
		return w.Service == service || w.Service == target.Name || w.Service == service+"/"+target.Name
	}
	said := strings.FieldsFunc(strings.ToLower(w.Text), func(r rune) bool { return strings.ContainsRune(" \t\n.,;:!?()[]'\"", r) })
	return slices.Contains(said, strings.ToLower(service)) || slices.Contains(said, strings.ToLower(target.Name))
}
