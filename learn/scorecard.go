package learn

import (
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// Scorecard is how people did in a game day, fault by fault.
type Scorecard struct {
	Faults []FaultScore  `json:"faults"`
	Astray []jenner.Word `json:"astray,omitempty"` // words about a service that nothing was wrong with
	Met    bool          `json:"met"`              // every goal, with every fault that was injected
}

// FaultScore is how people did with one fault. Durations count from the injection; -1 where it did not happen.
type FaultScore struct {
	jenner.GamedayStrike
	Held           time.Duration `json:"held"`  // how long it held; -1: it was never injected
	Found          bool          `json:"found"` // somebody named its service or target, or acknowledged or resolved it while it held
	AcknowledgedMS int64         `json:"acknowledged_ms"`
	AcknowledgedBy string        `json:"acknowledged_by,omitempty"`
	ResolvedMS     int64         `json:"resolved_ms"`
	ResolvedBy     string        `json:"resolved_by,omitempty"`
	TooEarly       bool          `json:"too_early,omitempty"` // it still held when somebody said that it was over
	WellMS         int64         `json:"well_ms"`             // its service was well again
	Missed         []string      `json:"missed,omitempty"`    // goals
	Jenner         JennerScore   `json:"jenner"`
}

// JennerScore is what Jenner noticed and did about the service of a fault.
type JennerScore struct {
	Incident   string       `json:"incident,omitempty"`
	DetectedMS int64        `json:"detected_ms"`
	Cause      jenner.Cause `json:"cause,omitempty"`
	ActedMS    int64        `json:"acted_ms"`
	Runbook    string       `json:"runbook,omitempty"`
	Phase      jenner.Phase `json:"phase,omitempty"`
}

// GamedayIncident is an incident with where it stands.
type GamedayIncident struct {
	jenner.Incident
	Phase jenner.Phase
}

// Score counts how people did. What somebody acknowledges or resolves is, where a service is named, the oldest fault on that
// service which nobody acknowledged or resolved before; where none is named, the oldest of all that hold, and of those that
// do not any more the newest. Who resolves has acknowledged. A fault's incident is the first about its service that was
// opened while it held.
//
// It is a pure function and may be called concurrently.
func Score(run jenner.GamedayRun, incidents []GamedayIncident) Scorecard {
	card := Scorecard{Faults: []FaultScore{}, Met: true}
	for _, strike := range run.Struck {
		one := FaultScore{GamedayStrike: strike, Held: -1, AcknowledgedMS: -1, ResolvedMS: -1, WellMS: -1,
			Jenner: JennerScore{DetectedMS: -1, ActedMS: -1}}
		if !strike.InjectedAt.IsZero() {
			one.Held = held(run, strike)
			one.WellMS = millis(strike.InjectedAt, strike.WellAt)
		}
		card.Faults = append(card.Faults, one)
	}
	words := slices.Clone(run.Words)
	slices.SortStableFunc(words, func(a, b jenner.Word) int { return a.At.Compare(b.At) })
	for _, word := range words {
		card.take(word)
	}
	for i := range card.Faults {
		card.Faults[i].goals(run.Gameday.Goals)
		card.Faults[i].jenner(incidents)
		card.Met = card.Met && len(card.Faults[i].Missed) == 0
	}
	return card
}

// Unresolved is how many of the faults that were injected nobody said to be over.
func (c Scorecard) Unresolved() int {
	count := 0
	for _, fault := range c.Faults {
		if !fault.InjectedAt.IsZero() && fault.ResolvedMS < 0 {
			count++
		}
	}
	return count
}

// Found is how many of the faults that were injected were found, and how many there were.
func (c Scorecard) Found() (found, injected int) {
	for _, fault := range c.Faults {
		if !fault.InjectedAt.IsZero() {
			injected++
		}
		if fault.Found {
			found++
		}
	}
	return found, injected
}

func held(run jenner.GamedayRun, strike jenner.GamedayStrike) time.Duration {
	switch end := strike.EndedAt(); {
	case !end.IsZero():
		return end.Sub(strike.InjectedAt)
	case !run.EndedAt.IsZero():
		return run.EndedAt.Sub(strike.InjectedAt)
	}
	return 0
}

func millis(from, to time.Time) int64 {
	if from.IsZero() || to.IsZero() {
		return -1
	}
	return max(0, to.Sub(from).Milliseconds())
}

// take gives a word to the fault that it is about.
func (c *Scorecard) take(word jenner.Word) {
	if word.Kind != jenner.WordComment {
		resolves := word.Kind == jenner.WordResolve
		at := c.about(word, resolves)
		if at < 0 {
			if word.Service != "" {
				c.Astray = append(c.Astray, word)
			}
			return
		}
		c.Faults[at].hear(word, resolves)
		return
	}
	for i := range c.Faults {
		fault := &c.Faults[i]
		if !fault.InjectedAt.IsZero() && !word.At.Before(fault.InjectedAt) && word.Names(fault.Service, fault.Target) {
			fault.Found = true
		}
	}
}

// about is the index of the fault that a word is about; -1 where there is none.
func (c *Scorecard) about(word jenner.Word, resolves bool) int {
	ended := -1
	for i, fault := range c.Faults {
		done := fault.AcknowledgedMS >= 0
		if resolves {
			done = fault.ResolvedMS >= 0
		}
		if fault.InjectedAt.IsZero() || word.At.Before(fault.InjectedAt) || done || word.Service != "" && !word.Names(fault.Service, fault.Target) {
			continue
		}
		if end := fault.EndedAt(); end.IsZero() || word.At.Before(end) || word.Service != "" {
			return i
		}
		ended = i
	}
	return ended
}

func (f *FaultScore) hear(word jenner.Word, resolves bool) {
	f.Found = true
	if f.AcknowledgedMS < 0 {
		f.AcknowledgedMS, f.AcknowledgedBy = millis(f.InjectedAt, word.At), word.Person
	}
	if resolves {
		f.ResolvedMS, f.ResolvedBy = millis(f.InjectedAt, word.At), word.Person
		end := f.EndedAt()
		f.TooEarly = end.IsZero() || word.At.Before(end)
	}
}

// goals says which goals were missed.
func (f *FaultScore) goals(goals jenner.GamedayGoals) {
	if f.InjectedAt.IsZero() {
		return
	}
	check := func(what string, ms int64, within jenner.Duration) {
		switch {
		case within == 0:
		case ms < 0:
			f.Missed = append(f.Missed, "nobody "+what+" it")
		case ms > within.Std().Milliseconds():
			f.Missed = append(f.Missed, what+" after "+jenner.Duration(ms*int64(time.Millisecond)).String()+", within "+within.String()+" was the goal")
		}
	}
	check("acknowledged", f.AcknowledgedMS, goals.AcknowledgeWithin)
	check("resolved", f.ResolvedMS, goals.ResolveWithin)
}

// jenner is what Jenner itself noticed and did.
func (f *FaultScore) jenner(incidents []GamedayIncident) {
	if f.InjectedAt.IsZero() {
		return
	}
	for _, incident := range incidents {
		if incident.OpenedAt.Before(f.InjectedAt) || incident.OpenedAt.After(f.InjectedAt.Add(f.Held)) || incident.SymptomOf != "" {
			continue
		}
		if incident.Service != f.Service && incident.Diagnosis.Root != f.Service {
			continue
		}
		cause, _ := incident.Diagnosis.Best()
		f.Jenner = JennerScore{Incident: incident.ID, DetectedMS: millis(f.InjectedAt, incident.OpenedAt), Cause: cause.Cause,
			ActedMS: millis(f.InjectedAt, incident.ActedAt), Phase: incident.Phase}
		if run := incident.Run(); run != nil {
			f.Jenner.Runbook = run.Runbook.Name
		}
		return
	}
}
