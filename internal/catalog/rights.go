package catalog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Need is a right, and what it is needed for.
type Need struct {
	jenner.Right
	For []string // `runbook restart-one, step restart, on deployment/web of shop`
}

// Rights are all that the documents need of API servers, in the order of Right.Compare, each once: for observing their
// services, for the runbooks that a policy may lead to, and for the faults of experiments and game days. Where no policy lets
// a runbook change anything on a service without a person who does it, the rights to change are left out. The error tells
// what cannot be read; the documents should have been checked.
func (c *Catalog) Rights(docs *jenner.Documents) ([]Need, error) {
	n := needs{Catalog: c, docs: docs, by: map[jenner.Right]int{}}
	for _, service := range docs.Services {
		n.service(service)
	}
	for _, book := range docs.Runbooks {
		n.runbook(book)
	}
	for _, experiment := range docs.Experiments {
		n.experiment(experiment)
	}
	for _, day := range docs.Gamedays {
		for _, fault := range day.Faults {
			if fault.Fault != "" {
				n.fault("game day "+day.Name, jenner.FaultSpec{Fault: fault.Fault, Target: fault.Target, Params: fault.Params}, jenner.Service{})
			}
		}
	}
	slices.SortFunc(n.all, func(a, b Need) int { return a.Compare(b.Right) })
	return n.all, errors.Join(n.errs...)
}

// needs is one call of Rights.
type needs struct {
	*Catalog
	docs *jenner.Documents
	all  []Need
	by   map[jenner.Right]int
	errs []error
}

func (n *needs) failed(what string, err error) {
	n.errs = append(n.errs, fmt.Errorf("the rights that %s needs are not known: %w", what, err))
}

// ask asks what a capability needs, if it needs anything. Its parameters are read first.
func (n *needs) ask(what string, capability any, params jenner.Params, service jenner.Service, target jenner.Target, wanted func(jenner.Right) bool) {
	needing, does := capability.(jenner.NeedsRights)
	if !does {
		return
	}
	if err := strict.Decode(params, capability); err != nil {
		n.failed(what, err)
		return
	}
	rights, err := needing.Rights(service, target)
	if err != nil {
		n.failed(what, err)
		return
	}
	for _, right := range rights {
		if wanted == nil || wanted(right) {
			n.add(right, what)
		}
	}
}

func (n *needs) add(right jenner.Right, what string) {
	at, known := n.by[right]
	if !known {
		at = len(n.all)
		n.by[right] = at
		n.all = append(n.all, Need{Right: right})
	}
	if !slices.Contains(n.all[at].For, what) {
		n.all[at].For = append(n.all[at].For, what)
	}
}

// service is what observing it needs.
func (n *needs) service(service jenner.Service) {
	for _, target := range service.Targets {
		what := fmt.Sprintf("target %s of %s", target.Ref(), service.Name)
		if entry, err := n.TargetKind(target.Kind); err == nil {
			n.ask(what, entry.New(), target.Params, service, target, nil)
		}
		if entry, err := n.Probe(jenner.AliveProbe, target.Kind); err == nil {
			n.ask("the probe alive on "+what, entry.New(), nil, service, target, nil)
		}
		for _, entry := range n.Observers() {
			if slices.Contains(entry.Kinds, target.Kind) {
				n.ask("observing "+what, entry.New(), nil, service, target, nil)
			}
		}
	}
	for _, probe := range service.Probes {
		n.probe(fmt.Sprintf("probe %s of %s", probe.Name, service.Name), probe.Kind, probe.Params, service)
	}
	for _, source := range service.Metrics {
		if entry, err := n.Source(source.Kind); source.Kind != "" && err == nil {
			n.ask(fmt.Sprintf("metrics of %s from %s", service.Name, source.Kind), entry.New(), source.Params, service, jenner.Target{}, nil)
		}
	}
}

