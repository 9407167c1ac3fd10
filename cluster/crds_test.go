package cluster

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// TestSchemasAreStructural: the API server takes no others.
func TestSchemasAreStructural(t *testing.T) {
	all, err := CRDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		var internal apiextensions.JSONSchemaProps
		from := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(from, &internal, nil); err != nil {
			t.Fatal(err)
		}
		made, err := structuralschema.NewStructural(&internal)
		if err != nil {
			t.Errorf("%s: %v", crd.Name, err)
			continue
		}
		for _, mistake := range structuralschema.ValidateStructural(nil, made) {
			t.Errorf("%s: %v", crd.Name, mistake)
		}
	}
}
