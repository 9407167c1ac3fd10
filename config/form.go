package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner/internal/strict"
)

// APIVersion is what the Kubernetes form says in its apiVersion.
const APIVersion = "jenner.dev/v1alpha1"

// wrapper is the key that a policy may stand under instead of saying its kind.
const wrapper = "remediation_policy"

// form is a document brought into its flat form: the kind, and a mapping of nothing but the kind's own fields.
type form struct {
	kind   string
	fields *yaml.Node
}

// readForm tells the kind of a document and takes away what only says it. The returned fields share their values with
// the written node, so every line stays right.
func readForm(node *yaml.Node) (*form, []strict.Problem) {
	if node.Kind != yaml.MappingNode {
		return nil, problemAt(node, "a document must be a mapping with kind, name and so on")
	}
	r := &formReader{node: node}
	if said := r.value("kind"); said != nil && said.Value == operatorKind {
		return r.operatorRule()
	}
	kind, problems := r.kind()
	if kind == "" {
		return nil, problems
	}
	if version := r.value("apiVersion"); version != nil {
		return r.kubernetes(kind, version)
	}
	if wrapped := r.value(wrapper); wrapped != nil && kind == kindPolicy {
		return r.wrapped(wrapped)
	}
	return &form{kind, r.without("kind")}, nil
}

func problemAt(node *yaml.Node, format string, args ...any) []strict.Problem {
	return []strict.Problem{{Line: node.Line, Message: fmt.Sprintf(format, args...)}}
}

// formReader looks at the outermost keys of a document.
type formReader struct{ node *yaml.Node }

// value is the value of a key, or nil. Aliases are followed.
func (r *formReader) value(key string) *yaml.Node { return valueOf(r.node, key) }

func valueOf(node *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			value := node.Content[i+1]
			for value.Kind == yaml.AliasNode && value.Alias != nil {
				value = value.Alias
			}
			return value
		}
	}
	return nil
}

// without is the same mapping without some keys.
func (r *formReader) without(names ...string) *yaml.Node {
	left := *r.node
	left.Content = nil
	for i := 0; i+1 < len(r.node.Content); i += 2 {
		if key := r.node.Content[i]; !slices.Contains(names, key.Value) {
			left.Content = append(left.Content, key, r.node.Content[i+1])
		}
	}
	return &left
}

// kind is what the document says it is, or what its shape tells.
func (r *formReader) kind() (string, []strict.Problem) {
	said := r.value("kind")
	switch {
	case r.count("kind") > 1:
		return "", problemAt(r.node, "the key \"kind\" stands twice")
	case said != nil && said.Kind == yaml.ScalarNode && slices.Contains(Kinds(), strings.ToLower(said.Value)):
		return strings.ToLower(said.Value), nil
	case said != nil:
		return "", problemAt(said, "unknown kind %q%s", said.Value, strict.Hint(said.Value, Kinds()))
	}
	for _, shape := range telling {
		if r.value(shape.key) != nil {
			return shape.kind, nil
		}
	}
	return "", problemAt(r.node, "the document does not say its kind; add kind: and one of %s", strings.Join(Kinds(), ", "))
}

func (r *formReader) count(key string) int {
	count := 0
	for i := 0; i+1 < len(r.node.Content); i += 2 {
		if r.node.Content[i].Value == key {
			count++
		}
	}
	return count
}

// wrapped reads a policy under remediation_policy; its name may stand inside or beside it.
func (r *formReader) wrapped(inner *yaml.Node) (*form, []strict.Problem) {
	if inner.Kind != yaml.MappingNode {
		return nil, problemAt(inner, "%s must be a mapping with incident_type and so on", wrapper)
	}
	outer := r.without("kind", wrapper)
	fields := *inner
	fields.Content = append(slices.Clone(outer.Content), inner.Content...)
	return &form{kindPolicy, &fields}, nil
}

// kubernetes reads the form with apiVersion, kind, metadata and spec.
func (r *formReader) kubernetes(kind string, version *yaml.Node) (*form, []strict.Problem) {
	var problems []strict.Problem
	if version.Value != APIVersion {
		problems = append(problems, problemAt(version, "unknown apiVersion %q; write %s", version.Value, APIVersion)...)
	}
	for i := 0; i+1 < len(r.node.Content); i += 2 {
		key := r.node.Content[i]
		if known := []string{"apiVersion", "kind", "metadata", "spec"}; !slices.Contains(known, key.Value) {
			problems = append(problems, problemAt(key, "unknown key %q beside apiVersion%s; a %s's fields stand under spec",
				key.Value, strict.Hint(key.Value, known), kind)...)
		}
	}
	spec, metadata := r.value("spec"), r.value("metadata")
	if spec == nil || spec.Kind != yaml.MappingNode {
		return nil, append(problems, problemAt(r.node, "a document with apiVersion needs the mapping spec")...)
	}
	fields := *spec
	fields.Content = slices.Clone(spec.Content)
	name, more := r.metadataName(metadata, kind)
	problems = append(problems, more...)
	if name != nil && valueOf(spec, "name") != nil {
		problems = append(problems, problemAt(valueOf(spec, "name"), "the name stands in metadata and in spec; leave it to metadata")...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	fields.Content = append(name, fields.Content...)
	return &form{kind, &fields}, nil
}

// metadataName is the pair of nodes `name: NAME`. Namespace, labels and annotations are for other tools and may stand
// there; the rest of Kubernetes' metadata means nothing here and is refused.
func (r *formReader) metadataName(metadata *yaml.Node, kind string) (pair []*yaml.Node, problems []strict.Problem) {
	if metadata == nil || metadata.Kind != yaml.MappingNode {
		if metadata == nil && nameless(kind) {
			return nil, nil
		}
		return nil, problemAt(r.node, "a document with apiVersion needs metadata: {name: ...}")
	}
	known := []string{"name", "namespace", "labels", "annotations"}
	for i := 0; i+1 < len(metadata.Content); i += 2 {
		key := metadata.Content[i]
		switch {
		case !slices.Contains(known, key.Value):
			problems = append(problems, problemAt(key, "unknown key %q in metadata%s", key.Value, strict.Hint(key.Value, known))...)
		case key.Value == "name" && kind != kindLimits && kind != kindCatalogue: // which have no name, but Kubernetes asks for one
			pair = append(pair, key, metadata.Content[i+1])
		}
	}
	if pair == nil && !nameless(kind) {
		problems = append(problems, problemAt(metadata, "metadata needs the key \"name\"")...)
	}
	return pair, problems
}

// nameless tells whether a kind's documents need not be named: a policy is then named after its incident type, and
// there is only one document of limits. A catalogue is known by its place.
func nameless(kind string) bool {
	return kind == kindPolicy || kind == kindLimits || kind == kindCatalogue
}
