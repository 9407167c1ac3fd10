package jenner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Channel is a way to tell people: the written key (`webhook`, `file`, `terminal`) names the notifier.
type Channel struct {
	Name   string `json:"name"` // what policies call it
	Kind   string `json:"kind" config:"-"`
	Params Params `json:"params,omitempty" rest:"kind"`
	Source Source `json:"-"`
}

// Documents are all files of one folder, read and checked together. They do not change; a reload makes new ones.
type Documents struct {
	Services    []Service    `json:"services"`
	Signatures  []Signature  `json:"signatures"`
	Runbooks    []Runbook    `json:"runbooks"`
	Policies    []Policy     `json:"policies"`
	Experiments []Experiment `json:"experiments"`
	Gamedays    []Gameday    `json:"gamedays"`
	Channels    []Channel    `json:"channels"`
	Teams       []Team       `json:"teams"`
	Calendars   []Calendar   `json:"calendars"`
	Mappings    []Mapping    `json:"mappings"`
	Receivers   []Receiver   `json:"receivers"`
	Prometheus  []Prometheus `json:"prometheus"`
	Catalogues  []Catalogue  `json:"catalogues"`
	Limits      Limits       `json:"limits"`
}

// Limits is a document of which there is at most one: what holds for all policies together, remediation and chaos alike.
type Limits struct {
	MaxTargetsAtOnce    int    `json:"max_targets_at_once,omitempty"`    // taken in all services together; 10 where not said
	MaxTargetsOfService int    `json:"max_targets_of_service,omitempty"` // taken in one service; 3 where not said
	Source              Source `json:"-"`
}

// The limits where the files do not say.
const (
	DefaultMaxTargetsAtOnce    = 10
	DefaultMaxTargetsOfService = 3
)

// AtOnce is how many targets may be taken in all services together.
func (l Limits) AtOnce() int {
	if l.MaxTargetsAtOnce > 0 {
		return l.MaxTargetsAtOnce
	}
	return DefaultMaxTargetsAtOnce
}

// OfService is how many targets of one service may be taken.
func (l Limits) OfService() int {
	if l.MaxTargetsOfService > 0 {
		return l.MaxTargetsOfService
	}
	return DefaultMaxTargetsOfService
}

// Service is the service of that name.
func (d *Documents) Service(name string) (Service, bool) {
	for _, service := range d.Services {
		if service.Name == name {
			return service, true
		}
	}
	return Service{}, false
}

// Runbook is the runbook of that name.
func (d *Documents) Runbook(name string) (Runbook, bool) {
	for _, runbook := range d.Runbooks {
		if runbook.Name == name {
			return runbook, true
		}
	}
	return Runbook{}, false
}

// Target finds what a written target means: SERVICE/TARGET, the name of a target of the service at hand, or the name
// of a service, which means its first target.
func (d *Documents) Target(written string, at Service) (Service, Target, error) {
	if service, target, both := strings.Cut(written, "/"); both {
		owner, known := d.Service(service)
		found, has := owner.TargetNamed(target)
		if !known || !has {
			return Service{}, Target{}, fmt.Errorf("there is no target %q; write SERVICE/TARGET", written)
		}
		return owner, found, nil
	}
	if target, has := at.TargetNamed(written); has {
		return at, target, nil
	}
	owner, known := d.Service(written)
	if !known || len(owner.Targets) == 0 {
		return Service{}, Target{}, fmt.Errorf("there is no target %q in service %s, and no service of that name with targets",
			written, at.Name)
	}
	return owner, owner.Targets[0], nil
}

// Hash names a document as it stands: two equal documents have the same hash.
func Hash(document any) string {
	sum := sha256.Sum256(Raw(document))
	return hex.EncodeToString(sum[:8])
}
