package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// slot is the place of a field in an object: spec, template, spec, containers, [app], image. In brackets stands the name
// of an element of a list whose elements have names.
type slot []string

// String is `spec.template.spec.containers[app].image`.
func (s slot) String() string {
	return strings.ReplaceAll(strings.Join(s, "."), ".[", "[")
}

// fieldChange is one field as it was and as it is to be. nil is a field that is not there.
type fieldChange struct {
	At   slot `json:"at"`
	Was  any  `json:"was,omitempty"`
	Want any  `json:"want,omitempty"`
}

// read gives the value at the slot, or nil.
func (s slot) read(object map[string]any) any {
	var value any = object
	for _, step := range s {
		switch at := value.(type) {
		case map[string]any:
			value = at[step]
		case []any:
			index := placeIn(at, step)
			if index < 0 {
				return nil
			}
			value = at[index]
		default:
			return nil
		}
	}
	return value
}

// write sets the value at the slot; nil takes the field away. What is missing on the way is made, except elements of
// lists: these have more fields than the slot knows of.
func (s slot) write(object map[string]any, value any) error {
	var at any = object
	for i, step := range s {
		last := i == len(s)-1
		switch in := at.(type) {
		case map[string]any:
			switch {
			case last && value == nil:
				delete(in, step)
				return nil
			case last:
				in[step] = value
				return nil
			case in[step] == nil && value == nil:
				return nil
			case in[step] == nil:
				in[step] = map[string]any{}
			}
			at = in[step]
		case []any:
			index := placeIn(in, step)
			if index < 0 {
				return fmt.Errorf("there is no %s", s[:i+1])
			}
			if last {
				return fmt.Errorf("%s is an element of a list", s)
			}
			at = in[index]
		default:
			return fmt.Errorf("%s is no mapping", s[:i])
		}
	}
	return nil
}

// placeIn finds the element of a list by [name].
func placeIn(list []any, step string) int {
	return slices.IndexFunc(list, func(element any) bool { return "["+nameIn(element)+"]" == step })
}

func nameIn(element any) string {
	fields, _ := element.(map[string]any)
	name, _ := fields["name"].(string)
	return name
}

// differences are the fields in which two states of an object differ, as far as people and programs write them: not its
// status, and of its metadata labels and annotations alone, without those in which controllers count.
func differences(was, want map[string]any) []fieldChange {
	return compare(nil, nil, written(was), written(want))
}

// lastAction is the annotation that holds the key of the effect that changed an object last.
const lastAction = "jenner.dev/last-action"

// written is the part of an object that differences compares. The parts are not copied.
func written(object map[string]any) map[string]any {
	part := maps.Clone(object)
	for _, other := range []string{"apiVersion", "kind", "status", "metadata"} {
		delete(part, other)
	}
	meta, _ := object["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	others := map[string]any{}
	maps.Copy(others, annotations)
	maps.DeleteFunc(others, func(key string, _ any) bool {
		return key == lastAction || strings.HasPrefix(key, "deployment.kubernetes.io/") || key == appsv1.DeprecatedTemplateGeneration
	})
	// Both are there even where they are empty, so that what differs is always one label or one annotation.
	part["metadata"] = map[string]any{"labels": merged(nil, labels), "annotations": others}
	return part
}

// compare appends the smallest fields that differ. Lists differ as wholes, unless they hold the same names in one order.
func compare(found []fieldChange, at slot, was, want any) []fieldChange {
	if equality.Semantic.DeepEqual(was, want) {
		return found
	}
	switch before := was.(type) {
	case map[string]any:
		if after, both := want.(map[string]any); both {
			for _, key := range slices.Sorted(maps.Keys(merged(before, after))) {
				found = compare(found, append(slices.Clone(at), key), before[key], after[key])
			}
			return found
		}
	case []any:
		if after, both := want.([]any); both && sameNames(before, after) {
			for i := range before {
				found = compare(found, append(slices.Clone(at), "["+nameIn(before[i])+"]"), before[i], after[i])
			}
			return found
		}
	}
	return append(found, fieldChange{At: at, Was: was, Want: want})
}

func merged(a, b map[string]any) map[string]any {
	both := map[string]any{}
	maps.Copy(both, a)
	maps.Copy(both, b)
	return both
}

// sameNames tells whether both lists have elements of the same names, each once, in the same order.
func sameNames(a, b []any) bool {
	seen := map[string]bool{}
	for i, element := range a {
		name := nameIn(element)
		if i >= len(b) || name == "" || seen[name] || name != nameIn(b[i]) {
			return false
		}
		seen[name] = true
	}
	return len(a) == len(b)
}

// alike compares values one of which may have gone through JSON, where whole numbers of objects are int64 as the
// library has them and float64 as the standard library does.
func alike(a, b any) bool {
	one, oneErr := json.Marshal(a)
	other, otherErr := json.Marshal(b)
	return oneErr == nil && otherErr == nil && string(one) == string(other)
}
