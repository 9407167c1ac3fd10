package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// ParamTypes are the parameter structs that the providers know: kind of target, or key of probe, metrics source or
// notifier, to a value of the struct, or a pointer to one.
type ParamTypes struct {
	Targets, Probes, Sources, Notifiers map[string]any
}

const draft = "https://json-schema.org/draft/2020-12/schema"

// Schema is the JSON Schema of a kind of document in its flat and its Kubernetes form, derived from the Go types. With
// params, targets, probes and channels are described down to their own settings; without, these are left open.
func Schema(kind string, params ...ParamTypes) ([]byte, error) {
	document, known := kindTypes[kind]
	if !known {
		return nil, fmt.Errorf("unknown kind %q%s", kind, strict.Hint(kind, Kinds()))
	}
	s := &schemas{defs: map[string]*jsonschema.Schema{}}
	for _, types := range params {
		s.params = types
	}
	s.of(document)
	fields := s.defs[document.Name()]
	root := &jsonschema.Schema{
		Schema: draft,
		Title:  "Jenner " + kind,
		AnyOf:  []*jsonschema.Schema{flat(kind, fields), kubernetes(kind, fields)},
		Defs:   s.defs,
	}
	switch kind {
	case kindPolicy:
		root.AnyOf = append(root.AnyOf, wrapped(fields))
	case kindCatalogue:
		root.AnyOf = append(root.AnyOf, operated(fields))
	}
	delete(s.defs, document.Name())
	return json.MarshalIndent(root, "", "  ")
}

// flat is the form with the fields beside kind.
func flat(kind string, fields *jsonschema.Schema) *jsonschema.Schema {
	form := *fields
	form.Properties = maps.Clone(fields.Properties)
	form.Properties["kind"] = kindSchema(kind)
	form.PropertyOrder = append([]string{"kind"}, fields.PropertyOrder...)
	form.Required = slices.Clone(fields.Required)
	var tell []*jsonschema.Schema // keys by which the kind is told where it is not written
	for _, shape := range telling {
		if shape.kind == kind && fields.Properties[shape.key] != nil {
			tell = append(tell, &jsonschema.Schema{Required: []string{shape.key}})
		}
	}
	switch {
	case len(tell) == 0:
		form.Required = append([]string{"kind"}, form.Required...)
	case len(tell) > 1:
		form.AnyOf = append([]*jsonschema.Schema{{Required: []string{"kind"}}}, tell...)
	} // a single one is required anyhow
	return &form
}

// kubernetes is the form with apiVersion, kind, metadata and spec.
func kubernetes(kind string, fields *jsonschema.Schema) *jsonschema.Schema {
	spec := *fields
	spec.Properties = maps.Clone(fields.Properties)
	delete(spec.Properties, "name")
	spec.Required = slices.DeleteFunc(slices.Clone(fields.Required), func(name string) bool { return name == "name" })
	metadata := object(map[string]*jsonschema.Schema{
		"name": {Type: "string", MinLength: jsonschema.Ptr(1)}, "namespace": {Type: "string"},
		"labels": {Type: "object"}, "annotations": {Type: "object"},
	}, "name")
	required := []string{"apiVersion", "kind", "metadata", "spec"}
	if nameless(kind) {
		metadata.Required, required = nil, []string{"apiVersion", "kind", "spec"}
	}
	return object(map[string]*jsonschema.Schema{
		"apiVersion": constant(APIVersion), "kind": kindSchema(kind), "metadata": metadata, "spec": &spec,
	}, required...)
}

// wrapped is a policy under remediation_policy.
func wrapped(fields *jsonschema.Schema) *jsonschema.Schema {
	inner := *fields
	return object(map[string]*jsonschema.Schema{
		"kind": kindSchema(kindPolicy), "name": {Type: "string"}, wrapper: &inner,
	}, wrapper)
}

// operated is a catalogue as an object of the Prometheus operator, in which Kubernetes and others keep more than its fields.
func operated(fields *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", Required: []string{"apiVersion", "kind", "spec"}, Properties: map[string]*jsonschema.Schema{
		"apiVersion": constant(operatorVersion), "kind": constant(operatorKind), "spec": fields,
	}}
}

func kindSchema(kind string) *jsonschema.Schema {
	return &jsonschema.Schema{Enum: []any{kind, strings.ToUpper(kind[:1]) + kind[1:]}}
}

func constant(value any) *jsonschema.Schema { return &jsonschema.Schema{Const: &value} }

func object(properties map[string]*jsonschema.Schema, required ...string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", Properties: properties, Required: required, AdditionalProperties: nothing()}
}

// nothing is the schema that nothing fits.
func nothing() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

// schemas is one call of Schema.
type schemas struct {
	defs    map[string]*jsonschema.Schema
	params  ParamTypes
	loosely bool // inside parameters, which hold their defaults: nothing is required
}

