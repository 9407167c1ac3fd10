package learn

import (
	"cmp"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// CoverageState is how a row of the coverage stands.
type CoverageState string

// The states, from the best to the worst.
const (
	CoverageProven  CoverageState = "proven"      // the last drill came out PROVEN, and nothing has changed since
	CoverageStale   CoverageState = "stale"       // it did, but that is too long ago, or something has changed since
	CoverageFailing CoverageState = "failing"     // the last drill came out otherwise, in one round at least
	CoverageUntried CoverageState = "never tried" // there was no drill
)

// CoverageRow is one thing that the documents imply should be proven: that a runbook heals a service of a fault.
type CoverageRow struct {
	Fault       string            `json:"fault,omitempty"` // the full name; empty: no experiment declares one
	Service     string            `json:"service"`         // the one to heal
	Runbook     string            `json:"runbook"`
	Cause       jenner.Cause      `json:"cause"`
	Policies    []string          `json:"policies"`              // that ask for it
	Experiments []string          `json:"experiments,omitempty"` // that declare the fault
	State       CoverageState     `json:"state"`
	Why         string            `json:"why,omitempty"`      // it is stale
	Verdict     jenner.Verdict    `json:"verdict,omitempty"`  // of the last drill
	At          time.Time         `json:"at,omitzero"`        // of the last drill's verdict
	Drill       string            `json:"drill,omitempty"`    // the last one
	Versions    map[string]string `json:"versions,omitempty"` // that it was about
	Asked       jenner.Duration   `json:"requires_proof,omitempty"`
}

// Covered is the whole coverage.
type Covered struct {
	Rows   []CoverageRow `json:"rows"`
	Proven int           `json:"proven"`
	// Share is Proven of all rows, within [0,1]; 0 where there is no row.
	Share float64 `json:"share"`
}

// Coverage holds what the documents imply should be proven against what was proven. Every policy gives rows, for each of
// its runbooks and each service that it picks: one for every fault that an experiment declares for the policy's cause on
// that service, or, where no experiment does and the policy acts by itself there, one without a fault. Services of third
// parties, causes that are never left to a machine, and experiments that expect another verdict than PROVEN give none.
//
// full is the full name of a fault that is written for a kind of target; empty where there is none. Rows are sorted by service, cause, fault and
// runbook. It is pure and may be called concurrently.
func Coverage(docs *jenner.Documents, proofs []jenner.Proof, now time.Time, full func(fault, kind string) string) Covered {
	c := &coverage{docs: docs, full: full, rows: map[coverageKey]*CoverageRow{}}
	for _, policy := range docs.Policies {
		if policy.Automation == jenner.AutomationNever || policy.IncidentType.NeverAutomatic() {
			continue
		}
		for _, service := range docs.Services {
			if policy.Services.Picks(service) && !service.External {
				c.policy(policy, service)
			}
		}
	}
	var all Covered
	for _, row := range c.rows {
		stand(row, docs, proofs, now)
		if row.State == CoverageProven {
			all.Proven++
		}
		all.Rows = append(all.Rows, *row)
	}
	slices.SortFunc(all.Rows, func(a, b CoverageRow) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Fault, b.Fault),
			cmp.Compare(a.Runbook, b.Runbook))
	})
	if len(all.Rows) > 0 {
		all.Share = float64(all.Proven) / float64(len(all.Rows))
	}
	return all
}

type coverageKey struct {
	fault, service, runbook string
	cause                   jenner.Cause
}

type coverage struct {
	docs *jenner.Documents
	full func(fault, kind string) string
	rows map[coverageKey]*CoverageRow
}

// policy adds the rows that a policy gives for a service.
func (c *coverage) policy(policy jenner.Policy, service jenner.Service) {
	declared := c.declared(policy, service)
	for _, book := range policy.Runbooks {
		for fault, experiments := range declared {
			c.row(coverageKey{fault, service.Name, book, policy.IncidentType}, policy, experiments)
		}
		if len(declared) == 0 && policy.ModeFor(service.Environment) == jenner.ModeAuto {
			c.row(coverageKey{"", service.Name, book, policy.IncidentType}, policy, nil)
		}
	}
}

