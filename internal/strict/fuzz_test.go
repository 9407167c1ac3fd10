package strict_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// JSON is read alike whether it stands in a YAML file or comes as parameters: who accepts both gives one value.
func FuzzBothForms(f *testing.F) {
	for _, seed := range []string{`1`, `-0`, `1e5`, `1E+5`, `0.10`, `9223372036854775808`, `123456789012345678901234567890`, `1e999`, `"1"`, `"on"`, `"~"`, `null`,
		`true`, `""`, `"\u00e9\n\/"`, `"2026-03-01"`, `2026`, `{"<<": {"a": 1}}`, `{"a": {"b": [1, null, "c"]}}`, `[]`, `[[]]`, `{"": 1}`, `{"true": 1}`,
		`"a: b"`, `"# c"`, `{"a":1}`, `"\u0000"`, "\"\u007f\"", `"!!int"`, `"=": 1`, `{"0x1": "0x1"}`, `"12:30:45"`, `"-"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var asParams, asYAML struct {
			Raw json.RawMessage `json:"raw"`
		}
		if !json.Valid(raw) || strict.Params(jenner.Params{"raw": raw}, &asParams) != nil {
			return
		}
		var document yaml.Node
		if yaml.Unmarshal(append([]byte(`raw: `), raw...), &document) != nil {
			return // not all JSON is YAML: control characters and tabs are not
		}
		if _, problems := strict.Node(&document, &asYAML); problems != nil {
			return
		}
		if !equal(t, asParams.Raw, asYAML.Raw) {
			t.Fatalf("%q is %s as parameters and %s in a file", raw, asParams.Raw, asYAML.Raw)
		}
	})
}

func equal(t *testing.T, a, b []byte) bool {
	t.Helper()
	var one, other any
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return string(a) == string(b) // numbers beyond what a float holds
	}
	return reflect.DeepEqual(one, other)
}

// What was read from a file and is written as JSON is read again as the same.
func FuzzReadAgain(f *testing.F) {
	for _, seed := range []string{"text: a", "text: a\nwhole: 0x10\nsmall: -8\npart: 1e3", "text: ''\nlist: [a, '', ~]", "text: a\nnested: [{text: b}]",
		"text: a\npointer: {text: b}\nmaybe: 0", "text: a\nnumbers: {a: 70%, b: -0}", "text: a\nraw: {a: [1_000, .5, 0x1, 1e400]}",
		"text: a\nparams: {<<: &b {x: 1}, y: *b}", "text: a\nlimits: {max_a: 15% 3}", "text: a\ndeep: {a/b~c: {'': 1}}", "text: a\ngrace: 1h30m",
		"text: a\nany: {b: [1, {c: null}]}", "text: \"\\x7f\"", "text: |\n  a\n  b", "text: a\nTEXT: b", "text: é\nraw: \"\\ud83d\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var document yaml.Node
		if yaml.Unmarshal([]byte(text), &document) != nil {
			return
		}
		var got, again everything
		if _, problems := strict.Node(&document, &got); problems != nil {
			return
		}
		var params jenner.Params
		if err := json.Unmarshal(jenner.Raw(plain(got)), &params); err != nil {
			t.Fatal(err)
		}
		if problems := strict.Params(params, &again); problems != nil {
			t.Fatalf("%q is written %s, which is refused: %v", text, jenner.Raw(params), problems)
		}
		if one, other := jenner.Raw(plain(got)), jenner.Raw(plain(again)); string(one) != string(other) {
			t.Fatalf("%q is read as %s and then as %s", text, one, other)
		}
	})
}

// plain is what JSON can hold of everything.
func plain(e everything) map[string]any {
	written := map[string]any{"text": e.Text, "truth": e.Truth, "whole": e.Whole, "small": e.Small, "positive": e.Positive, "part": e.Part,
		"grace": e.Grace}
	for name, value := range map[string]any{"list": e.List, "nested": e.Nested, "pointer": e.Pointer, "maybe": e.Maybe, "numbers": e.Numbers,
		"raw": e.Raw, "params": e.Params, "any": e.Any, "limits": e.Limits, "deep": e.Deep} {
		if v := reflect.ValueOf(value); v.IsValid() && !v.IsZero() {
			written[name] = value
		}
	}
	return written
}
