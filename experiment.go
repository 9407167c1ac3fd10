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
	AbortIf    []string    `json:"abort_if,omitempty"`    // CEL: one that holds ends the drill and undoes all faults
	Lease      Duration    `json:"lease,omitempty"`       // a fault nobody renews ends after this; 5s where not said
	Timeout    Duration    `json:"timeout,omitempty"`     // how long recovery is waited for; 60s where not said
	// Measure are numbers whose rise from injection to recovery the result reports: name to PromQL.
	Measure       map[string]string `json:"measure,omitempty"`
	ExpectVerdict Verdict           `json:"expect_verdict,omitempty"` // the verdict that counts as a success; PROVEN where not said
	// SteadyState are conditions in CEL, all of which hold while the service is steady. They take the place of what is
	// looked at otherwise: the alerts, probes and SLIs of the service, of all it depends on and of all that depend on it.
	SteadyState []string `json:"steady_state,omitempty"`
	Stages      []Stage  `json:"stages,omitempty"` // the drill goes from one to the next; one with everything where not said
	// FailureDomain is what fails together, such as a zone: of the experiments in one domain never two run at the same
	// time. Those of the services that are hit count as well.
	FailureDomain string    `json:"failure_domain,omitempty"`
	Requires      *Requires `json:"requires,omitempty"` // what must be so before it begins
	Schedule      *Schedule `json:"schedule,omitempty"` // when jenner serve runs it by itself; never where not said
	Source        Source    `json:"-"`
}

// ExpectedVerdict is what the drill must come out as to count as a success.
func (e Experiment) ExpectedVerdict() Verdict {
	if e.ExpectVerdict != "" {
		return e.ExpectVerdict
	}
	return VerdictProven
}

// FaultSpec is one fault on one target, or on some of several targets.
type FaultSpec struct {
	Fault  string   `json:"fault"`            // a verb (`kill`) or a full name (`process.kill`)
	Target string   `json:"target,omitempty"` // a service, a target of the experiment's service, or SERVICE/TARGET
	Params Params   `json:"params,omitempty"` // what the fault is told
	After  Duration `json:"after,omitempty"`  // how long after the first injection; at once where not said
	For    Duration `json:"for,omitempty"`    // it is undone after this; until the end of the drill where not said
	// Pick is how many of several targets it hits, by chance: one, a count, or a share such as 25%. A share rounds down,
	// but not below one. The same targets are hit in both arms of a round.
	Pick       Pick   `json:"pick,omitzero"`
	Of         string `json:"of,omitempty"`          // the service whose targets are picked from; the one that Target names where not said
	MaxTargets int    `json:"max_targets,omitempty"` // never more than this; 10 where not said
}

// Most is how many targets the fault may hit at most.
func (f FaultSpec) Most() int {
	if f.MaxTargets > 0 {
		return f.MaxTargets
	}
	return DefaultMaxTargets
}

// Expectation is what a drill expects of the line.
type Expectation struct {
	DetectedWithin Duration `json:"detected_within,omitempty"` // after the injection; later is PROVEN_SLOW
	Cause          Cause    `json:"cause,omitempty"`           // that must be found
	Runbook        string   `json:"runbook,omitempty"`         // that must run
	Target         string   `json:"target,omitempty"`          // a service's name; the faulted service where not said
	// MayTouch are services that the remediation may change beside the target; touching any other is HARMFUL.
	MayTouch        []string `json:"may_touch,omitempty"`
	RecoveredWithin Duration `json:"recovered_within,omitempty"` // after the injection; later is PROVEN_SLOW
	// NoActionFor is how long nothing may be changed: with no faults and with the outcome no_action since the fault works,
	// 15s where not said; with safe_stop after the stop, 3s where not said.
	NoActionFor Duration        `json:"no_action_for,omitempty"`
	Outcome     ExpectedOutcome `json:"outcome,omitempty"`    // healed where not said
	Invariants  []Invariant     `json:"invariants,omitempty"` // what may not have changed in the end
}

// ExpectedOutcome is what is expected to come of a fault.
type ExpectedOutcome string

// The outcomes that can be expected. In the two negative ones healing would be wrong.
const (
	OutcomeHealed   ExpectedOutcome = "healed"    // the service is steady again, by a remediation
	OutcomeNoAction ExpectedOutcome = "no_action" // nothing is changed while the fault works
	OutcomeSafeStop ExpectedOutcome = "safe_stop" // the incident ends with a human told, and nothing is changed after that
)

