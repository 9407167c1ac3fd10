package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/expression"
	"github.com/jenner-heal/jenner/internal/strict"
)

func (c *checker) mapping(mapping jenner.Mapping) {
	d := c.document(kindMapping, mapping.Name, mapping.Source)
	if len(mapping.Rules) == 0 {
		d.problem("/rules", "mapping %s has no rules", mapping.Name)
	}
	for i, rule := range mapping.Rules {
		d.mappingRule(fmt.Sprintf("/rules/%d", i), fmt.Sprintf("rule %d of mapping %s", i+1, mapping.Name), rule)
	}
}

func (d document) mappingRule(base, what string, rule jenner.MappingRule) {
	if len(rule.Match) == 0 {
		d.problem(base, "%s would fit every alert; write match: {alertname: .+} where that is meant", what)
	}
	for _, label := range slices.Sorted(maps.Keys(rule.Match)) {
		path := strict.Join(base+"/match", label)
		if !model.UTF8Validation.IsValidLabelName(label) { // Grafana's have spaces
			d.problem(path, "%q is no name of a label", label)
		}
		if _, err := regexp.Compile(rule.Match[label]); err != nil {
			d.problem(path, "the pattern of label %s cannot be read: %v", label, err)
		}
	}
	switch {
	case rule.Ignore && rule.Service+rule.Target != "":
		d.problem(base+"/ignore", "%s ignores its alerts and gives them to a service; write one of them", what)
	case !rule.Ignore && rule.Service == "":
		d.problem(base, "%s names no service; write service: NAME, service: '{{ labels.app }}', or ignore: true", what)
	case !rule.Ignore:
		d.mappedTo(base, what, rule)
	}
}

// mappedTo looks up the service and the target of a rule, where they are written and not read from labels.
func (d document) mappedTo(base, what string, rule jenner.MappingRule) {
	scope, err := expression.Labels()
	if err != nil {
		d.problem(base, "%s cannot be read: %v", what, err)
		return
	}
	service, err := scope.Text(rule.Service)
	if err != nil {
		d.problem(base+"/service", "the service of %s cannot be read: %v", what, err)
		return
	}
	target, err := scope.Text(rule.Target)
	if err != nil {
		d.problem(base+"/target", "the target of %s cannot be read: %v", what, err)
		return
	}
	if !service.Plain() {
		return
	}
	d.unknown(base+"/service", kindService, rule.Service, d.index.services)
	owner, known := d.docs.Service(rule.Service)
	if _, has := owner.TargetNamed(rule.Target); known && rule.Target != "" && target.Plain() && !has {
		var names []string
		for _, target := range owner.Targets {
			names = append(names, target.Name)
		}
		d.about(kindService).problem(base+"/target", "service %s has no target %q%s", owner.Name, rule.Target, strict.Hint(rule.Target, names))
	}
}
