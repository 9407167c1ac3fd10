package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// faults checks what is to be broken, each by itself and all together.
func (d document) faults(experiment jenner.Experiment, service jenner.Service) {
	first := false
	for i, fault := range experiment.Faults {
		d.fault(fmt.Sprintf("/faults/%d", i), fault, service)
		first = first || fault.After == 0
	}
	d.overlaps(experiment.Faults)
	switch {
	case len(experiment.Faults) > 0 && !first:
		d.problem("/faults", "every fault of experiment %s comes after the first injection, which none of them is; leave after out of one",
			experiment.Name)
	case len(experiment.Faults) == 0 && experiment.Control:
		d.problem("/control", "experiment %s breaks nothing, so that no control arm can show that it stays broken", experiment.Name)
	}
}

// overlaps warns of a fault that ends while one is on that came later to the same target: that one found the target as the
// first had left it, and its undo would miss that.
func (d document) overlaps(faults []jenner.FaultSpec) {
	for i, early := range faults {
		for j, late := range faults {
			ends := early.After + early.For
			later := late.After > early.After || late.After == early.After && j > i
			outlasts := late.For == 0 || late.After+late.For > ends
			if early.For > 0 && early.Target != "" && early.Target == late.Target && later && late.After < ends && outlasts {
				d.warn(fmt.Sprintf("/faults/%d/for", i), "fault %s on %s ends while fault %s is on, which came later, so that its undo would not find the state before it",
					early.Fault, early.Target, late.Fault)
			}
		}
	}
}

func (d document) fault(base string, fault jenner.FaultSpec, service jenner.Service) {
	d.picks(base, fault)
	targets, ok := d.hittable(base, fault, service)
	if !ok || d.names == nil {
		return
	}
	fits := false
	var problems []strict.Problem
	var first error
	for _, target := range targets {
		_, found, err := d.names.Fault(fault.Fault, target.Kind, fault.Params)
		if err == nil {
			fits, problems = true, found
		} else if first == nil {
			first = err
		}
	}
	if !fits && first != nil {
		d.problem(base+"/fault", "%v", first)
	}
	d.params(base+"/params", "fault "+fault.Fault, problems, nil)
}

// picks checks what says how many targets a fault hits, and for how long.
func (d document) picks(base string, fault jenner.FaultSpec) {
	switch {
	case fault.Target == "" && fault.Of == "":
		d.problem(base, "fault %s does not say what it hits; write target, or of and pick", fault.Fault)
	case fault.Target != "" && fault.Of != "":
		d.problem(base+"/of", "fault %s has target and of; write one of them", fault.Fault)
	case fault.Of != "" && fault.Pick.IsZero():
		d.problem(base+"/of", "of names the service whose targets are picked from; write pick: one, a count or a share too")
	case fault.MaxTargets < 0:
		d.problem(base+"/max_targets", "max_targets %d is below 0", fault.MaxTargets)
	case fault.Pick.Count > fault.Most():
		d.problem(base+"/pick", "pick: %d is more than the %d that one fault may hit; write max_targets: %d if that is meant",
			fault.Pick.Count, fault.Most(), fault.Pick.Count)
	case fault.MaxTargets > 0 && fault.Pick.IsZero():
		d.warn(base+"/max_targets", "max_targets means nothing without pick")
	}
	if d.written(base+"/for") && fault.For <= 0 {
		d.problem(base+"/for", "a fault for no time breaks nothing; leave for out where it is to last until the end")
	}
}

// hittable are the targets that a fault may hit.
func (d document) hittable(base string, fault jenner.FaultSpec, service jenner.Service) ([]jenner.Target, bool) {
	switch {
	case fault.Of != "":
		d.unknown(base+"/of", "service", fault.Of, d.index.services)
		of, known := d.docs.Service(fault.Of)
		if known && len(of.Targets) == 0 {
			d.about(kindService).problem(base+"/of", "service %s has no targets to pick from", fault.Of)
		}
		return of.Targets, known
	case fault.Target == "":
		return nil, false
	}
	if of, known := d.docs.Service(fault.Target); known && !fault.Pick.IsZero() && len(of.Targets) > 0 {
		return of.Targets, true
	}
	_, target, err := d.docs.Target(fault.Target, service)
	switch {
	case err != nil:
		d.about(kindService).problem(base+"/target", "%v%s", err, strict.Hint(fault.Target,
			append(slices.Clone(d.index.targets), d.index.services...)))
	case !fault.Pick.IsZero():
		d.problem(base+"/pick", "%q is one target, of which nothing can be picked; name a service", fault.Target)
	}
	return []jenner.Target{target}, err == nil
}

