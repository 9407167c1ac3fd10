package strict

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
)

// Problem is one mistake in what was written.
type Problem struct {
	Path    string // JSON pointer from the decoded value, "" for the value itself
	Line    int    // counted from 1; 0 where the input has no lines
	Message string
}

// Positions tell where each value was written: JSON pointer to line. The line of a value in a mapping is its key's.
type Positions map[string]int

// Line is the line of the path or, where that was not written, of the nearest value around it; 0 where there is none.
func (p Positions) Line(path string) int {
	for {
		if line, written := p[path]; written {
			return line
		}
		if path == "" {
			return 0
		}
		path = parent(path)
	}
}

// The bounds of one decoding. Aliases make a small file expand into a huge value; these say where that ends.
const (
	maxNodes = 100_000
	maxDepth = 100
)

// Node decodes a YAML node into the struct that into points to, by its `json` tags. A field without omitempty or
// omitzero must be written; see Fields for the tags that only this package knows. It gives where every value stands and
// every problem, in the order of the file. Where there are problems, into is filled as far as possible. It does not
// panic, whatever was written, and may be called concurrently.
func Node(node *yaml.Node, into any) (Positions, []Problem) {
	return decode(node, into, true)
}

// Params decodes parameters into the struct that into points to, by the same rules; nothing needs to be written, for
// into holds the defaults. Paths are relative to the parameters; lines are 0.
func Params(params jenner.Params, into any) []Problem {
	node, problem := paramsNode(params)
	if problem != nil {
		return []Problem{*problem}
	}
	_, problems := decode(node, into, false)
	return problems
}

func decode(node *yaml.Node, into any, complete bool) (Positions, []Problem) {
	d := &decoder{positions: Positions{}, complete: complete}
	pointer := reflect.ValueOf(into)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return d.positions, []Problem{{Message: fmt.Sprintf("cannot be decoded into %T, only into a pointer", into)}}
	}
	if node != nil && node.Kind == yaml.DocumentNode && len(node.Content) == 1 {
		node = node.Content[0]
	}
	if node == nil || node.Kind == 0 || node.Kind == yaml.DocumentNode {
		return d.positions, []Problem{{Message: "there is nothing written here"}}
	}
	d.positions[""] = node.Line
	d.value(node, pointer.Elem(), at{what: typeWords(pointer.Elem().Type())})
	return d.positions, d.problems
}

// decoder is one call of Node or Params.
type decoder struct {
	positions Positions
	problems  []Problem
	complete  bool // fields that may not be left out are asked for
	nodes     int
	stopped   bool
}

// at is the place of a value: its path, its name in messages, and how deep it is nested.
type at struct {
	path  string
	what  string
	depth int
}

func (a at) below(name string) at {
	return at{path: a.path + "/" + escape(name), what: name, depth: a.depth + 1}
}

func (d *decoder) problem(node *yaml.Node, place at, format string, args ...any) {
	d.problems = append(d.problems, Problem{Path: place.path, Line: node.Line, Message: fmt.Sprintf(format, args...)})
}

// enter counts a value against the bounds and follows an alias. It gives nil where the bounds are reached.
func (d *decoder) enter(node *yaml.Node, place at) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		if d.tooMuch(node, place) {
			return nil
		}
		node = node.Alias
	}
	if node == nil || d.tooMuch(node, place) {
		return nil
	}
	return node
}

func (d *decoder) tooMuch(node *yaml.Node, place at) bool {
	d.nodes++
	if !d.stopped && (d.nodes > maxNodes || place.depth > maxDepth) {
		d.stopped = true
		d.problem(node, place, "the document grows beyond %d values or %d levels; look for an alias (*) that contains itself",
			maxNodes, maxDepth)
	}
	return d.stopped
}

// value decodes one value of any type.
func (d *decoder) value(node *yaml.Node, into reflect.Value, place at) {
	if node = d.enter(node, place); node == nil {
		return
	}
	if raw, ok := d.asRaw(node, into, place); ok {
		if raw != nil {
			into.SetBytes(raw)
		}
		return
	}
	if isNull(node) {
		d.problem(node, place, "%s has no value; write one or leave the key out", place.what)
		return
	}
	for into.Kind() == reflect.Pointer {
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		into = into.Elem()
	}
	if d.unmarshaler(node, into, place) {
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		d.structure(node, into, place)
	case reflect.Map:
		d.mapping(node, into, place)
	case reflect.Slice:
		d.list(node, into, place)
	case reflect.Interface:
		d.anything(node, into, place)
	default:
		d.scalar(node, into, place)
	}
}

func (d *decoder) list(node *yaml.Node, into reflect.Value, place at) {
	if node.Kind != yaml.SequenceNode {
		d.problem(node, place, "%s must be a list, but is %s%s", place.what, describe(node), listHint(node))
		return
	}
	list := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		element := place.below(fmt.Sprint(i))
		element.what = fmt.Sprintf("%s[%d]", place.what, i)
		if into.Type().Elem().Kind() == reflect.Struct {
			element.what = typeWords(into.Type().Elem())
		}
		d.positions[element.path] = item.Line
		d.value(item, list.Index(i), element)
	}
	into.Set(list)
}

func (d *decoder) mapping(node *yaml.Node, into reflect.Value, place at) {
	if into.Type().Key().Kind() != reflect.String {
		d.problem(node, place, "%s cannot be written in a file", place.what)
		return
	}
	if node.Kind != yaml.MappingNode {
		d.problem(node, place, "%s must be a mapping, but is %s", place.what, describe(node))
		return
	}
	filled := reflect.MakeMap(into.Type())
	for _, entry := range d.entries(node, place) {
		element := place.below(entry.name)
		d.positions[element.path] = entry.key.Line
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(entry.value, value, element)
		filled.SetMapIndex(reflect.ValueOf(entry.name).Convert(into.Type().Key()), value)
	}
	into.Set(filled)
}
