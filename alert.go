package jenner

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// AlertStatus is firing or resolved.
type AlertStatus string

// The statuses of an alert.
const (
	Firing   AlertStatus = "firing"
	Resolved AlertStatus = "resolved"
)

// Severity says how a human is told: page wakes somebody, ticket waits for the morning.
type Severity string

// The severities.
const (
	SeverityPage   Severity = "page"
	SeverityTicket Severity = "ticket"
)

// AlertKind says which detector found it.
type AlertKind string

// The kinds.
const (
	AlertRule    AlertKind = "rule"    // PromQL
	AlertProbe   AlertKind = "probe"   // failing N of M, or slow
	AlertGone    AlertKind = "gone"    // the process does not live
	AlertSLI     AlertKind = "sli"     // outside the steady bounds
	AlertTrigger AlertKind = "trigger" // a runbook's own trigger
	AlertEvent   AlertKind = "event"   // a condition that the system itself tells; its name is the reason
	AlertTaken   AlertKind = "taken"   // taken from another alerting system
)

// Alert is a detection about a target.
type Alert struct {
	Fingerprint string            `json:"fingerprint"` // the same trouble has the same fingerprint
	Name        string            `json:"name"`
	Kind        AlertKind         `json:"kind"`
	Service     string            `json:"service"`
	Target      TargetRef         `json:"target"`
	Status      AlertStatus       `json:"status"`
	Severity    Severity          `json:"severity"`
	StartsAt    time.Time         `json:"starts_at"` // when it began to fire
	SeenAt      time.Time         `json:"seen_at"`   // when a detector last looked and found it as Status says
	EndsAt      time.Time         `json:"ends_at"`   // when it was resolved; zero while firing
	Summary     string            `json:"summary,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Value       float64           `json:"value"`
	From        string            `json:"from,omitempty"` // of a taken one: the receiver
	// ValidUntil is until when a taken alert counts as seen, though nobody has looked since SeenAt: its sender has vouched
	// for so long. Zero for all others, whose SeenAt says it.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// Vouched tells whether somebody says of a firing alert that it fires at this time: its sender vouches for it, or a
// detector of ours looks after it, whose SeenAt tells how lately.
func (a Alert) Vouched(now time.Time) bool { return a.ValidUntil.IsZero() || now.Before(a.ValidUntil) }

// Fingerprint names one trouble: the same parts give the same fingerprint, whatever the time.
func Fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
