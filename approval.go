package jenner

import (
	"slices"
	"time"
)

// Approval says who may agree where a policy asks a person.
type Approval struct {
	// By are persons, teams, or the word owner, which stands for the team that owns the service. Whoever may write to
	// the data directory may agree where nobody is named.
	By      []string `json:"by,omitempty"`
	Count   int      `json:"count,omitempty"`   // so many different persons must agree; 1 where not said
	Expires Duration `json:"expires,omitempty"` // a request nobody answers ends after this; 30m where not said
}

// Team is a document: people who answer for something together.
type Team struct {
	Name    string   `json:"name"`    // unique among teams; services name it as their owner
	Members []string `json:"members"` // names of accounts
	Source  Source   `json:"-"`
}

// Request asks people whether one run may be made. Checks go on while it is open; where the trouble passes by itself it
// is withdrawn.
type Request struct {
	ID      string        `json:"id"` // INCIDENT/aN
	At      time.Time     `json:"at"`
	Expires time.Time     `json:"expires"`
	Service string        `json:"service"` // the one that would be acted on
	Target  TargetRef     `json:"target"`
	Runbook string        `json:"runbook"`
	Version string        `json:"version"`          // hash of the runbook as it was when people were asked
	Need    int           `json:"need"`             // so many different persons
	By      []string      `json:"by,omitempty"`     // who may, by name; empty: anybody
	Asked   []GuardResult `json:"asked,omitempty"`  // the guards that asked
	Votes   []Vote        `json:"votes,omitempty"`  // as they were counted last
	Closed  RequestEnd    `json:"closed,omitempty"` // empty while it is open
}

// RequestEnd is how a request ended.
type RequestEnd string

// The ends of a request.
const (
	RequestGranted   RequestEnd = "granted"
	RequestRejected  RequestEnd = "rejected"
	RequestExpired   RequestEnd = "expired"
	RequestWithdrawn RequestEnd = "withdrawn" // the trouble passed by itself, or something else is proposed now
)

// Vote is one person's word: on a request, or in advance on whatever runs of a runbook on a service come until a time.
// A person has one word on a request; a later one takes the place of an earlier one.
type Vote struct {
	Request string    `json:"request,omitempty"`
	Service string    `json:"service,omitempty"` // in advance
	Runbook string    `json:"runbook,omitempty"` // in advance
	Until   time.Time `json:"until,omitzero"`    // in advance
	Person  string    `json:"person"`
	Yes     bool      `json:"yes"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

// Key names the vote: a person's later word on the same thing has the same key.
func (v Vote) Key() string {
	if v.Request != "" {
		return v.Request + " " + v.Person
	}
	return v.Service + " " + v.Runbook + " " + v.Person
}

// Ahead tells whether the vote was given in advance for a run of the runbook on the service, and holds at that time.
func (v Vote) Ahead(service, runbook string, now time.Time) bool {
	return v.Request == "" && v.Service == service && v.Runbook == runbook && !v.At.After(now) && now.Before(v.Until)
}

// Approvers are the names of those who may agree under a policy for a service; none means anybody. A team that is not in
// the files stands for a person of that name.
func (d *Documents) Approvers(approval Approval, service Service) []string {
	var people []string
	for _, name := range approval.By {
		if name == "owner" {
			name = service.Owner
		}
		people = append(people, d.members(name)...)
	}
	slices.Sort(people)
	return slices.Compact(people)
}

func (d *Documents) members(name string) []string {
	for _, team := range d.Teams {
		if team.Name == name {
			return team.Members
		}
	}
	return []string{name}
}
