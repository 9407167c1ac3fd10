package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) experiment(experiment jenner.Experiment) {
	d := c.document(kindExperiment, experiment.Name, experiment.Source)
	d.unknown("/service", "service", experiment.Service, c.index.services)
	service, known := c.docs.Service(experiment.Service)
	if known {
		d.faults(experiment, service)
		d.stages(experiment, service)
	}
	d.expectation(experiment)
	d.invariants(experiment)
	if experiment.Repeat < 0 {
		d.problem("/repeat", "repeat %d is below 0", experiment.Repeat)
	}
	present := experiment.At(0)
	subjects := []jenner.Service{service}
	if stage, known := c.docs.Service(present.Service); known {
		subjects = []jenner.Service{stage}
	}
	for i, expr := range present.AbortIf {
		d.condition(fmt.Sprintf("/abort_if/%d", i), expr, nil, subjects)
	}
	for i, expr := range present.SteadyState {
		d.condition(fmt.Sprintf("/steady_state/%d", i), expr, nil, subjects)
	}
	for _, name := range slices.Sorted(maps.Keys(present.Measure)) {
		d.promql(strict.Join("/measure", name), "measure "+name, present.Measure[name])
	}
	d.requires(experiment, service)
	d.schedule(experiment.Schedule)
	d.oneOf("/expect_verdict", "verdict", string(experiment.ExpectVerdict), spelled(jenner.Verdicts)...)
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
	for i, name := range expect.MayTouch {
		d.unknown(fmt.Sprintf("/expect/may_touch/%d", i), "service", name, d.index.services)
	}
	d.oneOf("/expect/outcome", "outcome", string(expect.Outcome), spelled(jenner.ExpectedOutcomes)...)
	switch {
	case len(experiment.Faults) == 0 && expect.NoActionFor == 0:
		d.problem("/expect", "experiment %s breaks nothing; say in expect how long nothing may be done: no_action_for: 15s",
			experiment.Name)
	case len(experiment.Faults) > 0 && expect.NoActionFor != 0 && !expect.Outcome.Negative():
		d.problem("/expect/no_action_for", "no_action_for is for experiments without faults, and for the outcomes no_action and safe_stop")
	}
	if expect.Outcome.Negative() {
		d.negative(experiment)
	}
}

// negative refuses what makes no sense where nothing is to be healed.
func (d document) negative(experiment jenner.Experiment) {
	expect := experiment.Expect
	for _, key := range []struct {
		path    string
		written bool
	}{{"/expect/cause", expect.Cause != ""}, {"/expect/runbook", expect.Runbook != ""},
		{"/expect/recovered_within", expect.RecoveredWithin != 0}} {
		if key.written {
			d.problem(key.path, "%s is for experiments in which something is to be healed, and the outcome is %s",
				key.path[strings.LastIndex(key.path, "/")+1:], expect.Outcome)
		}
	}
	if len(experiment.Faults) == 0 {
		d.problem("/expect/outcome", "the outcome %s is for experiments with faults", expect.Outcome)
	}
}
