package jenner

import "time"

// DecisionOutcome is what was decided.
type DecisionOutcome string

// The outcomes, from the boldest to the shyest.
const (
	DecideAct       DecisionOutcome = "act"
	DecideAsk       DecisionOutcome = "ask"
	DecideRecommend DecisionOutcome = "recommend"
	DecideWait      DecisionOutcome = "wait" // refused now; ask again at RetryAt
	DecideRefuse    DecisionOutcome = "refuse"
)

// Shyness orders outcomes: the decision is the shyest that any guard asks for.
func (o DecisionOutcome) Shyness() int {
	for shyness, outcome := range []DecisionOutcome{DecideAct, DecideAsk, DecideRecommend, DecideWait, DecideRefuse} {
		if o == outcome {
			return shyness
		}
	}
	return int(^uint(0) >> 1) // an outcome that nobody knows stops everything
}

// GuardResult is what one guard said, with the numbers it saw.
type GuardResult struct {
	Guard   string            `json:"guard"`
	Outcome DecisionOutcome   `json:"outcome"`
	Reason  string            `json:"reason"`
	Numbers map[string]string `json:"numbers,omitempty"`
	RetryAt time.Time         `json:"retry_at,omitzero"` // with DecideWait
}

// Decision is what may be done now, and why.
type Decision struct {
	At      time.Time       `json:"at"`
	Outcome DecisionOutcome `json:"outcome"`
	Policy  string          `json:"policy"`
	Runbook string          `json:"runbook"`
	Service string          `json:"service"`
	Target  TargetRef       `json:"target"`
	Guards  []GuardResult   `json:"guards"` // every guard, in order, also those that agreed
	RetryAt time.Time       `json:"retry_at,omitzero"`
}

// Stopper is the first guard that asked for the decision's outcome; the zero result where all agreed to act.
func (d Decision) Stopper() GuardResult {
	for _, guard := range d.Guards {
		if d.Outcome != DecideAct && guard.Outcome == d.Outcome {
			return guard
		}
	}
	return GuardResult{}
}

// LedgerKind says who took something away.
type LedgerKind string

// The kinds of ledger entries.
const (
	LedgerAction LedgerKind = "action" // a remediation
	LedgerFault  LedgerKind = "fault"  // chaos
	LedgerHealth LedgerKind = "health" // verified healthy, which starts the attempts anew after a while
	LedgerTouch  LedgerKind = "touch"  // a further target of a remediation: it holds it, and counts as no attempt
	LedgerDrill  LedgerKind = "drill"  // what a drill is about, kept from other drills: it takes nothing away
)

// LedgerEntry is one thing done to a target. The ledger is what the guards count in; remediation and chaos share it.
type LedgerEntry struct {
	ID      string     `json:"id"`
	Kind    LedgerKind `json:"kind"`
	At      time.Time  `json:"at"`
	Until   time.Time  `json:"until,omitzero"` // when it gave the target back; a time to come while it still holds it
	By      string     `json:"by"`             // incident or drill
	Service string     `json:"service"`
	Target  TargetRef  `json:"target"`
	Policy  string     `json:"policy,omitempty"`
	Runbook string     `json:"runbook,omitempty"`
	Cost    float64    `json:"cost,omitempty"` // what the run costs, as its steps say
	Cause   Cause      `json:"cause,omitempty"`
	Result  string     `json:"result,omitempty"` // passed, failed, inconclusive; empty while it runs
}

// Hold forbids new actions: the kill switch (scope "all") or one service for a while.
type Hold struct {
	Scope  string    `json:"scope"` // "all", or a service's name
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody takes it away
}

// HoldAll is the scope of the kill switch.
const HoldAll = "all"

// Covers tells whether the hold forbids acting on the service at that time.
func (h Hold) Covers(service string, now time.Time) bool {
	return (h.Scope == HoldAll || h.Scope == service) && (h.Until.IsZero() || now.Before(h.Until))
}
