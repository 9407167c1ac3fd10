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
	Cost        Number      `json:"cost,omitempty"`         // what doing it costs, in the unit of the policies' cost_budget
	// Through is the controller that the step acts through: what that one owns may then be changed. See Target.ManagedBy.
	Through string `json:"through,omitempty"`
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

// Raw is any value as JSON.
func Raw(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("jenner: a value of the program's own cannot be JSON: " + err.Error())
	}
	return raw
}
