package reference

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// table writes the fields of one struct, and of the structs in it, as tables.
type table struct {
	comments *comments
	heading  string // what stands before the headings of inner structs: ###
	params   bool   // parameters of a provider, whose defaults a value shows
	seen     map[reflect.Type]bool
	out      strings.Builder
}

// fields writes a table for a pointer to a struct that holds the defaults, and then one for each struct inside.
func (t *table) fields(value any) {
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if t.seen == nil {
		t.seen = map[reflect.Type]bool{}
	}
	inner := t.one(v)
	for len(inner) > 0 {
		next := inner[0]
		inner = inner[1:]
		if t.seen[next] {
			continue
		}
		said := t.comments.of(next)
		fmt.Fprintf(&t.out, "%s %s\n\n%s\n\n", t.heading, typeWords(next), cell(said.doc))
		inner = append(inner, t.one(reflect.New(next).Elem())...)
	}
}

// one writes one table and gives the structs that its fields hold.
func (t *table) one(value reflect.Value) (inner []reflect.Type) {
	structure := value.Type()
	t.seen[structure] = true
	rows := 0
	for _, field := range strict.Fields(structure) {
		if field.Hidden {
			continue
		}
		if rows == 0 {
			t.out.WriteString(t.head())
		}
		rows++
		t.row(value, field)
		if holds := holdsStruct(field.Type); holds != nil && field.Rest == strict.RestNone {
			inner = append(inner, holds)
		}
	}
	if rows == 0 {
		t.out.WriteString("No parameters.\n")
	}
	t.out.WriteString("\n")
	return inner
}

// head leaves the defaults out where only the comments know them.
func (t *table) head() string {
	if t.params {
		return "| name | type | needed | default | what it is |\n|---|---|---|---|---|\n"
	}
	return "| name | type | needed | what it is |\n|---|---|---|---|\n"
}

func (t *table) row(value reflect.Value, field strict.Field) {
	owner, goField := owner(value.Type(), field.Index)
	said := about(goField.Name, t.comments.of(owner).fields[goField.Name])
	name, kind := "`"+field.Name+"`", typeName(field.Type)
	switch {
	case field.Rest == strict.RestAll:
		name, kind, said = "…", "", "the keys of the target's kind: see [kinds of targets](targets.md)"
	case field.Rest == strict.RestKind:
		page, example := "probes.md", "http"
		switch value.Type() {
		case reflect.TypeFor[jenner.Channel]():
			page, example = "notifiers.md", "webhook"
		case reflect.TypeFor[jenner.MetricsSource]():
			page, example = "sources.md", "postgres"
		}
		name, kind = "`"+example+"` …", "mapping"
		said = fmt.Sprintf("one key that names the kind, with its settings below it: see [%s](%s)", strings.TrimSuffix(page, ".md"), page)
		if field.Or != "" {
			said = "in place of `" + field.Or + "`: " + said
		}
	}
	needed, normal := "", ""
	if !field.Optional {
		needed = "yes"
	}
	if t.params {
		normal = " |"
		if at := value.FieldByIndex(field.Index); !at.IsZero() {
			needed, normal = "", " `"+written(at.Interface())+"` |"
		}
	}
	fmt.Fprintf(&t.out, "| %s | %s | %s |%s %s |\n", name, kind, needed, normal, cell(said))
}

// about takes the Go name from the beginning of a comment: readers of the page know the field by its key.
func about(goName, said string) string {
	for _, verb := range []string{" is ", " are "} {
		if rest, found := strings.CutPrefix(said, goName+verb); found {
			return rest
		}
	}
	return said
}

// owner is the struct in which the field is declared: itself, or one that is embedded.
func owner(structure reflect.Type, index []int) (reflect.Type, reflect.StructField) {
	for _, i := range index[:len(index)-1] {
		structure = structure.Field(i).Type
	}
	return structure, structure.Field(index[len(index)-1])
}

// written is a value as people write it.
func written(value any) string {
	if duration, ok := value.(jenner.Duration); ok {
		return duration.String()
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.Trim(string(raw), `"`)
}

// typeNames are the words for the types that people write in a form of their own.
var typeNames = map[reflect.Type]string{
	reflect.TypeFor[jenner.Duration]():    "duration",
	reflect.TypeFor[jenner.Number]():      "number",
	reflect.TypeFor[jenner.Share]():       "share",
	reflect.TypeFor[jenner.Confidence]():  "confidence",
	reflect.TypeFor[jenner.Limit]():       "limit",
	reflect.TypeFor[jenner.BlastRadius](): "limits by unit",
	reflect.TypeFor[jenner.Params]():      "mapping",
	reflect.TypeFor[json.RawMessage]():    "any value",
	reflect.TypeFor[jenner.Mode]():        "one of " + list(jenner.Modes),
	reflect.TypeFor[jenner.Verdict]():     "one of " + list(jenner.Verdicts),

	reflect.TypeFor[jenner.ExpectedOutcome](): "one of " + list(jenner.ExpectedOutcomes),
	reflect.TypeFor[jenner.StageBy]():         "one of " + list(jenner.StageBys),
	reflect.TypeFor[jenner.Pick]():            "`one`, a count or a share",
}

func list[T ~string](words []T) string {
	var quoted []string
	for _, word := range words {
		quoted = append(quoted, "`"+string(word)+"`")
	}
	return strings.Join(quoted, ", ")
}

// typeName is the word for a type.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name, special := typeNames[t]; special {
		return name
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "mapping of " + typeName(t.Elem())
	case reflect.Struct:
		return "[" + typeWords(t) + "](#" + strings.ReplaceAll(typeWords(t), " ", "-") + ")"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Interface:
		return "any value"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return typeWords(t) // written in a form of its own
	}
	return "whole number"
}

// typeWords is a type's name in small words: EvidencePattern is `evidence pattern`.
func typeWords(t reflect.Type) string {
	var words strings.Builder
	previous := 'A'
	for _, r := range t.Name() {
		if r >= 'A' && r <= 'Z' && previous >= 'a' {
			words.WriteByte(' ')
		}
		words.WriteRune(r)
		previous = r
	}
	return strings.ToLower(words.String())
}

// holdsStruct is the struct that a field holds, also in a list or a mapping; nil where it holds none with written fields.
func holdsStruct(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if _, special := typeNames[t]; special {
			return nil
		}
		t = t.Elem()
	}
	if _, special := typeNames[t]; special || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// cell makes a text fit for a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
