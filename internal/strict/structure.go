package strict

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a mapping with its value, after merge keys were followed.
type entry struct {
	name       string
	key, value *yaml.Node
}

// structure decodes a mapping into a struct.
func (d *decoder) structure(node *yaml.Node, into reflect.Value, place at) {
	if node.Kind != yaml.MappingNode {
		d.problem(node, place, "%s must be a mapping, but is %s", place.what, describe(node))
		return
	}
	fields := Fields(into.Type())
	byName := map[string]Field{}
	var rest *Field
	for i, field := range fields {
		byName[field.Name] = field
		if field.Rest != RestNone {
			rest = &fields[i]
		}
	}
	written := map[string]bool{}
	var others []entry
	for _, entry := range d.entries(node, place) {
		field, known := byName[entry.name]
		switch {
		case known && field.Hidden:
			d.problem(entry.key, place.below(entry.name), "key %q may not be written in %s%s",
				entry.name, place.what, hiddenHint(rest))
		case known && field.Rest == RestNone:
			written[entry.name] = true
			element := place.below(entry.name)
			d.positions[element.path] = entry.key.Line
			d.value(entry.value, into.FieldByIndex(field.Index), element)
		default:
			others = append(others, entry)
		}
	}
	if instead(rest, written) && len(others) == 0 {
		rest = nil // the other form was chosen, which names no kind
	}
	d.others(node, others, fields, rest, into, place)
	if instead(rest, written) {
		d.problem(others[0].key, place.below(others[0].name), "%s has %q and %q; write one of them", place.what, rest.Or, others[0].name)
	}
	for _, field := range fields {
		if d.complete && !field.Optional && !field.Hidden && field.Rest == RestNone && !written[field.Name] {
			d.problem(node, place, "%s needs the key %q", place.what, field.Name)
		}
	}
}

// instead tells whether the key was written that stands in place of the kind.
func instead(rest *Field, written map[string]bool) bool {
	return rest != nil && rest.Or != "" && written[rest.Or]
}

func hiddenHint(rest *Field) string {
	if rest != nil && rest.Rest == RestKind {
		return "; the kind is itself the key, such as http: {url: ...}"
	}
	return ""
}

// others deals with the keys that no field is named after.
func (d *decoder) others(node *yaml.Node, others []entry, fields []Field, rest *Field, into reflect.Value, place at) {
	switch {
	case rest == nil:
		for _, entry := range others {
			d.problem(entry.key, place.below(entry.name), "unknown key %q in %s%s",
				entry.name, place.what, Hint(entry.name, keys(fields)))
		}
	case rest.Rest == RestAll:
		if len(others) > 0 {
			d.collect(others, into.FieldByIndex(rest.Index), place)
		}
	default:
		d.kind(node, others, fields, rest, into, place)
	}
}

// collect puts all entries into a map field; their paths stay those of the struct they were written in.
func (d *decoder) collect(others []entry, into reflect.Value, place at) {
	filled := reflect.MakeMap(into.Type())
	for _, entry := range others {
		element := place.below(entry.name)
		d.positions[element.path] = entry.key.Line
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(entry.value, value, element)
		filled.SetMapIndex(reflect.ValueOf(entry.name), value)
	}
	into.Set(filled)
}

// kind decodes the one key that names the kind.
func (d *decoder) kind(node *yaml.Node, others []entry, fields []Field, rest *Field, into reflect.Value, place at) {
	possible := strings.Join(keys(fields), ", ")
	if len(others) == 0 {
		d.problem(node, place, "%s does not say its kind; besides %s it needs one key that names the kind, such as %s",
			place.what, possible, kindExample(place.what))
		return
	}
	if len(others) > 1 {
		var names []string
		for _, entry := range others {
			names = append(names, entry.name)
		}
		d.problem(others[1].key, place.below(others[1].name),
			"%s has %d keys that could name its kind: %s; besides %s there may be exactly one",
			place.what, len(others), strings.Join(names, ", "), possible)
		return
	}
	only := others[0]
	element := place.below(only.name)
	d.positions[element.path] = only.key.Line
	if kind := into.FieldByName("Kind"); kind.IsValid() && kind.Kind() == reflect.String {
		kind.SetString(only.name)
	}
	value := d.enter(only.value, element)
	if value == nil {
		return
	}
	if value.Kind != yaml.MappingNode {
		near := ""
		if name := Nearest(only.name, keys(fields)); name != "" {
			near = `; or did you mean "` + name + `"?`
		}
		d.problem(only.key, element, "%s in %s must be a mapping of its settings, but is %s; write {} where it needs none%s",
			only.name, place.what, describe(value), near)
		return
	}
	d.value(value, into.FieldByIndex(rest.Index), element)
}

func kindExample(what string) string {
	switch what {
	case "channel":
		return "terminal: {} or webhook: {url: ...}"
	case "metrics source":
		return "scrape: http://HOST:PORT/metrics or postgres: {target: ...}"
	}
	return "http: {url: ...}"
}

// entries are the keys of a mapping with merge keys followed: a key of the mapping itself wins over a merged one, and
// an earlier merged mapping over a later one.
func (d *decoder) entries(node *yaml.Node, place at) []entry {
	var list []entry
	first := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if d.tooMuch(key, place) { // merge keys can repeat a mapping many times
			return nil
		}
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		if key.Kind != yaml.ScalarNode || isNull(key) {
			d.problem(key, place, "a key of %s must be a plain word, but is %s", place.what, describe(key))
			continue
		}
		if line, taken := first[key.Value]; taken {
			d.problem(key, place.below(key.Value), "key %q stands twice in %s%s", key.Value, place.what, firstLine(line))
			continue
		}
		first[key.Value] = key.Line
		list = append(list, entry{key.Value, key, value})
	}
	for _, source := range merged {
		for _, entry := range d.merge(source, place) {
			if _, taken := first[entry.name]; !taken {
				first[entry.name] = entry.key.Line
				list = append(list, entry)
			}
		}
	}
	return list
}

// merge gives what a merge key brings in: one mapping, or a list of them.
func (d *decoder) merge(source *yaml.Node, place at) []entry {
	place.depth++
	written := source
	if source = d.enter(source, place); source == nil {
		return nil
	}
	switch source.Kind {
	case yaml.MappingNode:
		return d.entries(source, place)
	case yaml.SequenceNode:
		var list []entry
		for _, item := range source.Content {
			list = append(list, d.merge(item, place)...)
		}
		return earliest(list)
	default:
		d.problem(written, place, "<< in %s must name a mapping, but is %s", place.what, describe(source))
		return nil
	}
}

func earliest(list []entry) []entry {
	seen := map[string]bool{}
	var kept []entry
	for _, entry := range list {
		if !seen[entry.name] {
			seen[entry.name] = true
			kept = append(kept, entry)
		}
	}
	return kept
}
