package jenner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrTaken is why a commit was refused that would take more than is allowed: others hold it at this moment.
var ErrTaken = errors.New("others hold it at this moment")

// CapScope says what a cap counts.
type CapScope string

// The scopes of caps.
const (
	CapAll     CapScope = "all"     // targets that anybody holds
	CapService CapScope = "service" // targets of the service Name that anybody holds
	CapTarget  CapScope = "target"  // runs that hold the target Name, written SERVICE/KIND/NAME
	CapPolicy  CapScope = "policy"  // runs that the policy Name holds anything with
	CapDrill   CapScope = "drill"   // drills that are about Name, a service or a failure domain
)

// Cap is how much may be held at once. A commit that carries caps is refused where what it would hold and what others
// hold come to more; that is counted within the transaction, so that two commits never pass each other. Faults and
// remediation count together. Since all that a run needs is taken in one commit or not at all, no order of taking can
// make two runs wait for each other.
type Cap struct {
	Scope CapScope `json:"scope"`
	Name  string   `json:"name,omitempty"`
	Max   int      `json:"max"`
}

// Holds tells whether an entry still holds its target at a time, which one of kind drill never does. Every hold ends: an
// entry without Until is one that was written without a deadline, and holds until it is replaced.
func (e LedgerEntry) Holds(now time.Time) bool {
	return e.Kind != LedgerHealth && e.Kind != LedgerDrill && e.lasts(now)
}

func (e LedgerEntry) lasts(now time.Time) bool { return e.Until.IsZero() || now.Before(e.Until) }

// Place names the entry's target for ever: SERVICE/KIND/NAME.
func (e LedgerEntry) Place() string { return e.Service + "/" + e.Target.Kind + "/" + e.Target.Name }

// CheckCaps gives an error that wraps ErrTaken where one of the caps would be exceeded. held are all entries that hold
// something; put are those that are to be put, and take the place of those with their ids.
func CheckCaps(caps []Cap, held, put []LedgerEntry, now time.Time) error {
	byID := map[string]LedgerEntry{}
	for _, entries := range [][]LedgerEntry{held, put} {
		for _, entry := range entries {
			byID[entry.ID] = entry
		}
	}
	for _, limit := range caps {
		seen := map[string]bool{}
		for _, entry := range byID {
			if key, counts := limit.counts(entry); counts && entry.lasts(now) {
				seen[key] = true
			}
		}
		if len(seen) > limit.Max && limit.Scope == CapDrill {
			return fmt.Errorf("%w: drills %s are about %s, and %d may be at once", ErrTaken,
				strings.Join(slices.Sorted(maps.Keys(seen)), " and "), limit.Name, limit.Max)
		}
		if len(seen) > limit.Max {
			return fmt.Errorf("%w: %s %s would have %d, and %d are allowed at once", ErrTaken, limit.Scope, limit.Name, len(seen), limit.Max)
		}
	}
	return nil
}

// counts tells whether an entry counts under the cap, and as which one: a target counts once, however many hold it. A
// fault on a target does not keep a remediation of that target off: it is the trouble itself.
func (c Cap) counts(entry LedgerEntry) (string, bool) {
	if entry.Kind == LedgerHealth || (c.Scope == CapDrill) != (entry.Kind == LedgerDrill) {
		return "", false // what takes nothing, and what a drill is about, which only other drills keep from
	}
	switch c.Scope {
	case CapService:
		return entry.Place(), entry.Service == c.Name
	case CapDrill:
		return entry.By, entry.Service == c.Name
	case CapTarget:
		return entry.By, entry.Place() == c.Name && entry.Kind != LedgerFault
	case CapPolicy:
		return entry.By, entry.Policy == c.Name && entry.Kind != LedgerFault
	}
	return entry.Place(), c.Scope == CapAll
}
