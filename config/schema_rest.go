package config

import (
	"maps"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/jenner-heal/jenner"
)

// byConstant describes the keys that a struct collects: which they are, the value of another key says.
func (s *schemas) byConstant(schema *jsonschema.Schema, key string, known map[string]any) {
	if len(known) == 0 {
		return // whatever the providers know
	}
	names := slices.Sorted(maps.Keys(known))
	var kinds []any
	for _, name := range names {
		kinds = append(kinds, name)
		settings := s.settings(known[name])
		then := object(maps.Clone(schema.Properties))
		maps.Copy(then.Properties, settings.Properties)
		schema.AllOf = append(schema.AllOf, &jsonschema.Schema{
			If:   &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{key: constant(name)}},
			Then: then,
		})
	}
	schema.Properties[key] = &jsonschema.Schema{Enum: kinds}
}

// byKey describes the one key whose name is the kind, or the one that stands in its place.
func (s *schemas) byKey(schema *jsonschema.Schema, owner reflect.Type, or string) {
	known := s.params.Probes
	switch owner {
	case reflect.TypeFor[jenner.Channel]():
		known = s.params.Notifiers
	case reflect.TypeFor[jenner.MetricsSource]():
		known = s.params.Sources
	}
	if len(known) == 0 {
		schema.AdditionalProperties = &jsonschema.Schema{Type: "object"}
		return
	}
	if or != "" {
		schema.OneOf = append(schema.OneOf, &jsonschema.Schema{Required: []string{or}})
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		schema.Properties[name] = s.settings(known[name])
		schema.PropertyOrder = append(schema.PropertyOrder, name)
		schema.OneOf = append(schema.OneOf, &jsonschema.Schema{Required: []string{name}})
	}
}

// settings is the schema of a provider's parameter struct, none of which need be written.
func (s *schemas) settings(params any) *jsonschema.Schema {
	t := reflect.TypeOf(params)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return &jsonschema.Schema{Type: "object"}
	}
	loose := &schemas{defs: s.defs, loosely: true}
	return loose.structure(t)
}
