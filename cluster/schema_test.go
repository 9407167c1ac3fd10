package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

// internalSchema is the schema of a kind as the API server keeps it.
func internalSchema(t *testing.T, plural string) *apiextensions.JSONSchemaProps {
	t.Helper()
	all, err := CRDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		if crd.Spec.Names.Plural != plural {
			continue
		}
		var made apiextensions.JSONSchemaProps
		from := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(from, &made, nil); err != nil {
			t.Fatal(err)
		}
		return &made
	}
	t.Fatalf("there is no %s", plural)
	return nil
}

// TestSchemasAreStructural: the API server takes no others.
func TestSchemasAreStructural(t *testing.T) {
	for _, k := range append(documents, incidents) {
		made, err := structuralschema.NewStructural(internalSchema(t, k.plural))
		if err != nil {
			t.Errorf("%s: %v", k.plural, err)
			continue
		}
		for _, mistake := range structuralschema.ValidateStructural(nil, made) {
			t.Errorf("%s: %v", k.plural, mistake)
		}
	}
}

// TestTheSchemasTakeWhatTheFilesMay: every document of the examples is taken in the Kubernetes form, too, by the API server's
// own validation.
func TestTheSchemasTakeWhatTheFilesMay(t *testing.T) {
	paths, err := filepath.Glob("../examples/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob("../examples/*/*/*.yaml")
	taken := map[string]int{}
	for _, path := range append(paths, more...) {
		for _, document := range flatDocuments(t, path) {
			kind, name := document["kind"].(string), document["name"]
			delete(document, "kind")
			delete(document, "name")
			for _, k := range documents {
				if k.word != kind {
					continue
				}
				taken[kind]++
				for _, mistake := range validated(t, k.plural, map[string]any{"spec": document}) {
					t.Errorf("%s: %s %v: %s", path, kind, name, mistake)
				}
			}
		}
	}
	for _, k := range documents {
		if taken[k.word] == 0 {
			t.Errorf("no %s was looked at: %v", k.word, taken)
		}
	}
}

// flatDocuments are the documents of a file as people would write them in the flat form, with their kind.
func flatDocuments(t *testing.T, path string) []map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	var all []map[string]any
	for {
		var document map[string]any
		if decoder.Decode(&document) != nil {
			return all
		}
		if wrapped, is := document["remediation_policy"].(map[string]any); is {
			document = wrapped
			document["kind"] = "policy"
		}
		if _, steps := document["steps"]; steps && document["kind"] == nil {
			document["kind"] = "runbook"
		}
		if document["kind"] != nil {
			all = append(all, document)
		}
	}
}

func validated(t *testing.T, plural string, object map[string]any) []string {
	t.Helper()
	crds, err := CRDs()
	if err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	for _, crd := range crds {
		if crd.Spec.Names.Plural == plural {
			reread(t, crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &schema)
		}
	}
	var value any
	reread(t, object, &value)
	result := validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(value)
	var mistakes []string
	for _, mistake := range result.Errors {
		mistakes = append(mistakes, mistake.Error())
	}
	return mistakes
}

func reread(t *testing.T, from, into any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheSchemasRefuse: what the API server can tell when something is applied, it tells then.
func TestTheSchemasRefuse(t *testing.T) {
	for name, test := range map[string]struct{ plural, spec, want string }{
		"a word":              {"policies", `{"incident_type":"x","mode":"bold"}`, "spec.mode "},
		"a missing field":     {"runbooks", `{"steps":[{"name":"x"}]}`, "spec.steps[0].action "},
		"a type":              {"services", `{"tier":"one"}`, "spec.tier "},
		"a duration":          {"services", `{"probes":[{"name":"x","tcp":{},"every":"5"}]}`, "spec.probes[0].every "},
		"a number of seconds": {"services", `{"probes":[{"name":"x","tcp":{},"every":5}]}`, "spec.probes[0].every "},
		"a share":             {"services", `{"slos":[{"name":"x","objective":"ninety","window":"30d","good":"a","total":"b"}]}`, "spec.slos[0].objective "},
		"a share above 1":     {"services", `{"slos":[{"name":"x","objective":1.5,"window":"30d","good":"a","total":"b"}]}`, "spec.slos[0].objective "},
		"a confidence":        {"policies", `{"incident_type":"x","confidence_threshold":"very"}`, "spec.confidence_threshold "},
		"a map's value":       {"policies", `{"incident_type":"x","blast_radius":{"max_pods":"many"}}`, "spec.blast_radius.max_pods "},
	} {
		t.Run(name, func(t *testing.T) {
			mistakes := strings.Join(validated(t, test.plural, map[string]any{"spec": json.RawMessage(test.spec)}), "\n")
			if !strings.Contains(mistakes, test.want) {
				t.Errorf("%s is told %q, want %q", test.spec, mistakes, test.want)
			}
		})
	}
	for _, spec := range []string{`{"incident_type":"x","confidence_threshold":"high"}`, `{"incident_type":"x","confidence_threshold":0.92}`,
		`{"incident_type":"x","confidence_threshold":"92%"}`, `{"incident_type":"x","blast_radius":{"max_pods":3}}`,
		`{"incident_type":"x","blast_radius":{"max_pods":"15%, 3"},"cooldown_after_action":0}`} {
		if mistakes := validated(t, "policies", map[string]any{"spec": json.RawMessage(spec)}); len(mistakes) > 0 {
			t.Errorf("%s is refused: %v", spec, mistakes)
		}
	}
}

// TestUnknownKeysReachJenner: a schema that dropped them would make a mistake nobody hears of.
func TestUnknownKeysReachJenner(t *testing.T) {
	for _, k := range documents {
		made, err := structuralschema.NewStructural(internalSchema(t, k.plural))
		if err != nil {
			t.Fatal(err)
		}
		var look func(path string, s structuralschema.Structural)
		look = func(path string, s structuralschema.Structural) {
			if s.Type == "object" && s.AdditionalProperties == nil && !s.XPreserveUnknownFields {
				t.Errorf("%s: unknown keys of %s are dropped", k.plural, path)
			}
			for name, property := range s.Properties {
				look(path+"."+name, property)
			}
			if s.Items != nil {
				look(path+"[]", *s.Items)
			}
		}
		look("spec", made.Properties["spec"])
	}
}