func (n *needs) probe(what, kind string, params jenner.Params, service jenner.Service) {
	if entry, err := n.Probe(kind, ""); err == nil {
		n.ask(what, entry.New(), params, service, jenner.Target{}, nil)
	}
}

// runbook is what its steps need on each target that they may meet.
func (n *needs) runbook(book jenner.Runbook) {
	policies := slices.DeleteFunc(slices.Clone(n.docs.Policies), func(p jenner.Policy) bool { return !leadsTo(p, book) })
	for _, service := range n.docs.Services {
		picked, mayChange := len(policies) == 0, false
		for _, policy := range policies {
			if policy.Services.Picks(service) {
				picked = true
				mayChange = mayChange || policy.ModeFor(service.Environment).Boldness() >= jenner.ModeApprove.Boldness()
			}
		}
		if !picked {
			continue
		}
		wanted := reads
		if mayChange {
			wanted = nil
		}
		for _, step := range book.Steps {
			what := fmt.Sprintf("runbook %s, step %s", book.Name, step.Name)
			n.step(what, step.Action, step.Target, step.Params, service, wanted)
			if step.Undo != nil && mayChange {
				target := step.Undo.Target
				if target == "" {
					target = step.Target
				}
				n.step(what+", its undo", step.Undo.Action, target, step.Undo.Params, service, wanted)
			}
		}
	}
}

// leadsTo tells whether a policy may lead to a runbook.
func leadsTo(policy jenner.Policy, book jenner.Runbook) bool {
	return slices.Contains(policy.Runbooks, book.Name) || book.Trigger != nil && string(policy.IncidentType) == book.Name
}

// reads tells whether a right lets nobody change anything.
func reads(right jenner.Right) bool {
	return slices.Contains([]string{"get", "list", "watch"}, right.Verb)
}

// step is what an action needs on the target that is written, or on each that the diagnosis may name.
func (n *needs) step(what, action, written string, params jenner.Params, at jenner.Service, wanted func(jenner.Right) bool) {
	owner, targets := at, at.Targets
	if written != "" {
		found, target, err := n.docs.Target(written, at)
		if err != nil {
			return // of another service that the runbook is for
		}
		owner, targets = found, []jenner.Target{target}
	}
	for _, target := range targets {
		if entry, err := n.Action(action, target.Kind); err == nil {
			n.ask(fmt.Sprintf("%s, on %s of %s", what, target.Ref(), owner.Name), entry.New(), params, owner, target, wanted)
		}
	}
}

func (n *needs) experiment(experiment jenner.Experiment) {
	what := "experiment " + experiment.Name
	for i := range max(1, len(experiment.Stages)) {
		at := experiment.At(i)
		service, known := n.docs.Service(at.Service)
		if !known {
			n.failed(what, fmt.Errorf("there is no service %q", at.Service))
			continue
		}
		for _, fault := range at.Faults {
			n.fault(what, fault, service)
		}
		for _, invariant := range at.Expect.Invariants {
			if invariant.Ask != nil {
				n.probe(what+", invariant "+invariant.Name, invariant.Ask.Kind, invariant.Ask.Params, service)
			}
		}
	}
}

// fault is what a fault needs on the target that is written, or on each that it is picked from.
func (n *needs) fault(what string, fault jenner.FaultSpec, at jenner.Service) {
	of := fault.Of
	if of == "" {
		of = fault.Target
	}
	owner, known := n.docs.Service(of)
	targets := owner.Targets
	if fault.Pick.IsZero() || !known {
		found, target, err := n.docs.Target(fault.Target, at)
		if err != nil {
			n.failed(what, err)
			return
		}
		owner, targets = found, []jenner.Target{target}
	}
	for _, target := range targets {
		if entry, err := n.Fault(fault.Fault, target.Kind); err == nil {
			n.ask(fmt.Sprintf("%s, fault %s on %s of %s", what, fault.Fault, target.Ref(), owner.Name), entry.New(), fault.Params, owner, target, nil)
		}
	}
}
