package cluster

import (
	"bytes"
	"fmt"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// CRDs are the definitions of all custom resources, those that people write first.
func CRDs() ([]*apiextensions.CustomResourceDefinition, error) {
	var all []*apiextensions.CustomResourceDefinition
	for _, k := range documents {
		spec, err := specSchema(k.word)
		if err != nil {
			return nil, err
		}
		all = append(all, definition(k, spec, documentStatus(), true))
	}
	spec, status := incidentSchema()
	return append(all, definition(incidents, spec, status, false)), nil
}

func definition(k kind, spec, status apiextensions.JSONSchemaProps, subresource bool) *apiextensions.CustomResourceDefinition {
	version := apiextensions.CustomResourceDefinitionVersion{Name: Version, Served: true, Storage: true,
		Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
			Type: "object", Description: k.doc, Required: []string{"spec"},
			Properties: map[string]apiextensions.JSONSchemaProps{
				"apiVersion": {Type: "string"}, "kind": {Type: "string"}, "metadata": {Type: "object"}, "spec": spec, "status": status,
			}}},
		AdditionalPrinterColumns: k.columns,
	}
	if subresource {
		version.Subresources = &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}}
		version.AdditionalPrinterColumns = append(version.AdditionalPrinterColumns, columns(
			`Ready string .status.conditions[?(@.type=="Ready")].status`, `Why string .status.conditions[?(@.type=="Ready")].reason`)...)
	}
	version.AdditionalPrinterColumns = append(version.AdditionalPrinterColumns, columns("Age date .metadata.creationTimestamp")...)
	return &apiextensions.CustomResourceDefinition{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiextensions.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{Name: k.plural + "." + Group},
		Spec: apiextensions.CustomResourceDefinitionSpec{Group: Group, Scope: apiextensions.NamespaceScoped,
			Names: apiextensions.CustomResourceDefinitionNames{Plural: k.plural, Singular: k.word, Kind: k.name(), ListKind: k.name() + "List",
				ShortNames: k.short, Categories: []string{manager}},
			Versions: []apiextensions.CustomResourceDefinitionVersion{version}},
	}
}

// documentStatus is what Jenner says of a document.
func documentStatus() apiextensions.JSONSchemaProps {
	text := apiextensions.JSONSchemaProps{Type: "string"}
	texts := apiextensions.JSONSchemaProps{Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &text}}
	number := apiextensions.JSONSchemaProps{Type: "integer", Format: "int64"}
	problems, warnings := texts, texts
	problems.Description = "What is wrong with the spec, as `jenner check` says it."
	warnings.Description = "What is allowed and yet looks like a mistake."
	spec := anything("Its spec.")
	spec.Type = "object"
	condition := apiextensions.JSONSchemaProps{Type: "object", Required: []string{"type", "status"}, Properties: map[string]apiextensions.JSONSchemaProps{
		"type": text, "status": text, "reason": text, "message": text, "observedGeneration": number,
		"lastTransitionTime": {Type: "string", Format: "date-time"}}}
	byType := "map"
	return apiextensions.JSONSchemaProps{Type: "object", Description: "What Jenner says of it.", Properties: map[string]apiextensions.JSONSchemaProps{
		"observedGeneration": number, "problems": problems, "warnings": warnings,
		"conditions": {Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &condition}, XListType: &byType, XListMapKeys: []string{"type"}},
		"lastValid": {Type: "object", Description: "The last version without a mistake, which stays in force while there is one in the spec.",
			Properties: map[string]apiextensions.JSONSchemaProps{"generation": number, "spec": spec}},
	}}
}

// incidentSchema is the form of an incident.
func incidentSchema() (spec, status apiextensions.JSONSchemaProps) {
	text, when := apiextensions.JSONSchemaProps{Type: "string"}, apiextensions.JSONSchemaProps{Type: "string", Format: "date-time"}
	texts := apiextensions.JSONSchemaProps{Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &text}}
	object := func(properties map[string]apiextensions.JSONSchemaProps) apiextensions.JSONSchemaProps {
		return apiextensions.JSONSchemaProps{Type: "object", Properties: properties}
	}
	return object(map[string]apiextensions.JSONSchemaProps{"service": text, "openedAt": when}),
		object(map[string]apiextensions.JSONSchemaProps{
			"phase": text, "cause": text, "confidence": text, "target": text, "policy": text, "runbook": text, "decision": text,
			"alerts": texts, "outcome": text, "symptomOf": text, "endedAt": when, "updatedAt": when,
		})
}

// YAML writes objects as people apply them, one document each.
func YAML[T any](objects ...T) ([]byte, error) {
	var all bytes.Buffer
	for i, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("an object cannot be written: %w", err)
		}
		prune(content)
		raw, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("an object cannot be written: %w", err)
		}
		if i > 0 {
			all.WriteString("---\n")
		}
		all.Write(raw)
	}
	return all.Bytes(), nil
}

// prune takes away what the Go types write although nobody said it.
func prune(content map[string]any) {
	delete(content, "status")
	if metadata, ok := content["metadata"].(map[string]any); ok {
		delete(metadata, "creationTimestamp")
	}
}
