package reference

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/jenner-heal/jenner"
)

// documents describes the kinds of documents in the order in which people meet them.
func documents(said *comments) string {
	var out strings.Builder
	out.WriteString(`# Documents

The files that people write: YAML, several documents to a file, any number of files below one folder. ` +
		"[How to write them](../files.md)" + ` has an example. Each kind also has a JSON Schema: ` + "`jenner schema KIND`" + `.

Durations are written as ` + "`300ms`, `10m` or `30d`" + `; shares as ` + "`15%` or `0.15`" + `; numbers as ` +
		"`0.7`, `120` or `70%`" + `; confidences as ` + "`low` (0.5), `medium` (0.75), `high` (0.9)" + ` or a number from 0 to 1; limits as a
share, a count, or both, of which the smaller holds; limits by unit as ` + "`{max_connections: 15%}`" + `.

`)
	t := &table{comments: said, heading: "###"} // one for all: what two kinds share is described once
	for _, kind := range kinds() {
		found := said.of(kind)
		fmt.Fprintf(&t.out, "## %s\n\n%s\n\n", typeWords(kind), cell(found.doc))
		t.fields(reflect.New(kind).Interface())
	}
	out.WriteString(t.out.String())
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// kinds are the types of the documents, as jenner.Documents holds them.
func kinds() []reflect.Type {
	all := reflect.TypeFor[jenner.Documents]()
	var types []reflect.Type
	for i := range all.NumField() {
		kind := all.Field(i).Type
		if kind.Kind() == reflect.Slice { // there is at most one document of the others
			kind = kind.Elem()
		}
		types = append(types, kind)
	}
	return types
}

// Kinds are the names of the kinds of documents that the page describes.
func Kinds() []string {
	var names []string
	for _, kind := range kinds() {
		names = append(names, typeWords(kind))
	}
	return names
}
