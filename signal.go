package jenner

import (
	"context"
	"time"
)

// Sample is one number of one series at one time.
type Sample struct {
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
	At     time.Time         `json:"at"`
}

// Answer is what a PromQL question gave. No samples is its own answer: never 'healthy', never a reason to act.
type Answer struct {
	Samples []Sample `json:"samples"`
}

// NoData tells that the question had no answer.
func (a Answer) NoData() bool { return len(a.Samples) == 0 }

// ProbeStatus is what a probe's last answers mean together.
type ProbeStatus string

// The statuses. Unknown means that it was not asked lately, or that asking itself failed; it is neither of the others.
const (
	ProbeUnknown ProbeStatus = "unknown"
	ProbePassing ProbeStatus = "passing"
	ProbeSlow    ProbeStatus = "slow" // it passes, but later than the probe's Slow
	ProbeFailing ProbeStatus = "failing"
)

// ProbeState is one probe's present state.
type ProbeState struct {
	Service  string        `json:"service"`
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	Target   TargetRef     `json:"target"` // for alive checks, the target asked about
	Status   ProbeStatus   `json:"status"` // after Fails of Of
	Since    time.Time     `json:"since"`  // when Status began
	At       time.Time     `json:"at"`     // when the last answer came; zero: never asked
	LastOK   bool          `json:"last_ok"`
	Streak   int           `json:"streak"` // how many last answers in a row were like the last one
	Duration time.Duration `json:"duration"`
	Message  string        `json:"message,omitempty"` // of the last answer that failed
	Every    time.Duration `json:"every"`
}

// Fresh tells whether the state is recent enough to be believed: asked within three of its periods.
func (p ProbeState) Fresh(now time.Time) bool {
	return !p.At.IsZero() && now.Sub(p.At) <= 3*p.Every+time.Second
}

// AliveProbe is the name of the probe that every process target has without being written: does the process live?
const AliveProbe = "alive"

// Telemetry is what the stages may ask about the world. Implementations are safe for concurrent use.
type Telemetry interface {
	// Query evaluates PromQL now. An error is 'could not ask', an Answer without samples is 'no data'.
	Query(ctx context.Context, promql string) (Answer, error)
	// Probe is the state of one probe; false where there is no such probe.
	Probe(service, name string) (ProbeState, bool)
	// Probes are the states of all probes of a service, by name.
	Probes(service string) []ProbeState
}
