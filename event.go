package jenner

import "time"

// Condition is what a system itself says about a target: that a state called Reason began to hold, holds on, or is over.
type Condition struct {
	Service  string            `json:"service"`
	Target   TargetRef         `json:"target"`           // of the service, as its document names it
	Reason   string            `json:"reason"`           // in the system's own words: CrashLoopBackOff; the name of the alert
	Object   string            `json:"object,omitempty"` // what of the target it is about: pod/checkout-7d9f
	On       bool              `json:"on"`               // false: it is over
	Since    time.Time         `json:"since"`            // when it began, by the system's clock; zero: now
	Severity Severity          `json:"severity,omitempty"`
	Summary  string            `json:"summary,omitempty"` // one line for people
	Labels   map[string]string `json:"labels,omitempty"`  // more of it, for conditions and for people
	Value    float64           `json:"value,omitempty"`   // a number that belongs to it, such as a count of restarts
}

// Subject is one target of a service, as what is observed.
type Subject struct {
	Service string    `json:"service"`
	Target  TargetRef `json:"target"`
}

// ChangeKind says what was changed.
type ChangeKind string

// The kinds of changes.
const (
	ChangeDeploy ChangeKind = "deploy" // another release
	ChangeConfig ChangeKind = "config" // configuration
	ChangeSecret ChangeKind = "secret" // a credential; what is in it is never told
	ChangeScale  ChangeKind = "scale"  // how many there are
	ChangeFlag   ChangeKind = "flag"   // a feature flag
)

// ChangeKinds are all of them, as people write them.
var ChangeKinds = []string{string(ChangeDeploy), string(ChangeConfig), string(ChangeSecret), string(ChangeScale), string(ChangeFlag)}

// ChangeEvent is a change of a service that somebody else made.
type ChangeEvent struct {
	Service string     `json:"service"`
	Target  TargetRef  `json:"target"`
	Kind    ChangeKind `json:"kind"`
	Object  string     `json:"object,omitempty"` // what was changed: configmap/checkout
	At      time.Time  `json:"at"`
	By      string     `json:"by,omitempty"`      // who, as far as the system tells: a field manager, a user
	Summary string     `json:"summary,omitempty"` // one line for people: `image shop:v1 → shop:v2`
}
