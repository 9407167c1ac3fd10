package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) experiment(experiment jenner.Experiment) {
	d := c.document(kindExperiment, experiment.Name, experiment.Source)
	d.unknown("/service", "service", experiment.Service, c.index.services)
	service, known := c.docs.Service(experiment.Service)
	for i, fault := range experiment.Faults {
		if known {
			d.fault(fmt.Sprintf("/faults/%d", i), fault, service)
		}
	}
	d.expectation(experiment)
	if experiment.Repeat < 0 {
		d.problem("/repeat", "repeat %d is below 0", experiment.Repeat)
	}
	for i, expr := range experiment.AbortIf {
		d.condition(fmt.Sprintf("/abort_if/%d", i), expr, nil, []jenner.Service{service})
	}
	for _, name := range slices.Sorted(maps.Keys(experiment.Measure)) {
		d.promql(strict.Join("/measure", name), "measure "+name, experiment.Measure[name])
	}
	d.oneOf("/expect_verdict", "verdict", string(experiment.ExpectVerdict), spelled(jenner.Verdicts)...)
}

func (d document) fault(base string, fault jenner.FaultSpec, service jenner.Service) {
	_, target, err := d.docs.Target(fault.Target, service)
	if err != nil {
		d.about(kindService).problem(base+"/target", "%v%s", err, strict.Hint(fault.Target,
			append(slices.Clone(d.index.targets), d.index.services...)))
		return
	}
	if d.names == nil {
		return
	}
	_, problems, err := d.names.Fault(fault.Fault, target.Kind, fault.Params)
	if err != nil {
		d.problem(base+"/fault", "%v", err)
	}
	d.params(base+"/params", "fault "+fault.Fault, problems, nil)
}

func (d document) expectation(experiment jenner.Experiment) {
	expect := experiment.Expect
	if expect.Cause != "" {
		d.about(kindSignature, kindRunbook).unknown("/expect/cause", "cause", string(expect.Cause), d.index.causes)
	}
	if expect.Runbook != "" {
		d.unknown("/expect/runbook", "runbook", expect.Runbook, d.index.runbooks)
	}
	if expect.Target != "" {
		d.unknown("/expect/target", "service", expect.Target, d.index.services)
	}
	switch {
	case len(experiment.Faults) == 0 && expect.NoActionFor == 0:
		d.problem("/expect", "experiment %s breaks nothing; say in expect how long nothing may be done: no_action_for: 15s",
			experiment.Name)
	case len(experiment.Faults) > 0 && expect.NoActionFor != 0:
		d.problem("/expect/no_action_for", "no_action_for is for experiments without faults")
	}
}
