package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) gameday(gameday jenner.Gameday) {
	d := c.document(kindGameday, gameday.Name, gameday.Source)
	if _, err := gameday.Begins(time.Now()); err != nil {
		d.problem("/at", "%v", err)
	}
	if len(gameday.Faults) == 0 {
		d.problem("/faults", "game day %s breaks nothing, so that there is nothing to practise on", gameday.Name)
	}
	var hit []jenner.Service
	for i, fault := range gameday.Faults {
		base := fmt.Sprintf("/faults/%d", i)
		hit = append(hit, d.strike(base, fault)...)
		if length := gameday.Length(); fault.At.Std() >= length {
			d.problem(base+"/at", "this fault comes %s after the beginning, when the game day of %s is over", fault.At, jenner.Duration(length))
		}
	}
	for i, expr := range gameday.AbortIf {
		d.condition(fmt.Sprintf("/abort_if/%d", i), expr, nil, hit)
	}
	for i, person := range gameday.People {
		if strings.TrimSpace(person) == "" {
			d.problem(fmt.Sprintf("/people/%d", i), "person %d of game day %s has an empty name", i+1, gameday.Name)
		}
	}
}

// strike checks one fault of a game day, and gives the services that it hits.
func (d document) strike(base string, fault jenner.GamedayFault) []jenner.Service {
	switch {
	case (fault.Experiment == "") == (fault.Fault == ""):
		d.problem(base, "a fault of a game day is either an experiment's or one of its own; write experiment: NAME, or fault and target")
		return nil
	case fault.Fault != "" && fault.Target == "":
		d.problem(base, "fault %s does not say its target; write SERVICE, or SERVICE/TARGET", fault.Fault)
		return nil
	case fault.Fault != "":
		return d.strikeOne(base, fault)
	case fault.Target != "" || len(fault.Params) > 0:
		d.problem(base, "experiment %s says itself what it hits; leave target and params out", fault.Experiment)
		return nil
	}
	at := slices.IndexFunc(d.docs.Experiments, func(e jenner.Experiment) bool { return e.Name == fault.Experiment })
	if at < 0 {
		names := make([]string, 0, len(d.docs.Experiments))
		for _, experiment := range d.docs.Experiments {
			names = append(names, experiment.Name)
		}
		d.about(kindExperiment).problem(base+"/experiment", "unknown experiment %q%s", fault.Experiment, strict.Hint(fault.Experiment, names))
		return nil
	}
	experiment := d.docs.Experiments[at]
	if len(experiment.Faults) == 0 {
		d.problem(base+"/experiment", "experiment %s breaks nothing", experiment.Name)
	}
	service, _ := d.docs.Service(experiment.Service)
	return []jenner.Service{service}
}

func (d document) strikeOne(base string, fault jenner.GamedayFault) []jenner.Service {
	service, target, err := d.docs.Target(fault.Target, jenner.Service{})
	if err != nil {
		known := slices.Concat(d.index.services, d.index.targets)
		d.about(kindService).problem(base+"/target", "there is no service or target %q%s; write SERVICE, or SERVICE/TARGET", fault.Target,
			strict.Hint(fault.Target, known))
		return nil
	}
	if d.names == nil {
		return []jenner.Service{service}
	}
	_, problems, err := d.names.Fault(fault.Fault, target.Kind, fault.Params)
	if err != nil {
		d.problem(base+"/fault", "%v", err)
	}
	d.params(base+"/params", "fault "+fault.Fault, problems, nil)
	return []jenner.Service{service}
}