// ExpectedOutcomes are all of them.
var ExpectedOutcomes = []ExpectedOutcome{OutcomeHealed, OutcomeNoAction, OutcomeSafeStop}

// Negative tells that nothing is to be healed.
func (o ExpectedOutcome) Negative() bool { return o == OutcomeNoAction || o == OutcomeSafeStop }

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
	PhaseStay        Phase = "stay" // of a stage: does the service stay steady?
	PhaseVerdict     Phase = "verdict"
)

// Drill is one execution of an experiment.
type Drill struct {
	ID         string     `json:"id"`
	Experiment Experiment `json:"experiment"` // as it was when the drill began
	Round      int        `json:"round"`      // from 1 to Repeat
	StartedAt  time.Time  `json:"started_at"`
	Arm        string     `json:"arm,omitempty"` // control or treatment
	// Versions are hashes of the documents as they stood when the drill began, by what they are of.
	Versions map[string]string `json:"versions,omitempty"`

	Stage      int       `json:"stage,omitempty"`      // index into the experiment's stages
	ReservedAt time.Time `json:"reserved_at,omitzero"` // since when no other drill may touch what this one is about
	Reserved   []string  `json:"reserved,omitempty"`   // what that is: services, and failure domains as domain/NAME
	Seed       uint64    `json:"seed,omitempty"`       // by which the targets of this round were picked; below 2³²
	Hits       []Hit     `json:"hits,omitempty"`       // the targets of this round, in both arms

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
	StoppedAt   time.Time          `json:"stopped_at,omitzero"` // since when nothing was changed any more and a human knew
	Armed       bool               `json:"armed,omitempty"`     // the fault still held at RecoveredAt
	Removed     bool               `json:"removed,omitempty"`   // or the runbook itself had removed it
	EndedAt     time.Time          `json:"ended_at,omitzero"`
	UndoneAt    time.Time          `json:"undone_at,omitzero"`
	Residue     string             `json:"residue,omitempty"`
	Aborted     string             `json:"aborted,omitempty"`
	Incidents   []string           `json:"incidents,omitempty"` // those of the treatment arm, joined by target and time
	Before      map[string]float64 `json:"before,omitempty"`    // the Measure numbers when the fault was injected
	Rise        map[string]float64 `json:"rise,omitempty"`      // and by how much they rose until recovery
	Readings    []Reading          `json:"readings,omitempty"`  // the invariants

	Result  DrillResult   `json:"result,omitzero"`   // of the last round
	Results []DrillResult `json:"results,omitempty"` // of all rounds
	Overall Overall       `json:"overall,omitzero"`  // of all rounds together, when the drill has ended
}

// Present is the experiment as the present stage runs it.
func (d *Drill) Present() Experiment { return d.Experiment.At(d.Stage) }

// Hit is one target that a fault of the experiment is for in the present round. What has happened to it is that of the
// present arm.
type Hit struct {
	Fault      int       `json:"fault"` // index into the experiment's faults
	Service    string    `json:"service"`
	Target     TargetRef `json:"target"`
	Record     string    `json:"record,omitempty"` // the injected fault's id; empty: not yet injected
	InjectedAt time.Time `json:"injected_at,omitzero"`
	BitAt      time.Time `json:"bit_at,omitzero"`
	Saw        string    `json:"saw,omitempty"`     // what its witness saw
	EndedAt    time.Time `json:"ended_at,omitzero"` // when its time was over
	Gone       bool      `json:"gone,omitempty"`    // it did not hold any more at EndedAt: somebody else had removed it
	// Overcome says that the service was well again while it still held, or because the runbook had removed it.
	Overcome bool `json:"overcome,omitempty"`
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
	Stage       string             `json:"stage,omitempty"` // its name
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
	Invariants  []Reading          `json:"invariants,omitempty"`
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
	// Secret: people are not to be told of it before the game day that injected it is over.
	Secret bool `json:"secret,omitempty"`
}

// Proof is a verdict kept.
type Proof struct {
	Fault      string    `json:"fault"`
	Service    string    `json:"service"` // the one that was healed
	Runbook    string    `json:"runbook"`
	Cause      Cause     `json:"cause,omitempty"` // that was found, or was expected; empty: not known
	Verdict    Verdict   `json:"verdict"`
	At         time.Time `json:"at"`
	Drill      string    `json:"drill"`
	Experiment string    `json:"experiment"`
	// Versions are hashes of the documents as they stood when the drill began: experiment, service, runbook, signature.
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
