package cluster

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/jenner-heal/jenner/config"
)

// jsonSchema is what of JSON Schema package config uses.
type jsonSchema struct {
	Ref                  string                 `json:"$ref"`
	Defs                 map[string]*jsonSchema `json:"$defs"`
	Type                 string                 `json:"type"`
	Types                json.RawMessage        `json:"-"`
	Description          string                 `json:"description"`
	Properties           map[string]*jsonSchema `json:"properties"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Items                *jsonSchema            `json:"items"`
	Required             []string               `json:"required"`
	Enum                 []any                  `json:"enum"`
	Const                any                    `json:"const"`
	Pattern              string                 `json:"pattern"`
	Minimum              *float64               `json:"minimum"`
	Maximum              *float64               `json:"maximum"`
	AnyOf                []*jsonSchema          `json:"anyOf"`
	Not                  *jsonSchema            `json:"not"`
}

// UnmarshalJSON also reads the schemas true and false, and a type that is a list.
func (s *jsonSchema) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "true":
		return nil
	case "false":
		s.Not = &jsonSchema{}
		return nil
	}
	type plain jsonSchema
	var several struct {
		Type json.RawMessage `json:"type"`
		plain
	}
	if err := json.Unmarshal(raw, &several); err != nil {
		return err
	}
	*s = jsonSchema(several.plain)
	if len(several.Type) > 0 && several.Type[0] == '"' {
		return json.Unmarshal(several.Type, &s.Type)
	}
	return nil
}

// specSchema is the structural schema of the spec of a kind of documents, derived from its JSON Schema and so from the Go
// types. It is shyer than that one: what a structural schema cannot say is left to Jenner, which tells it in the status.
// Keys that nobody knows are kept, for else the API server would drop them without a word and Jenner could not tell.
func specSchema(kind string) (apiextensions.JSONSchemaProps, error) {
	raw, err := config.Schema(kind)
	if err != nil {
		return apiextensions.JSONSchemaProps{}, err
	}
	var root jsonSchema
	if err := json.Unmarshal(raw, &root); err != nil {
		return apiextensions.JSONSchemaProps{}, fmt.Errorf("the schema of %s cannot be read: %w", kind, err)
	}
	for _, form := range root.AnyOf {
		if spec := form.Properties["spec"]; spec != nil && form.Properties["apiVersion"] != nil {
			s := structural{defs: root.Defs}
			return s.of(spec), nil
		}
	}
	return apiextensions.JSONSchemaProps{}, fmt.Errorf("the schema of %s has no Kubernetes form", kind)
}

// structural turns JSON Schema into what the API server calls structural: no references, and a type everywhere.
type structural struct {
	defs   map[string]*jsonSchema
	within []string // the definitions that are being written, for one that holds itself
}

func (s *structural) of(from *jsonSchema) apiextensions.JSONSchemaProps {
	if from.Ref != "" {
		name := strings.TrimPrefix(from.Ref, "#/$defs/")
		if slices.Contains(s.within, name) {
			return anything(from.Description)
		}
		s.within = append(s.within, name)
		defer func() { s.within = s.within[:len(s.within)-1] }()
		return s.of(s.defs[name])
	}
	switch {
	case len(from.AnyOf) > 0:
		return union(from)
	case len(from.Enum) > 0:
		return apiextensions.JSONSchemaProps{Type: "string", Description: from.Description, Enum: values(from.Enum)}
	case from.Type == "object":
		return s.object(from)
	case from.Type == "array":
		items := s.of(from.Items)
		return apiextensions.JSONSchemaProps{Type: "array", Description: from.Description,
			Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &items}}
	case from.Type == "":
		return anything(from.Description)
	}
	return apiextensions.JSONSchemaProps{Type: from.Type, Description: from.Description, Pattern: from.Pattern, Minimum: from.Minimum,
		Maximum: from.Maximum}
}

// anything takes whatever is written.
func anything(description string) apiextensions.JSONSchemaProps {
	keep := true
	return apiextensions.JSONSchemaProps{Description: description, XPreserveUnknownFields: &keep}
}

func (s *structural) object(from *jsonSchema) apiextensions.JSONSchemaProps {
	to := apiextensions.JSONSchemaProps{Type: "object", Description: from.Description, Required: from.Required}
	for name, property := range from.Properties {
		if property.Not != nil {
			continue // it may not be written; Jenner says so
		}
		if to.Properties == nil {
			to.Properties = map[string]apiextensions.JSONSchemaProps{}
		}
		to.Properties[name] = s.of(property)
	}
	var values jsonSchema
	if len(from.AdditionalProperties) > 0 && json.Unmarshal(from.AdditionalProperties, &values) == nil && values.Not == nil &&
		len(from.Properties) == 0 {
		inner := s.of(&values)
		to.AdditionalProperties = &apiextensions.JSONSchemaPropsOrBool{Allows: true, Schema: &inner}
		return to
	}
	keep := true
	to.XPreserveUnknownFields = &keep
	return to
}

// union is a value that may be written in several ways: 0.9, 90% or high. What is said of texts holds for texts, and what is
// said of numbers for numbers.
func union(from *jsonSchema) apiextensions.JSONSchemaProps {
	to := apiextensions.JSONSchemaProps{Description: from.Description}
	whole, patterns := true, []string{}
	for _, way := range from.AnyOf {
		switch {
		case way.Type == "string":
			patterns = append(patterns, way.Pattern)
		case len(way.Enum) > 0:
			var words []string
			for _, word := range way.Enum {
				words = append(words, regexp.QuoteMeta(fmt.Sprint(word)))
			}
			patterns = append(patterns, "^("+strings.Join(words, "|")+")$")
		case way.Const != nil: // only ever 0
			zero := 0.0
			to.Minimum, to.Maximum = &zero, &zero
		default:
			whole = whole && way.Type == "integer"
			to.Minimum, to.Maximum = way.Minimum, way.Maximum
		}
	}
	to.Pattern = strings.Join(patterns, "|")
	if whole {
		to.XIntOrString = true
		return to
	}
	keep := true
	to.XPreserveUnknownFields = &keep
	return to
}

func values(list []any) []apiextensions.JSON {
	var raw []apiextensions.JSON
	for _, value := range list {
		text, err := json.Marshal(value)
		if err == nil {
			raw = append(raw, apiextensions.JSON{Raw: text})
		}
	}
	return raw
}
