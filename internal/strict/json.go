package strict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
)

var rawType = reflect.TypeFor[json.RawMessage]()

// asRaw decodes into json.RawMessage; false where into is of another type.
func (d *decoder) asRaw(node *yaml.Node, into reflect.Value, place at) (json.RawMessage, bool) {
	if into.Type() != rawType {
		return nil, false
	}
	return d.json(node, place), true
}

// anything decodes into an interface value as encoding/json would.
func (d *decoder) anything(node *yaml.Node, into reflect.Value, place at) {
	raw := d.json(node, place)
	if raw == nil || into.NumMethod() > 0 {
		return
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		d.problem(node, place, "%s: %v", place.what, err)
		return
	}
	into.Set(reflect.ValueOf(value))
}

// json writes a YAML value as JSON: numbers stay numbers, `15%` and dates stay text. It gives nil, and a problem, where
// the value has no JSON form.
func (d *decoder) json(node *yaml.Node, place at) json.RawMessage {
	var buffer bytes.Buffer
	before := len(d.problems)
	d.writeJSON(&buffer, node, place)
	if len(d.problems) > before || d.stopped {
		return nil
	}
	return buffer.Bytes()
}

func (d *decoder) writeJSON(out *bytes.Buffer, node *yaml.Node, place at) {
	if node = d.enter(node, place); node == nil {
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		for i, entry := range d.entries(node, place) {
			if i > 0 {
				out.WriteByte(',')
			}
			element := place.below(entry.name)
			d.positions[element.path] = entry.key.Line
			out.Write(jenner.Raw(entry.name))
			out.WriteByte(':')
			d.writeJSON(out, entry.value, element)
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			element := place.below(fmt.Sprint(i))
			d.positions[element.path] = item.Line
			d.writeJSON(out, item, element)
		}
		out.WriteByte(']')
	default:
		d.writeScalar(out, node, place)
	}
}

func (d *decoder) writeScalar(out *bytes.Buffer, node *yaml.Node, place at) {
	switch tag := node.ShortTag(); tag {
	case "!!null":
		out.WriteString("null")
	case "!!bool":
		value, ok := truth(node)
		if !ok {
			d.problem(node, place, "%s must be true or false, but is %q", place.what, node.Value)
		}
		out.WriteString(strconv.FormatBool(value))
	case "!!int", "!!float":
		number, err := jsonNumber(node.Value)
		if err != nil {
			d.problem(node, place, "%s: %v", place.what, err)
			return
		}
		out.WriteString(number)
	case "!!str", "!!timestamp":
		out.Write(jenner.Raw(node.Value))
	default:
		d.problem(node, place, "%s has the tag %s, which means nothing here; leave it out", place.what, tag)
	}
}

// JSON reads one JSON value as the YAML node that Node decodes. Its values have no lines: Problem.Path says where they are.
func JSON(raw []byte) (*yaml.Node, error) {
	reader := json.NewDecoder(bytes.NewReader(raw))
	reader.UseNumber()
	value, err := readJSON(reader, 0)
	if err == nil {
		if _, more := reader.Token(); more != io.EOF {
			err = fmt.Errorf("something follows the value")
		}
	}
	return value, err
}

// paramsNode turns parameters into a YAML node, so that one decoder serves both.
func paramsNode(params jenner.Params) (*yaml.Node, *Problem) {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value, err := JSON(params[name])
		if err != nil {
			return nil, &Problem{Path: "/" + escape(name), Message: fmt.Sprintf("%s is not JSON: %v", name, err)}
		}
		node.Content = append(node.Content, text(name), value)
	}
	return node, nil
}

func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func readJSON(reader *json.Decoder, depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
	}
	token, err := reader.Token()
	if err != nil {
		return nil, err
	}
	switch value := token.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(value)}, nil
	case json.Number:
		tag := "!!float"
		if !bytes.ContainsAny([]byte(value), ".eE") {
			tag = "!!int"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value.String()}, nil
	case string:
		return text(value), nil
	case json.Delim:
		return readNested(reader, value, depth)
	}
	return nil, fmt.Errorf("unexpected %v", token)
}

func readNested(reader *json.Decoder, open json.Delim, depth int) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if open == '{' {
		node = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	for reader.More() {
		if open == '{' {
			key, err := reader.Token()
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, text(fmt.Sprint(key)))
		}
		value, err := readJSON(reader, depth+1)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, value)
	}
	_, err := reader.Token()
	return node, err
}
