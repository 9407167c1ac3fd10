package jenner

import "time"

// Promotion says what it takes for a policy to rise on the ladder shadow, recommend, approve, auto, service by service.
// Only evidence about the runbook as it stands now counts, so that a changed runbook begins anew.
type Promotion struct {
	Start Mode `json:"start,omitempty"` // the rung to begin on, and to fall to after harm; shadow where not said
	// Decisions is how many scored decisions the present rung needs before the next one; 20 where not said.
	Decisions int `json:"decisions,omitempty"`
	// Success is the least that the lower bound of the 95 % Wilson interval of the share of right decisions may be; 80%
	// where not said.
	Success Share `json:"success,omitempty"`
	// Proven is how many PROVEN drills auto needs; 3 where not said.
	Proven int `json:"proven,omitempty"`
	// ProofAge is how old the newest of them may be; 30d where not said. With an older one auto falls to approve.
	ProofAge Duration `json:"proof_age,omitempty"`
}

// Rightness is what became clear about a decision afterwards.
type Rightness string

// The scores of a decision. Unknown decisions count neither way.
const (
	RightDecision   Rightness = "right"
	WrongDecision   Rightness = "wrong"
	UnknownDecision Rightness = "unknown"
)

// Judgement is one decision held against what people did, or what happened.
type Judgement struct {
	At       time.Time       `json:"at"`
	Incident string          `json:"incident"`
	Policy   string          `json:"policy"`
	Service  string          `json:"service"` // the one that was or would have been acted on
	Runbook  string          `json:"runbook"`
	Version  string          `json:"version"` // hash of the runbook that was decided about
	Mode     Mode            `json:"mode"`    // the rung on which it was decided
	Outcome  DecisionOutcome `json:"outcome"` // what was decided
	Right    Rightness       `json:"right"`
	// Failed tells that it was done and the verification failed, which costs a rung.
	Failed bool   `json:"failed,omitempty"`
	Why    string `json:"why"`
}

// Standing is where a policy stands on the ladder for one service.
type Standing struct {
	Policy  string    `json:"policy"`
	Service string    `json:"service"`
	Runbook string    `json:"runbook"`
	Level   Mode      `json:"level"`          // the rung it has earned, at most Ceiling
	Ceiling Mode      `json:"ceiling"`        // what the files allow at most
	Since   time.Time `json:"since,omitzero"` // since when it stands there; zero: since the beginning
	Next    Mode      `json:"next,omitempty"` // the next rung; empty at the ceiling
	Missing []string  `json:"missing,omitempty"`
	// The evidence on this rung.
	Right       int       `json:"right"`
	Wrong       int       `json:"wrong"`
	Unknown     int       `json:"unknown"`
	Bound       float64   `json:"bound"` // the lower bound of the share of right ones, within [0,1]
	Proven      int       `json:"proven"`
	LastProven  time.Time `json:"last_proven,omitzero"`
	LastChange  string    `json:"last_change,omitempty"` // why it rose or fell last
	FromHistory bool      `json:"earned"`                // false: the policy has no promotion, so the files alone say it
}
