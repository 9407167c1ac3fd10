package jenner

import (
	"slices"
	"strings"
)

// Stage is one part of a drill that begins small: on another service first, or on a share of the targets or the traffic.
// The next stage begins only when this one came out as expected and the service stayed steady.
type Stage struct {
	Name      string   `json:"name"`                 // unique within the experiment
	Service   string   `json:"service,omitempty"`    // one of the same role, such as that of staging; the experiment's where not said
	Share     Share    `json:"share,omitempty"`      // of the targets or of the traffic; as the faults say themselves where not said
	By        StageBy  `json:"by,omitempty"`         // what Share is a share of; targets where not said
	SteadyFor Duration `json:"steady_for,omitempty"` // the service must stay steady for so long after the undo
}

// StageBy says what a stage has a share of.
type StageBy string

// What a stage has a share of: of the targets of the service that a fault names, or of the traffic, for faults that have a
// parameter `share`.
const (
	StageByTargets StageBy = "targets"
	StageByTraffic StageBy = "traffic"
)

// StageBys are all of them.
var StageBys = []StageBy{StageByTargets, StageByTraffic}

// ServiceWord stands for the service's name in the PromQL and the conditions of an experiment.
const ServiceWord = "$service"

// At is the experiment as one of its stages runs it, from 0 on: about the stage's service, with its share. An experiment
// without stages has one, which is the experiment itself. In both, the name of the service stands in place of $service.
func (e Experiment) At(stage int) Experiment {
	was := e.Service
	e.Faults = slices.Clone(e.Faults)
	if stage < len(e.Stages) {
		at := e.Stages[stage]
		if at.Service != "" {
			e.Service = at.Service
		}
		for i := range e.Faults {
			e.Faults[i] = e.Faults[i].at(at, was, e.Service)
		}
		if e.Expect.Target == was {
			e.Expect.Target = e.Service
		}
	}
	e.SteadyState, e.AbortIf = named(e.SteadyState, e.Service), named(e.AbortIf, e.Service)
	measure := map[string]string{}
	for name, promql := range e.Measure {
		measure[name] = strings.ReplaceAll(promql, ServiceWord, e.Service)
	}
	e.Measure = measure
	e.Expect.Invariants = slices.Clone(e.Expect.Invariants)
	for i := range e.Expect.Invariants {
		e.Expect.Invariants[i].PromQL = strings.ReplaceAll(e.Expect.Invariants[i].PromQL, ServiceWord, e.Service)
	}
	return e
}

func named(expressions []string, service string) []string {
	expressions = slices.Clone(expressions)
	for i := range expressions {
		expressions[i] = strings.ReplaceAll(expressions[i], ServiceWord, service)
	}
	return expressions
}

// at is a fault as a stage makes it.
func (f FaultSpec) at(stage Stage, was, is string) FaultSpec {
	if owner, target, both := strings.Cut(f.Target, "/"); owner == was {
		f.Target = is
		if both {
			f.Target += "/" + target
		}
	}
	if f.Of == was {
		f.Of = is
	}
	switch {
	case stage.Share == 0:
	case stage.By == StageByTraffic:
		params := Params{}
		for name, value := range f.Params {
			params[name] = value
		}
		params["share"] = Raw(stage.Share)
		f.Params = params
	default:
		f.Pick = Pick{Share: stage.Share}
	}
	return f
}
