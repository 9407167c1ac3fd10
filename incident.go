package jenner

import (
	"encoding/json"
	"slices"
	"time"
)

// Phase is where on its line an incident or a drill stands.
type Phase string

// The phases of an incident. The last three are final.
const (
	PhaseDetected  Phase = "detected"
	PhaseDiagnosed Phase = "diagnosed"
	PhasePlanned   Phase = "planned"
	PhaseDecided   Phase = "decided"
	PhaseActing    Phase = "acting"
	PhaseVerifying Phase = "verifying"
	PhaseMitigated Phase = "mitigated" // healthy, thanks to a change that is to be taken back later
	PhaseUndoing   Phase = "undoing"

	PhaseResolved   Phase = "resolved"
	PhaseEscalated  Phase = "escalated"
	PhaseSuppressed Phase = "suppressed"
)

// Final tells that nothing follows.
func (p Phase) Final() bool {
	return p == PhaseResolved || p == PhaseEscalated || p == PhaseSuppressed || p == PhaseVerdict
}

// Incident is alerts that belong together, about one service.
type Incident struct {
	ID        string    `json:"id"`
	Service   string    `json:"service"`
	OpenedAt  time.Time `json:"opened_at"` // when it was noticed
	Alerts    []Alert   `json:"alerts"`
	Symptoms  []Alert   `json:"symptoms,omitempty"`   // alerts of dependants
	SymptomOf string    `json:"symptom_of,omitempty"` // the incident that explains this one

	Diagnosis Diagnosis  `json:"diagnosis,omitzero"`
	Policy    Policy     `json:"policy,omitzero"`      // as it stood when the plan was made
	Plan      []string   `json:"plan,omitempty"`       // runbooks still to try, the next one first
	PlannedBy string     `json:"planned_by,omitempty"` // the hash of the policy that the plan was made of
	Requests  []Request  `json:"requests,omitempty"`   // the last one is the present one
	Foreseen  *Foreseen  `json:"foreseen,omitempty"`   // what was proposed and not done
	Decisions []Decision `json:"decisions,omitempty"`  // with the guards that did not agree; the timeline has all
	Seen      Scene      `json:"-"`                    // what the diagnosis of this step saw
	Taking    *Run       `json:"-"`                    // decided, and begun in the same commit
	Runs      []Run      `json:"runs,omitempty"`       // the last one is the present one

	Verification Verification `json:"verification,omitzero"`
	HealthySince time.Time    `json:"healthy_since,omitzero"` // during verification
	Paged        bool         `json:"paged,omitempty"`
	ActedAt      time.Time    `json:"acted_at,omitzero"`     // the first intent
	RecoveredAt  time.Time    `json:"recovered_at,omitzero"` // the first moment of the health that verification confirmed
	Outcome      string       `json:"outcome,omitempty"`     // one sentence, when it has ended
}

// Run is the present run, or nil.
func (i *Incident) Run() *Run {
	if len(i.Runs) == 0 {
		return nil
	}
	return &i.Runs[len(i.Runs)-1]
}

// Severity is how a human is told of it: as the worst of its alerts says, and as a page where it has none.
func (i *Incident) Severity() Severity {
	wakes := func(alert Alert) bool { return alert.Severity != SeverityTicket }
	if len(i.Alerts) > 0 && !slices.ContainsFunc(i.Alerts, wakes) {
		return SeverityTicket
	}
	return SeverityPage
}

// Request is the open request, or nil.
func (i *Incident) Request() *Request {
	if n := len(i.Requests); n > 0 && i.Requests[n-1].Closed == "" {
		return &i.Requests[n-1]
	}
	return nil
}

// Foreseen is what a decision proposed and nobody let it do, with the state of the targets at that time, so that it can
// be told afterwards whether somebody else did the same.
type Foreseen struct {
	At      time.Time       `json:"at"`
	Policy  string          `json:"policy"`
	Service string          `json:"service"`
	Runbook string          `json:"runbook"`
	Version string          `json:"version"`
	Mode    Mode            `json:"mode"`
	Outcome DecisionOutcome `json:"outcome"`
	Steps   []ForeseenStep  `json:"steps"` // those that would have changed something
}

// ForeseenStep is one change that was proposed.
type ForeseenStep struct {
	Step       string          `json:"step"`
	Action     string          `json:"action"` // the full name
	Service    string          `json:"service"`
	Target     Target          `json:"target"`
	Params     Params          `json:"params,omitempty"`
	Checkpoint json.RawMessage `json:"checkpoint,omitempty"`
}

// RunState says how a run stands.
type RunState string