const (
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ms|us|µs|ns|s|m|h|d|w))+)$`
	numberPattern   = `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?%?$`
	sharePattern    = `^(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?)%$`
	pickPattern     = `^(one|[1-9][0-9]*|(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?)%)$`
	limitPattern    = `^([0-9]+%?|[0-9]+\.[0-9]+%)([ ,]+([0-9]+%?|[0-9]+\.[0-9]+%))?$`
)

// special are the types that read themselves, as people write them.
var special = map[reflect.Type]func() *jsonschema.Schema{
	reflect.TypeFor[jenner.Duration](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", Pattern: durationPattern}, constant(0)},
			Description: "a duration: a number and a unit, such as 300ms, 5s, 10m, 2h or 30d"}
	},
	reflect.TypeFor[jenner.Number](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "number"}, {Type: "string", Pattern: numberPattern}},
			Description: "a number, or a percentage such as 70%"}
	},
	reflect.TypeFor[jenner.Share](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{part(), {Type: "string", Pattern: sharePattern}},
			Description: "a share of a whole, such as 15% or 0.15"}
	},
	reflect.TypeFor[jenner.Confidence](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Enum: []any{"low", "medium", "high"}}, part(),
			{Type: "string", Pattern: sharePattern}}, Description: "low, medium, high, or a number from 0 to 1"}
	},
	reflect.TypeFor[jenner.Limit](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: jsonschema.Ptr(0.0)},
			{Type: "string", Pattern: limitPattern}}, Description: "a share such as 15%, a count such as 3, or both"}
	},
	reflect.TypeFor[jenner.Mode]():          func() *jsonschema.Schema { return words(jenner.Modes) },
	reflect.TypeFor[jenner.Verdict]():       func() *jsonschema.Schema { return words(jenner.Verdicts) },
	reflect.TypeFor[jenner.Automation]():    func() *jsonschema.Schema { return words(automations) },
	reflect.TypeFor[jenner.PlannedEffect](): func() *jsonschema.Schema { return words(effects) },
	reflect.TypeFor[jenner.ReceiverFrom]():  func() *jsonschema.Schema { return words(jenner.ReceiverForms) },

	reflect.TypeFor[jenner.ExpectedOutcome](): func() *jsonschema.Schema { return words(jenner.ExpectedOutcomes) },
	reflect.TypeFor[jenner.StageBy]():         func() *jsonschema.Schema { return words(jenner.StageBys) },
	reflect.TypeFor[jenner.Pick](): func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: jsonschema.Ptr(1.0)},
			{Type: "string", Pattern: pickPattern}}, Description: "one, a count such as 3, or a share such as 25%"}
	},
}

// The words of types that have no list of their own.
var (
	automations = []jenner.Automation{jenner.AutomationSafe, jenner.AutomationHuman, jenner.AutomationNever}
	effects     = []jenner.PlannedEffect{jenner.PlannedLower, jenner.PlannedApprove, jenner.PlannedFreeze}
)

func words[T ~string](list []T) *jsonschema.Schema {
	schema := &jsonschema.Schema{}
	for _, word := range list {
		schema.Enum = append(schema.Enum, string(word))
	}
	return schema
}

func part() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "number", Minimum: jsonschema.Ptr(0.0), Maximum: jsonschema.Ptr(1.0)}
}

// of is the schema of a type. Named structs become definitions.
func (s *schemas) of(t reflect.Type) *jsonschema.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if made, ok := special[t]; ok {
		return made()
	}
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return &jsonschema.Schema{}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return &jsonschema.Schema{}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.definition(t)
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: s.of(t.Elem())}
	case reflect.Map:
		schema := &jsonschema.Schema{Type: "object", AdditionalProperties: s.of(t.Elem())}
		if t == reflect.TypeFor[jenner.BlastRadius]() {
			schema.PropertyNames = &jsonschema.Schema{Pattern: "^max_."}
		}
		return schema
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	case reflect.Interface:
		return &jsonschema.Schema{}
	}
	return &jsonschema.Schema{Type: "integer"}
}

func (s *schemas) definition(t reflect.Type) *jsonschema.Schema {
	name := t.Name()
	if s.loosely || name == "" {
		return s.structure(t)
	}
	if _, made := s.defs[name]; !made {
		s.defs[name] = &jsonschema.Schema{} // a type that holds itself refers to it
		s.defs[name] = s.structure(t)
	}
	return &jsonschema.Schema{Ref: "#/$defs/" + name}
}

// structure is the schema of a struct with the rules of package strict.
func (s *schemas) structure(t reflect.Type) *jsonschema.Schema {
	schema := object(map[string]*jsonschema.Schema{})
	for _, field := range strict.Fields(t) {
		switch {
		case field.Hidden:
			schema.Properties[field.Name] = nothing() // else the rest would take it
		case field.Rest == strict.RestAll:
			schema.AdditionalProperties = nil
			s.byConstant(schema, "kind", s.params.Targets)
		case field.Rest == strict.RestKind:
			s.byKey(schema, t, field.Or)
		default:
			schema.Properties[field.Name] = s.of(field.Type)
			schema.PropertyOrder = append(schema.PropertyOrder, field.Name)
			if !field.Optional && !s.loosely {
				schema.Required = append(schema.Required, field.Name)
			}
		}
	}
	return schema
}
