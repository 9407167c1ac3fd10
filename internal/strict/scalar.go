package strict

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// describe says what stands there.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "the alias *" + node.Value
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return node.Value
	case "!!int", "!!float":
		return "the number " + node.Value
	}
	return fmt.Sprintf("the text %q", shortened(node.Value))
}

func shortened(text string) string {
	runes := []rune(text)
	if len(runes) <= 60 {
		return text
	}
	return string(runes[:60]) + "…"
}

func firstLine(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(", first on line %d", line)
}

func listHint(node *yaml.Node) string {
	if node.Kind != yaml.ScalarNode || strings.ContainsAny(node.Value, "\n,[]{}") {
		return ""
	}
	return "; write [" + node.Value + "]"
}

// unmarshaler hands the written text to a type that reads itself. Types that only read JSON get JSON.
func (d *decoder) unmarshaler(node *yaml.Node, into reflect.Value, place at) bool {
	if !into.CanAddr() {
		return false
	}
	var err error
	switch reader := into.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		if node.Kind != yaml.ScalarNode {
			d.problem(node, place, "%s must be a single value, but is %s", place.what, describe(node))
			return true
		}
		err = reader.UnmarshalText([]byte(node.Value))
	case json.Unmarshaler:
		if raw := d.json(node, place); raw != nil {
			err = reader.UnmarshalJSON(raw)
		}
	default:
		return false
	}
	if err != nil {
		d.problem(node, place, "%s: %s", place.what, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return true
}

// scalar decodes text, numbers and truth values.
func (d *decoder) scalar(node *yaml.Node, into reflect.Value, place at) {
	expected := expectation(into.Kind())
	if expected == "" {
		d.problem(node, place, "%s cannot be written in a file", place.what)
		return
	}
	if node.Kind != yaml.ScalarNode {
		d.problem(node, place, "%s must be %s, but is %s", place.what, expected, describe(node))
		return
	}
	if hint, ok := set(node, into); !ok {
		d.problem(node, place, "%s must be %s, but is %s%s", place.what, expected, describe(node), hint)
	}
}

func expectation(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number of at least 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return ""
}

// set puts the scalar into a string, bool or number; where it does not fit, the hint says how to write it.
func set(node *yaml.Node, into reflect.Value) (hint string, ok bool) {
	tag := node.ShortTag()
	switch into.Kind() {
	case reflect.String:
		if tag == "!!bool" || tag == "!!int" || tag == "!!float" {
			return fmt.Sprintf("; write %q", node.Value), false
		}
		into.SetString(node.Value)
		return "", tag == "!!str" || tag == "!!timestamp"
	case reflect.Bool:
		value, ok := truth(node)
		if !ok {
			return boolHint(node.Value), false
		}
		into.SetBool(value)
		return "", true
	}
	if tag != "!!int" && tag != "!!float" {
		return "", false
	}
	number, err := jsonNumber(node.Value)
	if err != nil {
		return "; " + err.Error(), false
	}
	return setNumber(number, into)
}

// truth reads a truth value of YAML 1.2: on, yes and their like are text.
func truth(node *yaml.Node) (value, ok bool) {
	value = strings.EqualFold(node.Value, "true")
	return value, node.ShortTag() == "!!bool" && (value || strings.EqualFold(node.Value, "false"))
}

func setNumber(number string, into reflect.Value) (hint string, ok bool) {
	switch {
	case into.CanInt():
		value, err := strconv.ParseInt(number, 10, 64)
		if err != nil || into.OverflowInt(value) {
			return rangeHint(number, into), false
		}
		into.SetInt(value)
	case into.CanUint():
		value, err := strconv.ParseUint(number, 10, 64)
		if err != nil || into.OverflowUint(value) {
			return rangeHint(number, into), false
		}
		into.SetUint(value)
	default:
		value, err := strconv.ParseFloat(number, 64)
		if err != nil || into.OverflowFloat(value) {
			return rangeHint(number, into), false
		}
		into.SetFloat(value)
	}
	return "", true
}

func rangeHint(number string, into reflect.Value) string {
	if strings.ContainsAny(number, ".eE") || strings.HasPrefix(number, "-") && into.CanUint() {
		return ""
	}
	return ", which is too large"
}

func boolHint(written string) string {
	switch strings.ToLower(written) {
	case "on", "yes", "y", "true":
		return "; write true"
	case "off", "no", "n", "false":
		return "; write false"
	}
	return ""
}

// jsonNumber writes a YAML number as JSON does. Numbers whose meaning depends on who reads them are refused.
func jsonNumber(written string) (string, error) {
	plain := strings.ReplaceAll(strings.TrimPrefix(written, "+"), "_", "")
	digits := strings.TrimPrefix(plain, "-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return "", fmt.Errorf("%q starts with 0, which some read as octal; write it without, or in quotes", written)
	}
	if json.Valid([]byte(plain)) {
		if _, err := strconv.ParseFloat(plain, 64); err != nil { // JSON may hold 1e999, and nothing that reads it can
			return "", fmt.Errorf("%q is not a finite number", written)
		}
		return plain, nil
	}
	if whole, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(whole, 10), nil
	}
	value, err := strconv.ParseFloat(plain, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return "", fmt.Errorf("%q is not a finite number", written)
	}
	return strconv.FormatFloat(value, 'g', -1, 64), nil
}
