package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// What Kubernetes calls a catalogue: an object of the Prometheus operator.
const (
	operatorVersion = "monitoring.coreos.com/v1"
	operatorKind    = "PrometheusRule"
)

// operatorRule reads a PrometheusRule as it stands in a cluster, or in a repository for one.
func (r *formReader) operatorRule() (*form, []strict.Problem) {
	if version := r.value("apiVersion"); version == nil || version.Value != operatorVersion {
		return nil, problemAt(r.node, "a %s needs apiVersion: %s", operatorKind, operatorVersion)
	}
	spec := r.value("spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return nil, problemAt(r.node, "a %s needs the mapping spec, with groups", operatorKind)
	}
	fields := *spec
	fields.Content = slices.Clone(spec.Content)
	if metadata := r.value("metadata"); metadata != nil {
		if name := valueOf(metadata, "name"); name != nil {
			fields.Content = append(fields.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: objectName}, name)
		}
	}
	return &form{kindCatalogue, &fields}, nil
}

// objectName is the key under which the name of a PrometheusRule is handed on; nobody can write it.
const objectName = "\x00name"

// passedOver are keys that mean nothing here, and are right in other programs' catalogues.
var passedOver = []string{"partial_response_strategy"} // Thanos'

// durations are the keys whose values are durations as Prometheus reads them.
var durations = []string{"interval", "query_offset", "for", "keep_firing_for"}

// addCatalogue reads rules with Prometheus' own reader, so that what loads there loads here.
func addCatalogue(all *jenner.Documents, fields *yaml.Node, _ string, source jenner.Source) (strict.Positions, string, []strict.Problem) {
	c := &catalogueReader{lines: strict.Positions{"": fields.Line}}
	c.walk(fields, "")
	written := *fields
	name := strings.TrimSuffix(filepath.Base(source.File), filepath.Ext(source.File))
	if given := valueOf(fields, objectName); given != nil {
		name, written.Content = given.Value, fields.Content[:len(fields.Content)-2]
	}
	place := fmt.Sprintf("%s:%d", source.File, source.Line)
	c.keys(&written, reflect.TypeFor[rulefmt.RuleGroups](), "a catalogue")
	if len(c.problems) > 0 {
		return c.lines, place, c.problems
	}
	catalogue := jenner.Catalogue{Name: name, Source: source, Groups: c.groups(&written)}
	all.Catalogues = append(all.Catalogues, catalogue)
	return c.lines, place, c.problems
}

// catalogueReader is one call of addCatalogue.
type catalogueReader struct {
	lines    strict.Positions
	problems []strict.Problem
}

func (c *catalogueReader) problem(line int, format string, args ...any) {
	c.problems = append(c.problems, strict.Problem{Line: line, Message: fmt.Sprintf(format, args...)})
}

// walk takes note of where everything stands.
func (c *catalogueReader) walk(node *yaml.Node, path string) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			below := strict.Join(path, node.Content[i].Value)
			c.lines[below] = node.Content[i].Line
			c.walk(node.Content[i+1], below)
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			below := strict.Join(path, strconv.Itoa(i))
			c.lines[below] = item.Line
			c.walk(item, below)
		}
	}
}

// keys refuses keys that Prometheus does not know, as it does itself.
func (c *catalogueReader) keys(node *yaml.Node, structure reflect.Type, what string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return // its reader says so
	}
	inner, known := map[string]reflect.Type{}, []string{}
	for i := range structure.NumField() {
		field := structure.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		known = append(known, key)
		if field.Type.Kind() == reflect.Slice {
			inner[key] = field.Type.Elem()
		}
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !slices.Contains(known, key.Value) && key.Value != "<<" && !slices.Contains(passedOver, key.Value) {
			c.problem(key.Line, "unknown key %q in %s%s", key.Value, what, strict.Hint(key.Value, known))
		}
		if slices.Contains(durations, key.Value) && value.Kind == yaml.ScalarNode && value.Value != "" {
			if _, err := model.ParseDuration(value.Value); err != nil {
				c.problem(key.Line, "%s of %s: %v", key.Value, what, err)
			}
		}
		if below, list := inner[key.Value]; list && value.Kind == yaml.SequenceNode {
			for _, item := range value.Content {
				c.keys(item, below, map[string]string{"groups": "a group", "rules": "a rule"}[key.Value])
			}
		}
	}
}

// groups reads all groups. What is wrong with a rule is told with its own line.
func (c *catalogueReader) groups(fields *yaml.Node) []jenner.RuleGroup {
	var read rulefmt.RuleGroups
	var nodes struct {
		Groups []rulefmt.RuleGroupNode `yaml:"groups"`
	}
	for _, into := range []any{&read, &nodes} {
		if err := fields.Decode(into); err != nil {
			c.broken(fields.Line, err)
			return nil
		}
	}
	scheme, promql := model.UTF8Validation, parser.NewParser(parser.Options{})
	seen := map[string]bool{}
	var groups []jenner.RuleGroup
	for i, group := range read.Groups {
		base := fmt.Sprintf("/groups/%d", i)
		if group.Name == "" {
			c.problem(c.lines.Line(base), "a group has no name")
		} else if seen[group.Name] {
			c.problem(c.lines.Line(base+"/name"), "there are two groups called %q in this catalogue", group.Name)
		}
		seen[group.Name] = true
		made := jenner.RuleGroup{Name: group.Name, Interval: jenner.Duration(group.Interval), Limit: group.Limit, Labels: group.Labels}
		if group.QueryOffset != nil {
			made.QueryOffset = jenner.Duration(*group.QueryOffset)
		}
		for j, rule := range group.Rules {
			line := c.lines.Line(fmt.Sprintf("%s/rules/%d", base, j))
			for _, wrong := range rule.Validate(nodes.Groups[i].Rules[j], scheme, promql) {
				c.wrongRule(line, group.Name, rule, wrong.Error())
			}
			made.Rules = append(made.Rules, jenner.GroupRule{Record: rule.Record, Alert: rule.Alert, Expr: rule.Expr,
				For: jenner.Duration(rule.For), KeepFiringFor: jenner.Duration(rule.KeepFiringFor), Labels: rule.Labels,
				Annotations: rule.Annotations, Line: line})
		}
		groups = append(groups, made)
	}
	return groups
}

var (
	ruleLine   = regexp.MustCompile(`^(?:(\d+):\d+: )+`)
	decodeLine = regexp.MustCompile(`^line (\d+): `)
)

// wrongRule tells what Prometheus finds wrong with a rule. The last of the lines that it names is the one.
func (c *catalogueReader) wrongRule(line int, group string, rule rulefmt.Rule, said string) {
	if match := ruleLine.FindStringSubmatch(said); match != nil {
		if at, err := strconv.Atoi(match[1]); err == nil && at > 0 {
			line = at
		}
		said = strings.TrimPrefix(said, match[0])
	}
	name := rule.Alert + rule.Record
	if name == "" {
		name = "without a name"
	}
	c.problem(line, "rule %s of group %s: %s", name, group, strings.ReplaceAll(said, "\n", " "))
}

// broken tells what the YAML library found, one problem a line.
func (c *catalogueReader) broken(line int, err error) {
	said := strings.Split(strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n"), "\n")
	for _, one := range said {
		at, text := line, strings.TrimPrefix(strings.TrimSpace(one), "yaml: ")
		if match := decodeLine.FindStringSubmatch(text); match != nil {
			at, _ = strconv.Atoi(match[1])
			text = strings.TrimPrefix(text, match[0])
		}
		c.problem(at, "the catalogue cannot be read: %s", text)
	}
}
