package jenner

import (
	"encoding/json"
	"errors"
	"time"
)

// Record is one incident or drill as the line keeps it.
type Record struct {
	Line    string // "incident" or "drill"
	ID      string
	Subject string // the service it is about
	Phase   Phase
	Version int64           // counts commits; 0 before the first
	State   json.RawMessage // the Incident or Drill
	Due     time.Time       // when to look at it again; zero with Wait, or when ended
	Wait    string          // what it waits for by name; Due may limit the wait
	Ended   bool
	Created time.Time
	Updated time.Time
}

// Change is everything that one step of a line commits together: all of it or nothing.
type Change struct {
	// Record carries the version that was read. Where the stored version is another one, nothing is committed and the
	// error is ErrConflict. Version 0 creates the record. The stored version is one higher.
	Record   Record
	Timeline []Entry
	Audit    []AuditEntry
	Ledger   []LedgerEntry // put by ID: a later one replaces an earlier one
	Outcomes []Outcome
	Proofs   []Proof
	// Results say what became of intents that were begun before, as the journal's Finish does; Intents are effects that may
	// follow once the change is on disk, as its Begin does. An intent whose key is taken refuses the whole change with
	// ErrConflict.
	Results []Intent
	Intents []Intent
	// Judgements say what became clear about decisions.
	Judgements []Judgement
	// Caps refuse the whole change with ErrTaken where its ledger entries would take more than is allowed, as Record.Updated.
	Caps []Cap
}

// AuditEntry is one fact that nobody may change unnoticed.
type AuditEntry struct {
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`    // incident.opened, decision, intent, result, fault.injected, hold.set …
	Subject string          `json:"subject"` // an incident, drill or run
	Actor   string          `json:"actor"`   // "jenner", or a person
	Data    json.RawMessage `json:"data,omitempty"`
}

// IntentState says what is known of an intended effect.
type IntentState string

// The states of an intent. Intended means that the effect may or may not have happened.
const (
	IntentIntended IntentState = "intended"
	IntentDone     IntentState = "done"
	IntentFailed   IntentState = "failed"
	IntentUnknown  IntentState = "unknown"
)

// Intent is an effect, written down before it happens.
type Intent struct {
	Key        string          `json:"key"` // the idempotency key: one effect, one key
	By         string          `json:"by"`  // incident or drill
	Run        string          `json:"run"`
	Step       string          `json:"step"`
	Action     string          `json:"action"`
	Service    string          `json:"service"`
	Target     Target          `json:"target"`
	Params     Params          `json:"params,omitempty"`
	Checkpoint json.RawMessage `json:"checkpoint,omitempty"` // the state before
	Undo       string          `json:"undo,omitempty"`       // how it will be taken back, in words
	At         time.Time       `json:"at"`
	Expires    time.Time       `json:"expires"` // an intent this old is not carried out any more

	State       IntentState     `json:"state"`
	EndedAt     time.Time       `json:"ended_at,omitzero"`
	Before      string          `json:"before,omitempty"`      // fingerprint of the state before
	Fingerprint string          `json:"fingerprint,omitempty"` // of the state after
	Changed     bool            `json:"changed,omitempty"`
	Summary     string          `json:"summary,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"`
	Error       string          `json:"error,omitempty"`
	Next        What            `json:"next,omitempty"` // what may follow Error
}

// The errors that a store answers with.
var (
	ErrConflict = errors.New("somebody else changed it meanwhile")
	ErrNotFound = errors.New("there is no such thing")
	ErrInUse    = errors.New("the data directory is in use by another jenner")
)
