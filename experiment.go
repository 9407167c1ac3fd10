package jenner

import (
	"encoding/json"
	"time"
)

// Experiment is a hypothesis, the faults that test it, and what is expected.
type Experiment struct {
	Name       string      `json:"name"`                  // unique among experiments
	Hypothesis string      `json:"hypothesis"`            // what is expected, in a sentence
	Service    string      `json:"service"`               // the service that the drill is about
	Faults     []FaultSpec `json:"faults,omitempty"`      // none: the drill shows that nothing is done when nothing is broken
	Expect     Expectation `json:"expect,omitzero"`       // what must come about for it to be PROVEN
	Control    bool        `json:"control,omitempty"`     // first show that it stays broken without remediation
	ControlFor Duration    `json:"control_for,omitempty"` // how long it must stay broken; 3s where not said
	Repeat     int         `json:"repeat,omitempty"`      // 1 where not said
	AbortIf    []string    `json:"abort_if,omitempty"`    // CEL
	Lease      Duration    `json:"lease,omitempty"`       // a fault nobody renews ends after this; 5s where not said
	Timeout    Duration    `json:"timeout,omitempty"`     // how long recovery is waited for; 60s where not said
	// Measure are numbers whose rise from injection to recovery the result reports: name to PromQL.
	Measure       map[string]string `json:"measure,omitempty"`
	ExpectVerdict Verdict           `json:"expect_verdict,omitempty"` // the verdict that counts as a success; PROVEN where not said
	Source        Source            `json:"-"`
}

// ExpectedVerdict is what the drill must come out as to count as a success.
func (e Experiment) ExpectedVerdict() Verdict {
	if e.ExpectVerdict != "" {
		return e.ExpectVerdict
	}
	return VerdictProven
}

// FaultSpec is one fault on one target.
type FaultSpec struct {
	Fault  string `json:"fault"`            // a verb (`kill`) or a full name (`process.kill`)
	Target string `json:"target"`           // a service, a target of the experiment's service, or SERVICE/TARGET
	Params Params `json:"params,omitempty"` // what the fault is told
}

// Expectation is what a drill expects of the line.
type Expectation struct {
	DetectedWithin  Duration `json:"detected_within,omitempty"`  // after the injection; later is PROVEN_SLOW
	Cause           Cause    `json:"cause,omitempty"`            // that must be found
	Runbook         string   `json:"runbook,omitempty"`          // that must run
	Target          string   `json:"target,omitempty"`           // a service's name; the faulted service where not said
	RecoveredWithin Duration `json:"recovered_within,omitempty"` // after the injection; later is PROVEN_SLOW
	NoActionFor     Duration `json:"no_action_for,omitempty"`    // with no faults
}

// Verdict is what a drill showed about a runbook.
type Verdict string

// The verdicts. The first is the only one that earns autonomy.
const (
	VerdictProven        Verdict = "PROVEN"
	VerdictProvenSlow    Verdict = "PROVEN_SLOW"
	VerdictNotNeeded     Verdict = "NOT_NEEDED"
	VerdictNotRemediated Verdict = "NOT_REMEDIATED"
	VerdictHarmful       Verdict = "HARMFUL"
	VerdictNoEffect      Verdict = "NO_EFFECT"
	VerdictInconclusive  Verdict = "INCONCLUSIVE"
	VerdictAborted       Verdict = "ABORTED"
	VerdictResidue       Verdict = "RESIDUE"
)

// Verdicts are all verdicts.
var Verdicts = []Verdict{VerdictProven, VerdictProvenSlow, VerdictNotNeeded, VerdictNotRemediated, VerdictHarmful,
	VerdictNoEffect, VerdictInconclusive, VerdictAborted, VerdictResidue}

// The phases of a drill, in order. The last is final.
const (
	PhasePreflight   Phase = "preflight"
	PhaseBaseline    Phase = "baseline"
	PhaseControl     Phase = "control"
	PhaseInject      Phase = "inject"
	PhaseBite        Phase = "bite"
	PhaseObserve     Phase = "observe"
	PhaseRecover     Phase = "recover"
	PhaseUndo        Phase = "undo"
	PhaseProveUndone Phase = "prove-undone"
	PhaseVerdict     Phase = "verdict"
)