// declared are the faults that experiments declare for a policy's cause on a service, with those experiments.
func (c *coverage) declared(policy jenner.Policy, service jenner.Service) map[string][]string {
	found := map[string][]string{}
	for _, experiment := range c.docs.Experiments {
		if experiment.ExpectedVerdict() != jenner.VerdictProven || experiment.Expect.Outcome.Negative() {
			continue
		}
		for stage := range max(1, len(experiment.Stages)) {
			present := experiment.At(stage)
			expect := present.Expect
			about := expect.Cause == policy.IncidentType || expect.Cause == "" && slices.Contains(policy.Runbooks, expect.Runbook)
			if !about || cmp.Or(expect.Target, present.Service) != service.Name {
				continue
			}
			for _, spec := range present.Faults {
				name := c.name(spec, present.Service)
				if name != "" && !slices.Contains(found[name], experiment.Name) {
					found[name] = append(found[name], experiment.Name)
				}
			}
		}
	}
	return found
}

// name is a fault's full name; empty where nothing is known to hit, of which whoever checks the files tells.
func (c *coverage) name(spec jenner.FaultSpec, service string) string {
	at, _ := c.docs.Service(service)
	if _, target, err := c.docs.Target(spec.Target, at); err == nil && spec.Pick.IsZero() {
		return c.full(spec.Fault, target.Kind)
	}
	from, _ := c.docs.Service(cmp.Or(spec.Of, spec.Target))
	for _, target := range from.Targets {
		if name := c.full(spec.Fault, target.Kind); name != "" {
			return name // it picks among those that the fault is for
		}
	}
	return ""
}

// row adds a row, or to the row what another policy asks for too. Of several ages asked for, the shortest holds.
func (c *coverage) row(key coverageKey, policy jenner.Policy, experiments []string) {
	row, known := c.rows[key]
	if !known {
		row = &CoverageRow{Fault: key.fault, Service: key.service, Runbook: key.runbook, Cause: key.cause}
		c.rows[key] = row
	}
	row.Policies = append(row.Policies, policy.Name)
	for _, name := range experiments {
		if !slices.Contains(row.Experiments, name) {
			row.Experiments = append(row.Experiments, name)
		}
	}
	if asked := policy.RequiresProof; asked > 0 && (row.Asked == 0 || asked < row.Asked) {
		row.Asked = asked
	}
}

// stand says how a row stands: by the last drill about it, all of whose rounds must have proven it.
func stand(row *CoverageRow, docs *jenner.Documents, proofs []jenner.Proof, now time.Time) {
	row.State = CoverageUntried
	var last []jenner.Proof // those of the last drill
	for _, proof := range proofs {
		same := proof.Fault == row.Fault && proof.Service == row.Service && proof.Runbook == row.Runbook
		// A drill that found another cause than it should have is about the cause that it should have found.
		foreign := proof.Cause != "" && proof.Cause != row.Cause && proof.Verdict == jenner.VerdictProven
		if !same || foreign || proof.At.After(now) {
			continue
		}
		switch {
		case len(last) > 0 && last[0].Drill == proof.Drill:
			last = append(last, proof)
		case len(last) == 0 || !proof.At.Before(last[len(last)-1].At):
			last = []jenner.Proof{proof}
		}
	}
	if len(last) == 0 {
		return
	}
	told := last[len(last)-1]
	for _, proof := range last {
		if proof.Verdict != jenner.VerdictProven {
			told = proof
		}
	}
	row.Verdict, row.At, row.Drill, row.Versions = told.Verdict, told.At, told.Drill, told.Versions
	if told.Verdict != jenner.VerdictProven {
		row.State = CoverageFailing
		return
	}
	row.State = CoverageProven
	if row.Why = Stale(told, docs, now, row.Asked.Std()); row.Why != "" {
		row.State = CoverageStale
	}
}
