package jenner

import "slices"

// Mode is how far a policy may go by itself.
type Mode string

// The modes, from the shyest to the boldest.
const (
	ModeShadow    Mode = "shadow"    // decide, write down, do nothing
	ModeRecommend Mode = "recommend" // tell a human what it would do
	ModeApprove   Mode = "approve"   // ask, then act
	ModeAuto      Mode = "auto"      // act
)

// Boldness orders modes, from 0 on; one that nobody knows is the shyest.
func (m Mode) Boldness() int { return max(0, slices.Index(Modes, m)) }

// Modes are all modes, from the shyest to the boldest.
var Modes = []Mode{ModeShadow, ModeRecommend, ModeApprove, ModeAuto}

// Policy says what may be done for a cause on some services.
type Policy struct {
	Name         string   `json:"name,omitempty"` // the incident type where not said
	Description  string   `json:"description,omitempty"`
	IncidentType Cause    `json:"incident_type"`      // the cause that it is for
	Services     Selector `json:"services,omitzero"`  // the services that it is for; all where not said
	Runbooks     []string `json:"runbooks,omitempty"` // least disruptive first
	Mode         Mode     `json:"mode,omitempty"`     // recommend where not said
	// Modes are those for single environments, such as production; where a service's environment is not among them,
	// Mode holds.
	Modes map[string]Mode `json:"modes,omitempty"`
	// Automation is whether a machine may do it at all. Some causes are never left to one, whatever is written here.
	Automation Automation `json:"automation,omitempty"` // safe, human or never; safe where not said
	// Promotion lets the mode be earned: it begins low, rises on proof, falls by itself, and never rises above what Mode says.
	Promotion           *Promotion  `json:"promotion,omitempty"`
	Approval            *Approval   `json:"approval,omitempty"`              // who may agree where a person is asked
	DetectionSignal     string      `json:"detection_signal,omitempty"`      // an alert or probe that must be among the evidence
	AutoExecute         *bool       `json:"auto_execute,omitempty"`          // true: mode auto, false: recommend
	ConfidenceThreshold Confidence  `json:"confidence_threshold,omitempty"`  // how sure the diagnosis must be; 0.9 where not said
	MaxAttempts         int         `json:"max_attempts,omitempty"`          // runs for one cause on one target before a human is called; 2 where not said
	AttemptsResetAfter  Duration    `json:"attempts_reset_after,omitempty"`  // of verified health
	CooldownAfterAction Duration    `json:"cooldown_after_action,omitempty"` // how long a target rests from a runbook; 5m where not said
	VerificationWindow  Duration    `json:"verification_window,omitempty"`   // the most that verifying may take
	StableFor           Duration    `json:"stable_for,omitempty"`            // checks must pass for this long
	RollbackIfFailed    bool        `json:"rollback_if_failed,omitempty"`    // take back what did not help
	RequiresProof       Duration    `json:"requires_proof,omitempty"`        // act only while a PROVEN drill is younger than this; otherwise ask
	BlastRadius         BlastRadius `json:"blast_radius,omitempty"`          // how much all steps together may touch
	MinHealthy          *Limit      `json:"min_healthy,omitempty"`           // how many targets of the service must stay well
	MaxConcurrent       int         `json:"max_concurrent,omitempty"`        // runs of this policy at the same time; no limit of its own where not said
	CircuitBreaker      *Breaker    `json:"circuit_breaker,omitempty"`       // stops a runbook that fails again and again, on whatever service
	Recurrence          *Recurrence `json:"recurrence,omitempty"`            // stops a fix that helps each time and never for long
	ErrorBudget         *BudgetRule `json:"error_budget,omitempty"`          // how much of an SLO's error budget must be left
	CostBudget          *CostBudget `json:"cost_budget,omitempty"`           // how much the policy's runs may cost
	AlertExpiresAfter   Duration    `json:"alert_expires_after,omitempty"`   // 10m where not said
	EscalationChannel   string      `json:"escalation_channel,omitempty"`    // whom to tell, besides the terminal and the file
	Source              Source      `json:"-"`
}

// EffectiveMode is Mode, or what AutoExecute says, or recommend.
func (p Policy) EffectiveMode() Mode {
	switch {
	case p.Mode != "":
		return p.Mode
	case p.AutoExecute != nil && *p.AutoExecute:
		return ModeAuto
	}
	return ModeRecommend
}

// ModeFor is the mode for a service's environment: the one in Modes, or EffectiveMode.
func (p Policy) ModeFor(environment string) Mode {
	if mode, said := p.Modes[environment]; said {
		return mode
	}
	return p.EffectiveMode()
}

// Automation says whether a machine may do something at all.
type Automation string

// The tiers of automation, from the boldest to the shyest.
const (
	AutomationSafe  Automation = "safe"  // a machine may do it by itself
	AutomationHuman Automation = "human" // a person approves each time
	AutomationNever Automation = "never" // a machine never does it
)

// Breaker is when a circuit breaker opens and how it closes again. It counts the runs of one runbook on all services.
type Breaker struct {
	Failures int      `json:"failures,omitempty"` // so many failed runs in a row open it; 3 where not said
	Window   Duration `json:"window,omitempty"`   // within this time; 1h where not said
	OpenFor  Duration `json:"open_for,omitempty"` // then one run is let through as a trial; 15m where not said
}

// Recurrence is when a fix counts as one that does not last: the same cause on the same target was treated so many times
// within the window, and each time verified. 5 times in 24h where not said.
type Recurrence struct {
	Times  int      `json:"times,omitempty"`  // 5 where not said
	Window Duration `json:"window,omitempty"` // 24h where not said
}

// BudgetRule says how bold automation may be by how much of an SLO's error budget is left: 1 is untouched, 0 is used up,
// below 0 is overdrawn. Where the budget cannot be measured, a person is asked.
type BudgetRule struct {
	SLO            string `json:"slo"`                       // of the service
	AskBelow       Share  `json:"ask_below,omitempty"`       // with less than this left a person is asked
	RecommendBelow Share  `json:"recommend_below,omitempty"` // with less than this left it only says what it would do
}

// CostBudget limits what the policy's runs cost together within a window, in whatever unit people count in.
type CostBudget struct {
	Max    Number   `json:"max"`
	Window Duration `json:"window,omitempty"` // 24h where not said
}