// Drill is one execution of an experiment.
type Drill struct {
	ID         string     `json:"id"`
	Experiment Experiment `json:"experiment"` // as it was when the drill began
	Round      int        `json:"round"`      // from 1 to Repeat
	StartedAt  time.Time  `json:"started_at"`
	Arm        string     `json:"arm,omitempty"` // control or treatment

	Faults   []FaultRecord `json:"faults,omitempty"`   // those that hold at present
	Injected []FaultRecord `json:"injected,omitempty"` // those of the treatment arm
	Control  *ControlArm   `json:"control,omitempty"`

	InjectedAt  time.Time          `json:"injected_at,omitzero"`
	BitAt       time.Time          `json:"bit_at,omitzero"`
	Witness     string             `json:"witness,omitempty"` // what saw the fault bite
	BrokenAt    time.Time          `json:"broken_at,omitzero"`
	SteadySince time.Time          `json:"steady_since,omitzero"`
	CalmFrom    time.Time          `json:"calm_from,omitzero"` // since when calm has been waited for
	RecoveredAt time.Time          `json:"recovered_at,omitzero"`
	Armed       bool               `json:"armed,omitempty"`   // the fault still held at RecoveredAt
	Removed     bool               `json:"removed,omitempty"` // or the runbook itself had removed it
	EndedAt     time.Time          `json:"ended_at,omitzero"`
	UndoneAt    time.Time          `json:"undone_at,omitzero"`
	Residue     string             `json:"residue,omitempty"`
	Aborted     string             `json:"aborted,omitempty"`
	Incidents   []string           `json:"incidents,omitempty"` // those of the treatment arm, joined by target and time
	Before      map[string]float64 `json:"before,omitempty"`    // the Measure numbers when the fault was injected
	Rise        map[string]float64 `json:"rise,omitempty"`      // and by how much they rose until recovery

	Result  DrillResult   `json:"result,omitzero"`   // of the last round
	Results []DrillResult `json:"results,omitempty"` // of all rounds
}

// ControlArm is what happened while nobody was allowed to help.
type ControlArm struct {
	Done           bool   `json:"done"` // the fault of this arm is gone again
	Bit            bool   `json:"bit"`
	StayedBroken   bool   `json:"stayed_broken"`
	RecoveredAlone bool   `json:"recovered_alone"`
	Note           string `json:"note,omitempty"`
}

// DrillResult is a drill's end, in numbers. Durations count from the injection of the treatment arm's fault; -1 where
// it did not happen.
type DrillResult struct {
	Experiment  string             `json:"experiment"`
	Verdict     Verdict            `json:"verdict"`
	Reasons     []string           `json:"reasons,omitempty"`
	Cause       Cause              `json:"cause"`
	Confidence  float64            `json:"confidence"`
	Runbook     string             `json:"runbook"`
	Target      string             `json:"target"`
	DetectedMS  int64              `json:"detected_ms"`
	ActedMS     int64              `json:"acted_ms"`
	RecoveredMS int64              `json:"recovered_ms"`
	Measured    map[string]float64 `json:"measured,omitempty"`
}

// FaultRecord is an injected fault with all that is needed to take it back; it is written down before the injection.
type FaultRecord struct {
	ID          string          `json:"id"`
	Drill       string          `json:"drill"`
	Fault       string          `json:"fault"` // the full name
	Params      Params          `json:"params,omitempty"`
	Service     Service         `json:"service"`
	Target      Target          `json:"target"`
	Checkpoint  json.RawMessage `json:"checkpoint,omitempty"`  // the state before
	Fingerprint string          `json:"fingerprint,omitempty"` // of the state before
	InjectedAt  time.Time       `json:"injected_at"`
	Until       time.Time       `json:"until"` // the lease; nobody renewed it: it is undone
}

// Proof is a verdict kept.
type Proof struct {
	Fault      string    `json:"fault"`
	Service    string    `json:"service"` // the one that was healed
	Runbook    string    `json:"runbook"`
	Verdict    Verdict   `json:"verdict"`
	At         time.Time `json:"at"`
	Drill      string    `json:"drill"`
	Experiment string    `json:"experiment"`
	// Versions are hashes of the documents as they stood: experiment, service, runbook.
	Versions map[string]string `json:"versions"`
}

// Outcome is how an incident ended, kept for learning.
type Outcome struct {
	Incident   string        `json:"incident"`
	Service    string        `json:"service"`
	Cause      Cause         `json:"cause"`
	Signature  string        `json:"signature"`
	Confidence float64       `json:"confidence"`
	Policy     string        `json:"policy"`
	Runbook    string        `json:"runbook"`
	Target     TargetRef     `json:"target"`
	Phase      Phase         `json:"phase"` // resolved, escalated or suppressed
	Acted      bool          `json:"acted"`
	Success    bool          `json:"success"`
	Undone     bool          `json:"undone"`
	At         time.Time     `json:"at"`
	ToDetect   time.Duration `json:"to_detect"`
	ToAct      time.Duration `json:"to_act"`
	ToRecover  time.Duration `json:"to_recover"`
}
