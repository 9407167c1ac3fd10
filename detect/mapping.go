package detect

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/expression"
)

// The labels by which an alert says itself whose it is: the first one before all rules, the second one after them.
const (
	LabelService   = "jenner_service"
	LabelOfService = "service"
)

// Why an alert is nobody's.
const (
	NobodyIgnored  = "ignored"  // a rule says so
	NobodyUnmapped = "unmapped" // no rule holds, and no label names a service
)

// Mapped is whose an alert is.
type Mapped struct {
	Service string
	Target  jenner.TargetRef // the service's first where no rule says; zero where it has none
	By      string           // what decided: `label service`, or `mapping NAME rule 2`
	Nobody  string           // where it is nobody's, why, in a word; By and Saw say more
	Saw     string           // the rules that fit and did not hold, and why
}

// Mapper tells whose an alert is by its labels. It does not change and is safe for concurrent use.
type Mapper struct {
	docs  *jenner.Documents
	rules []mapRule
}

type mapRule struct {
	name            string
	match           map[string]*regexp.Regexp
	service, target *expression.Text
	ignore          bool
}

// NewMapper reads the mappings of documents. The error names the rule.
func NewMapper(docs *jenner.Documents) (*Mapper, error) {
	m := &Mapper{docs: docs}
	for _, mapping := range docs.Mappings {
		for i, written := range mapping.Rules {
			rule, err := readMappingRule(written)
			if err != nil {
				return nil, fmt.Errorf("mapping %s, rule %d: %w", mapping.Name, i+1, err)
			}
			rule.name = fmt.Sprintf("mapping %s rule %d", mapping.Name, i+1)
			m.rules = append(m.rules, rule)
		}
	}
	return m, nil
}

func readMappingRule(written jenner.MappingRule) (mapRule, error) {
	rule := mapRule{match: map[string]*regexp.Regexp{}, ignore: written.Ignore}
	for label, pattern := range written.Match {
		// As Prometheus has it: the whole value, and a dot is any character.
		fits, err := regexp.Compile("^(?s:" + pattern + ")$")
		if err != nil {
			return mapRule{}, fmt.Errorf("match %s: %w", label, err)
		}
		rule.match[label] = fits
	}
	scope, err := expression.Labels()
	if err != nil {
		return mapRule{}, err
	}
	if rule.service, err = scope.Text(written.Service); err != nil {
		return mapRule{}, fmt.Errorf("service: %w", err)
	}
	if rule.target, err = scope.Text(written.Target); err != nil {
		return mapRule{}, fmt.Errorf("target: %w", err)
	}
	return rule, nil
}

// Map tells whose an alert with these labels is; false where it is nobody's.
func (m *Mapper) Map(labels map[string]string) (service string, target jenner.TargetRef, ok bool) {
	found := m.Explain(labels)
	return found.Service, found.Target, found.Nobody == ""
}

// Explain is Map with how it came about.
func (m *Mapper) Explain(labels map[string]string) Mapped {
	if service, known := m.docs.Service(labels[LabelService]); known {
		return Mapped{Service: service.Name, Target: firstTarget(service), By: "label " + LabelService}
	}
	var saw []string
	for _, rule := range m.rules {
		if !rule.fits(labels) {
			continue
		}
		if rule.ignore {
			return Mapped{Nobody: NobodyIgnored, By: rule.name}
		}
		found, err := m.apply(rule, labels)
		if err == nil {
			return found
		}
		saw = append(saw, rule.name+": "+err.Error())
	}
	if service, known := m.docs.Service(labels[LabelOfService]); known {
		return Mapped{Service: service.Name, Target: firstTarget(service), By: "label " + LabelOfService, Saw: strings.Join(saw, "; ")}
	}
	return Mapped{Nobody: NobodyUnmapped, Saw: strings.Join(saw, "; ")}
}

func (r mapRule) fits(labels map[string]string) bool {
	for label, pattern := range r.match {
		if !pattern.MatchString(labels[label]) {
			return false
		}
	}
	return true
}

func (m *Mapper) apply(rule mapRule, labels map[string]string) (Mapped, error) {
	vars := map[string]any{"labels": labels}
	name, err := rule.service.Fill(vars)
	if err != nil {
		return Mapped{}, err
	}
	service, known := m.docs.Service(name)
	if !known {
		return Mapped{}, fmt.Errorf("there is no service %q", name)
	}
	found := Mapped{Service: service.Name, Target: firstTarget(service), By: rule.name}
	if rule.target.String() == "" {
		return found, nil
	}
	written, err := rule.target.Fill(vars)
	if err != nil {
		return Mapped{}, err
	}
	target, has := service.TargetNamed(written)
	if !has {
		return Mapped{}, fmt.Errorf("service %s has no target %q", name, written)
	}
	found.Target = target.Ref()
	return found, nil
}
