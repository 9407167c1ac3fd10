package strict

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Rest says what a field does with the keys that no other field takes.
type Rest string

// The values of the `rest` tag. RestAll collects every other key; RestKind expects exactly one, whose name goes into
// the sibling field Kind and whose mapping becomes the value.
const (
	RestNone Rest = ""
	RestAll  Rest = "true"
	RestKind Rest = "kind"
)

// Field is one field of a struct as people write it.
type Field struct {
	Name     string // the key
	Index    []int  // for reflect.Value.FieldByIndex
	Type     reflect.Type
	Optional bool // the tag says omitempty or omitzero
	Hidden   bool // config:"-", the key may not be written
	Rest     Rest
	Or       string // with RestKind: the key that may be written in place of the one that names the kind
}

// Fields are the fields of a struct type that have a `json` tag, in order, embedded structs included. Fields without
// the tag, and those tagged "-", are none of a writer's business.
func Fields(structure reflect.Type) []Field {
	var fields []Field
	for i := range structure.NumField() {
		field := structure.Field(i)
		tag, tagged := field.Tag.Lookup("json")
		if field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct {
			for _, inner := range Fields(field.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				fields = append(fields, inner)
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !tagged || name == "-" || !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		fields = append(fields, Field{
			Name: name, Index: []int{i}, Type: field.Type,
			Optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
			Hidden:   field.Tag.Get("config") == "-",
			Rest:     Rest(field.Tag.Get("rest")),
			Or:       field.Tag.Get("or"),
		})
	}
	return fields
}

// Has tells whether a struct, or what a pointer points to, has a field that people write under that name.
func Has(structure any, name string) bool {
	t := reflect.TypeOf(structure)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && slices.Contains(keys(Fields(t)), name)
}

// keys are the names that may be written.
func keys(fields []Field) []string {
	var names []string
	for _, field := range fields {
		if !field.Hidden && field.Rest == RestNone {
			names = append(names, field.Name)
		}
	}
	return names
}

// typeWords is a type's name as words: EvidencePattern is `evidence pattern`, SLO stays `SLO`.
func typeWords(named reflect.Type) string {
	for named.Kind() == reflect.Pointer {
		named = named.Elem()
	}
	name := named.Name()
	if name == "" {
		return "document"
	}
	if strings.ToUpper(strings.TrimSuffix(name, "s")) == strings.TrimSuffix(name, "s") {
		return name
	}
	var words strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
	}
	return words.String()
}

// Join is the JSON pointer of a value in the mapping at path.
func Join(path, name string) string { return path + "/" + escape(name) }

func escape(segment string) string {
	return strings.ReplaceAll(strings.ReplaceAll(segment, "~", "~0"), "/", "~1")
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}
