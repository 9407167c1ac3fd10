package jenner

import "encoding/json"

// Runbook is a list of guarded steps.
type Runbook struct {
	Name        string   `json:"name"` // unique among runbooks
	Description string   `json:"description,omitempty"`
	Trigger     *Trigger `json:"trigger,omitempty"` // lets it start without a signature
	Steps       []Step   `json:"steps"`             // done one after the other
	// RevertWhen makes the runbook a mitigation: once this CEL condition holds, what the run changed is undone.
	RevertWhen string `json:"revert_when,omitempty"`
	// RevertAfter is how long the mitigation may stay before a human is told; 24h where not said.
	RevertAfter Duration `json:"revert_after,omitempty"`
	Source      Source   `json:"-"`
}

// Trigger lets a runbook start without a signature: the alert is the evidence and the runbook's name the cause.
type Trigger struct {
	Alert      string     `json:"alert"`                // the name of an alert, or PromQL in which 90% means 0.9
	For        Duration   `json:"for,omitempty"`        // for how long the alert must hold
	Confidence Confidence `json:"confidence,omitempty"` // medium where not said
}

// Step is one action with its limits.
type Step struct {
	Name        string      `json:"name"`                   // unique within the runbook; conditions refer to it
	Action      string      `json:"action"`                 // a verb (`restart`) or a full name (`process.restart`)
	Target      string      `json:"target,omitempty"`       // NAME or SERVICE/NAME; the diagnosed target where not said
	Params      Params      `json:"params,omitempty"`       // what the action is told
	Condition   string      `json:"condition,omitempty"`    // CEL; the step is passed over where it is false
	BlastRadius BlastRadius `json:"blast_radius,omitempty"` // how much the step may touch: max_UNIT and a share, a count, or both
	Timeout     Duration    `json:"timeout,omitempty"`      // 1m where not said
	Retry       *Retry      `json:"retry,omitempty"`        // tried again where it failed for a passing reason
	Undo        *UndoStep   `json:"undo,omitempty"`         // instead of the action's own undo
}

// Retry says how often a step that failed for a passing reason is tried again.
type Retry struct {
	Attempts int      `json:"attempts"`            // in all, the first one included
	Delay    Duration `json:"delay,omitempty"`     // before the second attempt, 500ms where not said; doubles each time
	MaxDelay Duration `json:"max_delay,omitempty"` // 30s where not said
}

// UndoStep is the action that takes a step back.
type UndoStep struct {
	Action string `json:"action"`           // a verb or a full name
	Target string `json:"target,omitempty"` // NAME or SERVICE/NAME; that of the step where not said
	Params Params `json:"params,omitempty"` // what the action is told
}

// Mode is how far a policy may go by itself.
type Mode string

// The modes, from the shyest to the boldest.
const (
	ModeShadow    Mode = "shadow"    // decide, write down, do nothing
	ModeRecommend Mode = "recommend" // tell a human what it would do
	ModeApprove   Mode = "approve"   // ask, then act
	ModeAuto      Mode = "auto"      // act
)

// Modes are all modes, from the shyest to the boldest.
var Modes = []Mode{ModeShadow, ModeRecommend, ModeApprove, ModeAuto}

// Policy says what may be done for a cause on some services.
type Policy struct {
	Name                string      `json:"name,omitempty"` // the incident type where not said
	Description         string      `json:"description,omitempty"`
	IncidentType        Cause       `json:"incident_type"`                   // the cause that it is for
	Services            Selector    `json:"services,omitzero"`               // the services that it is for; all where not said
	Runbooks            []string    `json:"runbooks,omitempty"`              // least disruptive first
	Mode                Mode        `json:"mode,omitempty"`                  // recommend where not said
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

// Raw is any value as JSON.
func Raw(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("jenner: a value of the program's own cannot be JSON: " + err.Error())
	}
	return raw
}
