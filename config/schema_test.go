package config_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func paramTypes() config.ParamTypes {
	known := names.(catalog.Names)
	return config.ParamTypes{Targets: known.TargetParams(), Probes: known.ProbeParams(),
		Sources: known.SourceParams(), Notifiers: known.NotifierParams()}
}

func resolved(t *testing.T, kind string, params ...config.ParamTypes) *jsonschema.Resolved {
	t.Helper()
	raw, err := config.Schema(kind, params...)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatalf("the schema of %s cannot be read: %v", kind, err)
	}
	if schema.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("the schema of %s says %q", kind, schema.Schema)
	}
	r, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatalf("the schema of %s does not hold together: %v", kind, err)
	}
	return r
}

// values are the documents of a file as a schema sees them, by kind.
func values(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n---\n") {
		var value map[string]any
		if err := yaml.Unmarshal([]byte(part), &value); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var plain map[string]any
		if err := json.Unmarshal(raw, &plain); err != nil {
			t.Fatal(err)
		}
		all = append(all, plain)
	}
	return all
}

func kindOf(value map[string]any) string {
	if kind, ok := value["kind"].(string); ok {
		return strings.ToLower(kind)
	}
	for key, kind := range map[string]string{"steps": "runbook", "members": "team", "ics": "calendar",
		"max_targets_at_once": "limits", "max_targets_of_service": "limits"} {
		if _, ok := value[key]; ok {
			return kind
		}
	}
	return "policy"
}

func TestSchemasFitTheDocuments(t *testing.T) {
	for _, name := range []string{"whole.yaml", "shapes.yaml", "world.yaml", "brakes.yaml"} {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range values(t, string(raw)) {
			for _, params := range [][]config.ParamTypes{nil, {paramTypes()}} {
				if err := resolved(t, kindOf(value), params...).Validate(value); err != nil {
					t.Errorf("%s: %v does not fit its schema: %v", name, value, err)
				}
			}
		}
	}
}

