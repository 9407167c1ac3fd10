package jenner

import (
	"slices"
	"strings"
	"time"
)

// Cause is a name for why: crashed, hung, slow-dependency, connection-pool-exhaustion.
type Cause string

// NeverAutomatic tells whether only people handle the cause, whatever a policy says: data corruption, a security incident,
// a cascade that nobody understands, and transactions in flight, where a machine's quick repair destroys what is needed,
// evidence or data. Spelling does not help around it: DATA_CORRUPTION is data-corruption.
func (c Cause) NeverAutomatic() bool {
	plain := strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(string(c))))
	return slices.Contains(NeverAutomatic, plain)
}

// NeverAutomatic are the causes that are never left to a machine.
var NeverAutomatic = []string{"data-corruption", "security-incident", "unknown-cascade", "transactions-in-flight"}

// Signature is the pattern of evidence by which a cause is known.
type Signature struct {
	Name        string            `json:"name"` // unique among signatures
	Description string            `json:"description,omitempty"`
	Cause       Cause             `json:"cause"`             // what it is a pattern of; policies are written for causes
	Services    Selector          `json:"services,omitzero"` // the services it may be about; all where not said
	Evidence    []EvidencePattern `json:"evidence"`          // what is looked for, with weights
	Source      Source            `json:"-"`
}

// EvidencePattern is one thing a signature looks for. Exactly one of the kinds is set. Weight is 1 where not said.
type EvidencePattern struct {
	Alert      string   `json:"alert,omitempty"`      // an alert of this name fires for the service
	PromQL     string   `json:"promql,omitempty"`     // the expression has an answer that is not zero
	Log        string   `json:"log,omitempty"`        // the pattern occurs
	Probe      string   `json:"probe,omitempty"`      // NAME, or SERVICE/NAME, is as Is says
	Is         string   `json:"is,omitempty"`         // failing, passing or slow
	Process    string   `json:"process,omitempty"`    // gone or alive
	Dependency string   `json:"dependency,omitempty"` // healthy (all), failing (one) or slow (one)
	Changed    string   `json:"changed,omitempty"`    // deploy, config, secret, scale or flag
	Within     Duration `json:"within,omitempty"`     // how long ago a change may have been; 15m where not said
	For        Duration `json:"for,omitempty"`        // a probe or a process is so for at least this long
	Event      string   `json:"event,omitempty"`      // a condition that the system calls so holds
	Weight     Number   `json:"weight,omitempty"`     // how much this piece counts; 1 where not said
}

// Finding says how one piece of evidence turned out.
type Finding string

// The findings. Missing is neither: the evidence could not be had.
const (
	Matched    Finding = "matched"
	NotMatched Finding = "not matched"
	Missing    Finding = "missing"
)

// Evidence is one pattern held against the world.
type Evidence struct {
	What    string  `json:"what"` // as written: `process: gone`
	Finding Finding `json:"finding"`
	Weight  float64 `json:"weight"`
	Saw     string  `json:"saw,omitempty"` // the number or state that was seen
}

// RankedCause is one possible cause with how sure it is.
type RankedCause struct {
	Cause      Cause      `json:"cause"`
	Signature  string     `json:"signature"` // or the runbook whose trigger it is
	Service    string     `json:"service"`   // the lowest failing service
	Target     TargetRef  `json:"target"`
	Confidence Confidence `json:"confidence"`
	Formula    string     `json:"formula"` // how Confidence came about, with the numbers
	Evidence   []Evidence `json:"evidence"`
}

// Diagnosis is what was found out about an incident.
type Diagnosis struct {
	At     time.Time     `json:"at"`
	Causes []RankedCause `json:"causes"` // the surest first; empty: unknown
	// Root is the lowest failing service; Path leads from the incident's service down to it.
	Root string   `json:"root"`
	Path []string `json:"path,omitempty"`
	// Unsure says why it is too early to tell, such as a dependency that was not looked at since the alert began.
	Unsure string `json:"unsure,omitempty"`
}

// Best is the surest cause; false where there is none.
func (d Diagnosis) Best() (RankedCause, bool) {
	if len(d.Causes) == 0 {
		return RankedCause{}, false
	}
	return d.Causes[0], true
}

// Selector picks services. Every field that is set must hold; the zero Selector picks all.
type Selector struct {
	Names       []string `json:"names,omitempty"`       // names of services
	Tier        []int    `json:"tier,omitempty"`        // their tiers
	Environment []string `json:"environment,omitempty"` // their environments
	Owner       []string `json:"owner,omitempty"`       // their owners
}

// Picks tells whether the selector picks the service.
func (s Selector) Picks(service Service) bool {
	return oneOf(s.Names, service.Name) && oneOf(s.Tier, service.Tier) &&
		oneOf(s.Environment, service.Environment) && oneOf(s.Owner, service.Owner)
}

func oneOf[T comparable](allowed []T, value T) bool {
	if len(allowed) == 0 {
		return true
	}
	for _, one := range allowed {
		if one == value {
			return true
		}
	}
	return false
}