// The states of a run.
const (
	RunActive    RunState = "active"
	RunCompleted RunState = "completed"
	RunFailed    RunState = "failed"
	RunUndone    RunState = "undone"
	RunUnknown   RunState = "unknown" // a human must look
)

// Run is one execution of one runbook for one incident. It carries the runbook as it was when the run began: a file
// that changes meanwhile does not change a run.
type Run struct {
	ID        string       `json:"id"`
	Runbook   Runbook      `json:"runbook"`
	Policy    string       `json:"policy"`
	Target    TargetRef    `json:"target"`
	State     RunState     `json:"state"`
	StartedAt time.Time    `json:"started_at"`
	EndedAt   time.Time    `json:"ended_at,omitzero"`
	Next      int          `json:"next"` // index of the step to do next
	Steps     []StepRecord `json:"steps,omitempty"`
	UndoNext  int          `json:"undo_next,omitempty"` // index into Steps of the next one to undo, counted from the end
	Error     string       `json:"error,omitempty"`
	Mode      Mode         `json:"mode,omitempty"` // the rung on which it was decided
	// Taken are the entries of the ledger by which the run holds its targets, as they were put last.
	Taken []LedgerEntry `json:"taken,omitempty"`
}

// StepStatus says how a step ended.
type StepStatus string

// The statuses of a step.
const (
	StepPassed  StepStatus = "passed"
	StepFailed  StepStatus = "failed"
	StepSkipped StepStatus = "skipped" // its condition was false
	StepUndone  StepStatus = "undone"
	StepKept    StepStatus = "kept" // not undone, for somebody else changed it since
)

// StepRecord is what a step did.
type StepRecord struct {
	Name      string          `json:"name"`
	Action    string          `json:"action"` // the full name
	Service   string          `json:"service"`
	Target    TargetRef       `json:"target"`
	Key       string          `json:"key,omitempty"` // of its intent
	Status    StepStatus      `json:"status"`
	StartedAt time.Time       `json:"started_at"`
	EndedAt   time.Time       `json:"ended_at"`
	Attempts  int             `json:"attempts,omitempty"`
	Changed   bool            `json:"changed,omitempty"` // it is among what an undo must take back
	Summary   string          `json:"summary,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     string          `json:"error,omitempty"`
	UndoNote  string          `json:"undo_note,omitempty"`
}

// CheckOutcome is one of three: no data is inconclusive, never passed and never failed.
type CheckOutcome string

// The outcomes of a check.
const (
	Passed       CheckOutcome = "passed"
	Failed       CheckOutcome = "failed"
	Inconclusive CheckOutcome = "inconclusive"
)

// NoBounds is what a check of an SLI saw where nothing is declared and nothing learned yet.
const NoBounds = "no steady bounds yet"

// CheckKind says what was looked at.
type CheckKind string

// The kinds of checks.
const (
	CheckProbe CheckKind = "probe"
	CheckAlert CheckKind = "alert"
	CheckSLI   CheckKind = "sli"
)

// Check is one check after the act.
type Check struct {
	Kind    CheckKind    `json:"kind"`
	Name    string       `json:"name"`
	Outcome CheckOutcome `json:"outcome"`
	Saw     string       `json:"saw,omitempty"`
}

// Verification is what the checks said together.
type Verification struct {
	At      time.Time    `json:"at"`
	Outcome CheckOutcome `json:"outcome"`
	Checks  []Check      `json:"checks"`
}

// Scene is what a diagnosis saw of the world, so that the same can be looked at again later.
type Scene struct {
	At      time.Time         `json:"at"`
	Firing  []Alert           `json:"firing,omitempty"`
	Probes  []ProbeState      `json:"probes,omitempty"`
	Answers map[string]Answer `json:"answers,omitempty"` // by PromQL, where nobody said about which service was asked
	// About are the answers by the service that was asked about and by PromQL: the same question may be asked of another server
	// for another service. Scenes of older versions have none, and all of their answers are in Answers.
	About   map[string]map[string]Answer `json:"about,omitempty"`
	Changes []ChangeEvent                `json:"changes,omitempty"`
}

// The kinds of the timeline's entries whose data is a value of the vocabulary.
const (
	EntryScene    = "scene"    // a Scene
	EntryDecision = "decision" // a Decision
)

// Entry is one line of a timeline.
type Entry struct {
	At    time.Time       `json:"at"`
	Phase Phase           `json:"phase"`
	Kind  string          `json:"kind"` // alert, diagnosis, decision, step, check, page, phase, note …
	Text  string          `json:"text"`
	Data  json.RawMessage `json:"data,omitempty"`
}