func TestSchemasRefuseWhatLoadRefuses(t *testing.T) {
	for document, want := range map[string]bool{
		"kind: service\nname: a":            true,
		"kind: service\nname: a\nprobs: []": false,
		"kind: service":                     false,
		"name: a":                           false,
		"kind: runbook\nname: a\nsteps: [{name: a, action: b, timeout: 5}]":                             false,
		"kind: runbook\nname: a\nsteps: [{name: a, action: b, timeout: 5s}]":                            true,
		"kind: runbook\nname: a\nsteps: [{name: a, action: b, timeot: 5s}]":                             false,
		"kind: policy\nincident_type: a\nmode: automatic":                                               false,
		"kind: policy\nincident_type: a\nconfidence_threshold: 2":                                       false,
		"kind: policy\nincident_type: a\nconfidence_threshold: high":                                    true,
		"kind: policy\nincident_type: a\nconfidence_threshold: 92%":                                     true,
		"kind: policy\nincident_type: a\nblast_radius: {max_pods: 15% 3}":                               true,
		"kind: policy\nincident_type: a\nblast_radius: {max_pods: 3}":                                   true,
		"kind: policy\nincident_type: a\nblast_radius: {max_pods: some}":                                false,
		"kind: policy\nincident_type: a\nblast_radius: {pods: 3}":                                       false,
		"remediation_policy: {incident_type: a, auto_execute: yes please}":                              false,
		"kind: service\nname: a\ntargets: [{kind: process, name: a, start: b, dir: c}]":                 false,
		"kind: service\nname: a\nprobes: [{name: a, kind: {url: b}}]":                                   false,
		"kind: service\nname: a\ntargets: [{kind: process, name: a, go: 1}]":                            false,
		"kind: service\nname: a\ntargets: [{kind: proces, name: a}]":                                    false,
		"kind: service\nname: a\nprobes: [{name: a, http: {url: b}}]":                                   true,
		"kind: service\nname: a\nprobes: [{name: a, http: {ulr: b}}]":                                   false,
		"kind: service\nname: a\nprobes: [{name: a, htp: {url: b}}]":                                    false,
		"kind: service\nname: a\nprobes: [{name: a}]":                                                   false,
		"kind: service\nname: a\nmetrics: [{scrape: http://a/}]":                                        true,
		"kind: service\nname: a\nmetrics: [{stat: {target: a}, every: 5s}]":                             true,
		"kind: service\nname: a\nmetrics: [{stat: {tagret: a}}]":                                        false,
		"kind: service\nname: a\nmetrics: [{stats: {target: a}}]":                                       false,
		"kind: service\nname: a\nmetrics: [{scrape: http://a/, stat: {target: a}}]":                     false,
		"kind: service\nname: a\nmetrics: [{every: 5s}]":                                                false,
		"kind: channel\nname: a\nterminal: {}\nwebhook: {url: b}":                                       false,
		"kind: experiment\nname: a\nhypothesis: b\nservice: c\nlease: 0":                                true,
		"kind: experiment\nname: a\nhypothesis: b\nservice: c\nrepeat: often":                           false,
		"apiVersion: jenner.dev/v1alpha1\nkind: Service\nmetadata: {name: a}\nspec: {tier: 1}":          true,
		"apiVersion: jenner.dev/v1alpha1\nkind: Service\nmetadata: {name: a}\nspec: {name: a, tier: 1}": false,
		"name: a\nmembers: [b]":                                                                true,
		"name: a\nmembers: b":                                                                  false,
		"kind: team\nname: a":                                                                  false,
		"name: a\nics: b.ics\nlower_by: 20%":                                                   true,
		"name: a\nics: b.ics\neffect: freez":                                                   false,
		"name: a\nics: b.ics\nlower_by: 120%":                                                  false,
		"kind: calendar\nname: a":                                                              false,
		"max_targets_of_service: 3":                                                            true,
		"kind: limits":                                                                         true,
		"kind: limits\nname: a":                                                                false,
		"max_targets_at_once: few":                                                             false,
		"kind: policy\nincident_type: a\nautomation: perhaps":                                  false,
		"kind: policy\nincident_type: a\nmodes: {production: automatic}":                       false,
		"kind: policy\nincident_type: a\nmodes: {production: auto}":                            true,
		"kind: policy\nincident_type: a\npromotion: {start: boldly}":                           false,
		"kind: policy\nincident_type: a\npromotion: {}":                                        true,
		"kind: policy\nincident_type: a\nerror_budget: {ask_below: 5%}":                        false,
		"kind: policy\nincident_type: a\ncost_budget: {max: 7}":                                true,
		"kind: policy\nincident_type: a\ncircuit_breaker: {failure: 7}":                        false,
		"kind: runbook\nname: a\nsteps: [{name: a, action: b, cost: 5, through: c}]":           true,
		"kind: service\nname: a\ntargets: [{kind: process, name: a, start: b, managed_by: c}]": true,
		"apiVersion: jenner.dev/v1alpha1\nkind: Limits\nmetadata: {name: a}\nspec: {max_targets_at_once: 1}": true,
		"apiVersion: jenner.dev/v1alpha1\nkind: Limits\nspec: {max_targets_at_once: 1}":                      true,
		"apiVersion: jenner.dev/v2\nkind: Service\nmetadata: {name: a}\nspec: {tier: 1}":                     false,
		"apiVersion: jenner.dev/v1alpha1\nkind: Service\nspec: {tier: 1}":                                    false,
	} {
		value := values(t, document)[0]
		kind := kindOf(value)
		if document == "name: a" {
			kind = "service"
		}
		if err := resolved(t, kind, paramTypes()).Validate(value); (err == nil) != want {
			t.Errorf("%q: fits is %v (%v), want %v", document, err == nil, err, want)
		}
		loaded, err := load(t, document)
		if fits := err == nil && len(mistakesOfParams(loaded)) == 0; fits != want {
			t.Errorf("%q: Load says %v, want %v", document, err, want)
		}
	}
}

// mistakesOfParams are the problems that a schema can see too.
func mistakesOfParams(loaded *config.Loaded) []string {
	var found []string
	for _, problem := range loaded.Check(names) {
		for _, word := range []string{"unknown key", "unknown target kind", "unknown probe \"h", "unknown source", "unknown mode", "unknown automation", "unknown effect", "must be max_"} {
			if strings.Contains(problem.Message, word) {
				found = append(found, problem.Message)
			}
		}
	}
	return found
}

func TestSchemaOfAnUnknownKind(t *testing.T) {
	if _, err := config.Schema("servce"); err == nil || err.Error() != `unknown kind "servce"; did you mean "service"?` {
		t.Errorf("got %v", err)
	}
}
