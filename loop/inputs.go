package loop

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/learn"
)

// decideInput gathers every number that the guards look at. The guards themselves look nowhere else.
func (w *World) decideInput(ctx context.Context, step *incidentStep) (decide.Input, []act.Surveyed, error) {
	incident, docs := step.State, w.Docs()
	cause, _ := incident.Diagnosis.Best()
	service := w.graph().services[cause.Service]
	target, _ := service.TargetNamed(cause.Target.Name)
	book, known := w.graph().runbooks[incident.Plan[0]]
	if !known {
		return decide.Input{}, nil, jenner.Permanent(errGone(incident.Plan[0]), "")
	}
	surveyed, err := w.Stepper.Survey(ctx, incident, book, target.Ref())
	if err != nil {
		return decide.Input{}, nil, err
	}
	input := decide.Input{Now: step.Now, Policy: incident.Policy, Runbook: book, Service: service, Target: target.Ref(),
		Cause: cause, Incident: *incident, Alerts: incident.Alerts, Holds: w.Holds(), Dependencies: w.dependencies(service),
		Siblings: w.siblings(service), Version: w.version(book), Limits: docs.Limits}
	input.TelemetryAge, input.Believed = w.telemetryAge(service, step.Now)
	input.Steps, input.Owners, input.Places = touching(surveyed, service, target.Ref())
	if w.Planned != nil {
		input.Planned, input.Gaps = w.Planned(service, step.Now)
	}
	if incident.Policy.ErrorBudget != nil {
		input.Budgets = w.Budgets(ctx, service)
	}
	if incident.Policy.Approval != nil {
		input.Approvers = docs.Approvers(*incident.Policy.Approval, service)
	}
	if err := w.remembered(ctx, step, &input); err != nil {
		return decide.Input{}, nil, jenner.Retryable(err, "")
	}
	return input, surveyed, nil
}

// remembered adds what the store knows: what was done before, and what that has proved.
func (w *World) remembered(ctx context.Context, step *incidentStep, input *decide.Input) (err error) {
	policy, docs := input.Policy, w.Docs()
	window := ledgerWindow
	if policy.Recurrence != nil {
		window = max(window, policy.Recurrence.Window.Std())
	}
	if input.Ledger, err = w.Store.LedgerOf(ctx, input.Service.Name, step.Now.Add(-window), step.Now); err != nil {
		return err
	}
	if input.OfRunbook, err = w.Store.LedgerOfRunbook(ctx, input.Runbook.Name, breakerRuns); err != nil {
		return err
	}
	if policy.CostBudget != nil || policy.MaxConcurrent > 0 {
		window := ledgerWindow
		if policy.CostBudget != nil {
			window = policy.CostBudget.Window.Or(ledgerWindow)
		}
		if input.OfPolicy, err = w.Store.LedgerOfPolicy(ctx, policy.Name, step.Now.Add(-window)); err != nil {
			return err
		}
	}
	if policy.RequiresProof > 0 || policy.Promotion != nil {
		proofs, err := w.Store.Proofs(ctx)
		if err != nil {
			return err
		}
		input.Proofs = current(proofs, docs)
		input.Versions = learn.VersionsNow(docs, input.Service, input.Runbook, input.Cause.Cause)
	}
	input.Standing, err = w.standing(ctx, policy, input.Service, input.Runbook, input.Proofs, step.Now)
	return err
}

// standing is where a policy stands on the ladder for a service.
func (w *World) standing(ctx context.Context, policy jenner.Policy, service jenner.Service, book jenner.Runbook,
	proofs []jenner.Proof, now time.Time) (jenner.Standing, error) {
	evidence := learn.Evidence{Policy: policy, Service: service, Runbook: book, Proofs: proofs, Now: now}
	if policy.Promotion != nil {
		var err error
		if evidence.Judgements, err = w.Store.Judgements(ctx, policy.Name, time.Time{}); err != nil {
			return jenner.Standing{}, err
		}
	}
	return learn.Stand(evidence), nil
}

// touching says what the steps of a runbook would touch: how much, whose, and where, the run's own target first.
func touching(surveyed []act.Surveyed, service jenner.Service, target jenner.TargetRef) (sizes []decide.StepSize,
	owners []decide.Ownership, places []string) {
	if target.Name != "" {
		places = []string{jenner.LedgerEntry{Service: service.Name, Target: target}.Place()}
	}
	for _, one := range surveyed {
		if one.Size.Unit != "" {
			sizes = append(sizes, decide.StepSize{Step: one.Step, Unit: one.Size.Unit, Want: one.Size.Want, Total: one.Size.Total})
		}
		if one.Service.External && !one.Reads && one.Target.Name != "" {
			owners = append(owners, decide.Ownership{Step: one.Step, Service: one.Service.Name, Target: one.Target.Ref(), External: true})
		}
		if one.Controller != "" {
			owners = append(owners, decide.Ownership{Step: one.Step, Service: one.Service.Name, Target: one.Target.Ref(),
				Controller: one.Controller, Through: one.Through})
		}
		place := jenner.LedgerEntry{Service: one.Service.Name, Target: one.Target.Ref()}.Place()
		if !one.Reads && one.Target.Name != "" && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return sizes, owners, places
}

// current leaves the experiment out of the versions of those proofs whose experiment is still as it was, so that what
// remains is what the guard compares: the service, the signatures and the runbook.
func current(proofs []jenner.Proof, docs *jenner.Documents) []jenner.Proof {
	hashes := map[string]string{}
	for _, experiment := range docs.Experiments {
		hashes[experiment.Name] = jenner.Hash(experiment)
	}
	found := make([]jenner.Proof, 0, len(proofs))
	for _, proof := range proofs {
		if hashes[proof.Experiment] == proof.Versions[jenner.VersionExperiment] {
			proof.Versions = maps.Clone(proof.Versions)
			delete(proof.Versions, jenner.VersionExperiment)
		}
		found = append(found, proof)
	}
	return found
}

type errGone string

func (e errGone) Error() string { return "runbook " + string(e) + " is not in the files any more" }

// dependencies are all services that a service depends on, as they were last seen.
func (w *World) dependencies(service jenner.Service) []decide.Dependency {
	services := w.graph().services
	var found []decide.Dependency
	for _, name := range w.dependenciesOf(service.Name) {
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
// all there is of a service that somebody else watches. An alert made of a server's numbers is as old as the newest of them.
// believed is for how long that server's numbers are; zero where there is no server.
func (w *World) telemetryAge(service jenner.Service, now time.Time) (age, believed time.Duration) {
	var newest time.Time
	if w.Heard != nil {
		newest, believed = w.Heard(service)
	}
	for _, alert := range w.Board.Firing(service.Name) {
		if !alert.ValidUntil.IsZero() && alert.Vouched(now) && now.After(newest) {
			newest = now // whoever vouches for it looks
		}
		if ofNumbers := alert.Kind == jenner.AlertRule || alert.Kind == jenner.AlertSLI || alert.Kind == jenner.AlertTrigger; ofNumbers && believed > 0 {
			continue
		}
		if alert.SeenAt.After(newest) {
			newest = alert.SeenAt
		}
	}
	for _, state := range w.Telemetry.Probes(service.Name) {
		if state.At.After(newest) {
			newest = state.At
		}
	}
	return now.Sub(newest), believed
}