// stages checks each stage and the experiment as the stage runs it.
func (d document) stages(experiment jenner.Experiment, service jenner.Service) {
	var names []string
	for i, stage := range experiment.Stages {
		names = append(names, stage.Name)
		base := fmt.Sprintf("/stages/%d", i)
		d.oneOf(base+"/by", "share", string(stage.By), spelled(jenner.StageBys)...)
		if d.written(base+"/share") && stage.Share <= 0 {
			d.problem(base+"/share", "a share of nothing breaks nothing; write 1%%")
		}
		if stage.By == jenner.StageByTraffic && stage.Share == 0 {
			d.problem(base+"/by", "stage %s does not say which share of the traffic", stage.Name)
		}
		if len(experiment.Faults) == 0 {
			d.problem(base, "experiment %s breaks nothing, so that there is nothing to begin small with", experiment.Name)
		}
		at := service
		if stage.Service != "" {
			d.unknown(base+"/service", "service", stage.Service, d.index.services)
			at, _ = d.docs.Service(stage.Service)
		}
		if at.Name != "" {
			d.stage(base, experiment, i, service, at)
		}
	}
	d.twice("/stages", "stage", names)
}

// stage checks that the faults can be made as the stage makes them. A fault of another service than the experiment's would
// hit that one also where the stage is about a third.
func (d document) stage(base string, experiment jenner.Experiment, i int, service, at jenner.Service) {
	stage := experiment.Stages[i]
	for j, fault := range experiment.At(i).Faults {
		written := experiment.Faults[j]
		owner, _, err := d.docs.Target(fault.Target, at)
		if fault.Of != "" {
			owner, _ = d.docs.Service(fault.Of)
			err = nil
		}
		switch {
		case err != nil:
			d.about(kindService).problem(base, "stage %s: fault %d: %v", stage.Name, j+1, err)
			continue
		case stage.Service != "" && at.Name != service.Name && owner.Name != at.Name:
			d.problem(base+"/service", "stage %s is about %s, and fault %s would hit %s", stage.Name, at.Name, fault.Fault, owner.Name)
		}
		if stage.By != jenner.StageByTraffic || d.names == nil || len(owner.Targets) == 0 {
			continue
		}
		_, target, err := d.docs.Target(fault.Target, at)
		if err != nil {
			continue
		}
		_, problems, err := d.names.Fault(fault.Fault, target.Kind, fault.Params)
		_, before, _ := d.names.Fault(fault.Fault, target.Kind, written.Params)
		if err == nil && len(problems) > len(before) {
			d.problem(base+"/by", "stage %s has a share of the traffic, and fault %s cannot: %s", stage.Name, fault.Fault, problems[0].Message)
		}
	}
}

// invariants checks what may not have changed.
func (d document) invariants(experiment jenner.Experiment) {
	var names []string
	for i, invariant := range experiment.Expect.Invariants {
		names = append(names, invariant.Name)
		base := fmt.Sprintf("/expect/invariants/%d", i)
		numeric := invariant.RisesAtMost != nil || invariant.Below != nil || invariant.Above != nil
		switch {
		case (invariant.PromQL == "") == (invariant.Ask == nil):
			d.problem(base, "invariant %s needs either promql or ask", invariant.Name)
		case !numeric && !invariant.Same:
			d.problem(base, "invariant %s does not say what may not change; write same: true, rises_at_most, below or above", invariant.Name)
		case invariant.PromQL != "":
			d.promql(base+"/promql", "invariant "+invariant.Name, strings.ReplaceAll(invariant.PromQL, jenner.ServiceWord, experiment.Service))
		case d.names != nil:
			problems, err := d.names.Probe(invariant.Ask.Kind, invariant.Ask.Params)
			d.params(strict.Join(base+"/ask", invariant.Ask.Kind), "invariant "+invariant.Name, problems, err)
		}
	}
	d.twice("/expect/invariants", "invariant", names)
}

func (d document) requires(experiment jenner.Experiment, service jenner.Service) {
	if experiment.Requires == nil {
		return
	}
	for i := range max(1, len(experiment.Stages)) {
		at, known := d.docs.Service(experiment.At(i).Service)
		if !known {
			at = service
		}
		if experiment.Requires.ErrorBudget > 0 && at.Name != "" && len(at.SLOs) == 0 {
			d.about(kindService).problem("/requires/error_budget", "service %s has no SLO, so that nobody would know what is left of an error budget", at.Name)
		}
	}
}

// schedule refuses times that nobody can read, and a window that would let one drill begin when the next is due.
func (d document) schedule(schedule *jenner.Schedule) {
	if schedule == nil {
		return
	}
	zone := schedule.Timezone
	if zone == "" {
		zone = "UTC"
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		d.problem("/schedule/timezone", "%q is no time zone; write one such as Europe/Berlin or UTC", schedule.Timezone)
		return
	}
	parsed, err := cron.ParseStandard(schedule.Cron)
	switch {
	case err != nil:
		d.problem("/schedule/cron", "%q cannot be read: %v; write minute, hour, day of month, month and day of week, such as 0 3 * * 1-5",
			schedule.Cron, err)
	case strings.Contains(schedule.Cron, "TZ="):
		d.problem("/schedule/cron", "write the time zone as timezone: Europe/Berlin, and not within cron")
	case parsed.Next(time.Now().In(location)).IsZero():
		d.problem("/schedule/cron", "%q never comes", schedule.Cron)
	}
}
