package loop

import (
	"context"
	"maps"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/diagnose"
	"github.com/jenner-heal/jenner/learn"
)

// decideInput gathers every number that the guards look at. The guards themselves look nowhere else.
func (w *World) decideInput(ctx context.Context, step *incidentStep) (decide.Input, error) {
	incident, docs := step.State, w.Docs()
	cause, _ := incident.Diagnosis.Best()
	service, _ := docs.Service(cause.Service)
	target, _ := service.TargetNamed(cause.Target.Name)
	book, known := docs.Runbook(incident.Plan[0])
	if !known {
		return decide.Input{}, jenner.Permanent(errGone(incident.Plan[0]), "")
	}
	ledger, err := w.Store.LedgerOf(ctx, cause.Service, step.Now.Add(-ledgerWindow))
	if err != nil {
		return decide.Input{}, jenner.Retryable(err, "")
	}
	proofs, err := w.Store.Proofs(ctx)
	if err != nil {
		return decide.Input{}, jenner.Retryable(err, "")
	}
	return decide.Input{Now: step.Now, Policy: incident.Policy, Runbook: book, Service: service, Target: target.Ref(),
		Cause: cause, Incident: *incident, Alerts: incident.Alerts, Holds: w.Holds(), Ledger: ledger,
		Dependencies: w.dependencies(service), Siblings: w.siblings(service), Proofs: current(proofs, docs),
		Versions:     map[string]string{learn.VersionService: jenner.Hash(service), learn.VersionRunbook: jenner.Hash(book)},
		TelemetryAge: w.telemetryAge(service, step.Now)}, nil
}

// current leaves the experiment out of the versions of those proofs whose experiment is still as it was, so that what
// remains is what the guard compares: the service and the runbook.
func current(proofs []jenner.Proof, docs *jenner.Documents) []jenner.Proof {
	hashes := map[string]string{}
	for _, experiment := range docs.Experiments {
		hashes[experiment.Name] = jenner.Hash(experiment)
	}
	found := make([]jenner.Proof, 0, len(proofs))
	for _, proof := range proofs {
		if hashes[proof.Experiment] == proof.Versions[learn.VersionExperiment] {
			proof.Versions = maps.Clone(proof.Versions)
			delete(proof.Versions, learn.VersionExperiment)
		}
		found = append(found, proof)
	}
	return found
}

type errGone string

func (e errGone) Error() string { return "runbook " + string(e) + " is not in the files any more" }

// dependencies are all services that a service depends on, as they were last seen.
func (w *World) dependencies(service jenner.Service) []decide.Dependency {
	services := w.services()
	var found []decide.Dependency
	for _, name := range diagnose.Dependencies(services, service.Name) {
		dependency := decide.Dependency{Service: name, Status: jenner.ProbePassing, External: services[name].External,
			Firing: len(w.Board.Firing(name)) > 0}
		states := w.Telemetry.Probes(name)
		if len(states) == 0 {
			dependency.Status = jenner.ProbeUnknown
		}
		for i, state := range states {
			dependency.Status = worse(dependency.Status, state.Status)
			if i == 0 || state.At.Before(dependency.SeenAt) {
				dependency.SeenAt = state.At
			}
		}
		found = append(found, dependency)
	}
	return found
}

// worse is the status that matters more.
func worse(a, b jenner.ProbeStatus) jenner.ProbeStatus {
	rank := map[jenner.ProbeStatus]int{jenner.ProbePassing: 0, jenner.ProbeSlow: 1, jenner.ProbeUnknown: 2, jenner.ProbeFailing: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// siblings counts the targets of a service and those of them that are known to live.
func (w *World) siblings(service jenner.Service) decide.Siblings {
	siblings := decide.Siblings{Total: len(service.Targets)}
	for _, target := range service.Targets {
		healthy := true
		for _, state := range w.Telemetry.Probes(service.Name) {
			if state.Target == target.Ref() || state.Target == (jenner.TargetRef{}) {
				healthy = healthy && state.Status == jenner.ProbePassing
			}
		}
		if healthy {
			siblings.Healthy++
		}
	}
	return siblings
}

// telemetryAge is how long ago anything at all was last heard about a service: an answer of a probe, or an alert, which is
// all there is of a service that somebody else watches.
func (w *World) telemetryAge(service jenner.Service, now time.Time) time.Duration {
	var newest time.Time
	for _, alert := range w.Board.Firing(service.Name) {
		if alert.SeenAt.After(newest) {
			newest = alert.SeenAt
		}
	}
	for _, state := range w.Telemetry.Probes(service.Name) {
		if state.At.After(newest) {
			newest = state.At
		}
	}
	return now.Sub(newest)
}
