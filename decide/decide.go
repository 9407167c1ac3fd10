// Package decide allows: it runs every guard over one proposed remediation and says whether it may be done now, must
// wait, needs a person's word, or must not be done at all.
//
// It is for the guards and for putting their answers together. It is pure: the clock, the ledger, the holds and the
// state of the world are inputs, so that a decision can be replayed from its record and gives the same answer. It is not
// for finding those inputs, nor for doing anything: the executor checks holds and live preconditions once more.
package decide

import (
	"cmp"
	"time"

	"github.com/jenner-heal/jenner"
)

// Input is everything that a decision may depend on. Nothing of it is changed, and nothing else is read.
type Input struct {
	Now      time.Time
	Policy   jenner.Policy
	Runbook  jenner.Runbook
	Service  jenner.Service     // the one that the target belongs to
	Target   jenner.TargetRef   // what the runbook would act on
	Cause    jenner.RankedCause // why
	Incident jenner.Incident
	Alerts   []jenner.Alert // the incident's alerts as the board sees them now
	Holds    []jenner.Hold
	Ledger   []jenner.LedgerEntry
	// Dependencies are the direct and the transitive dependencies of Service.
	Dependencies []Dependency
	Siblings     Siblings
	Steps        []StepSize
	Proofs       []jenner.Proof
	// Versions are the hashes of the documents as they stand now, under the same keys as jenner.Proof.Versions.
	Versions map[string]string
	// TelemetryAge is how old the newest observation of Service is.
	TelemetryAge time.Duration
	// Believed is for how long the numbers of the server are believed that is asked about Service; zero: there is none.
	Believed time.Duration
	// Version is the hash of Runbook as it stands now.
	Version string
	Limits  jenner.Limits
	// Standing is where the policy stands on the ladder for Service.
	Standing jenner.Standing
	// Planned are the events of calendars that are on now for Service; Gaps say which calendars cannot be read, and why.
	Planned []jenner.Planned
	Gaps    []string
	// Request is the incident's last request for approval, the zero value where there was none; Votes are those on it and
	// those given in advance for Runbook on Service. Approvers are the names of those whose word counts; none: anybody's.
	Request   jenner.Request
	Votes     []jenner.Vote
	Approvers []string
	// OfRunbook are the last runs of Runbook on all services that passed or failed, OfPolicy those of Policy within its cost window and those
	// that still hold something, the oldest first.
	OfRunbook []jenner.LedgerEntry
	OfPolicy  []jenner.LedgerEntry
	// Budgets are what is left of the service's error budgets.
	Budgets []Budget
	// Owners are the controllers that own what the steps would change.
	Owners []Ownership
	// Places are all targets that the run would touch, Target included, as jenner.LedgerEntry.Place writes them.
	Places []string
}

// Budget is how much of one SLO's error budget is left: 1 is untouched, 0 used up, below 0 overdrawn.
type Budget struct {
	SLO   string
	Left  float64
	Known bool
	Why   string // why it is not known
}

// Ownership is who owns what one step would change.
type Ownership struct {
	Step       string
	Service    string
	Target     jenner.TargetRef
	Controller string // argocd, an operator …
	Through    string // the controller that the step acts through
	External   bool   // the target is a third party's, who alone may change it
}

// Dependency is what is known of one service that Service needs.
type Dependency struct {
	Service  string
	Status   jenner.ProbeStatus // of its worst probe
	SeenAt   time.Time          // of the probe that was asked longest ago; zero: never
	Firing   bool               // an alert of it fires
	External bool               // a third party's: evidence only, it does not stop anything
}

// Siblings counts the targets of the service, or of the group that shares the blast radius. The target at hand is one
// of Total.
type Siblings struct {
	Total   int
	Healthy int
}

// StepSize is how much one step of the runbook would touch, in one unit. Steps that touch one target need none.
type StepSize struct {
	Step  string // the step's name
	Unit  string // targets, connections, pods …, as in `max_connections`
	Want  int
	Total int // the whole that Want is a part of
}

// Guard is one reason not to act. Check is pure and answers in words and numbers, also when it agrees.
type Guard struct {
	Name  string
	Check func(Input) jenner.GuardResult
}

// Guards are all guards, in the order in which a decision lists them. After them a decision lists ApprovalGuard, which
// looks at what they said together.
var Guards = []Guard{
	{"hold", hold},
	{"tier", tier},
	{"mode", mode},
	{"confidence", confidence},
	{"signal", signal},
	{"freshness", freshness},
	{"dependency", dependency},
	{"calendar", calendar},
	{"cooldown", cooldown},
	{"attempts", attempts},
	{"recurrence", recurrence},
	{"breaker", breaker},
	{"concurrency", concurrency},
	{"blast", blast},
	{"budget", budget},
	{"cost", cost},
	{"owner", owner},
	{"proof", proof},
}

// soon is how long a wait lasts whose end nobody can foretell.
const soon = time.Second

// Decide runs every guard, all of them and always, so that a decision shows each reason and not only the first. The
// outcome is the shyest that any guard asks for; where that is to ask, the approval that people have given makes it act,
// and their refusal or silence makes it refuse. Where it is to wait, RetryAt is the latest time that a guard asks for, and
// always after Now. Decide may be called concurrently.
func Decide(in Input) jenner.Decision { return decideBy(Guards, in) }

func decideBy(guards []Guard, in Input) jenner.Decision {
	decision := jenner.Decision{
		At:      in.Now,
		Outcome: jenner.DecideAct,
		Policy:  policyName(in),
		Runbook: in.Runbook.Name,
		Service: in.Service.Name,
		Target:  in.Target,
	}
	for _, guard := range guards {
		result := ask(guard, in)
		decision.Guards = append(decision.Guards, result)
		if result.Outcome.Shyness() > decision.Outcome.Shyness() {
			decision.Outcome = result.Outcome
		}
		if result.RetryAt.After(decision.RetryAt) {
			decision.RetryAt = result.RetryAt
		}
	}
	approved := approval(in, decision)
	decision.Guards = append(decision.Guards, approved)
	if decision.Outcome == jenner.DecideAsk {
		decision.Outcome = approved.Outcome
	}
	if decision.Outcome != jenner.DecideWait {
		decision.RetryAt = time.Time{} // refused, or left to a person: no time makes it right by itself
	}
	return decision
}

// policyName is what ledger entries and caps call the policy.
func policyName(in Input) string { return cmp.Or(in.Policy.Name, string(in.Policy.IncidentType)) }

// ask makes sure that a result is one that the line can follow: a known outcome, and a time to come back after a wait.
func ask(guard Guard, in Input) jenner.GuardResult {
	result := guard.Check(in)
	result.Guard = guard.Name
	if result.Outcome.Shyness() > jenner.DecideRefuse.Shyness() {
		result.Reason = "the guard said " + quoted(string(result.Outcome)) + ", which nobody knows; " + result.Reason
		result.Outcome = jenner.DecideRefuse
	}
	if result.Outcome != jenner.DecideWait {
		result.RetryAt = time.Time{}
	} else if !result.RetryAt.After(in.Now) {
		result.RetryAt = in.Now.Add(soon)
	}
	return result
}
