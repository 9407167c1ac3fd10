package expression

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func scope(t testing.TB) *Scope {
	t.Helper()
	s, err := NewScope([]string{"labels"}, []string{"body"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var vars = map[string]any{"labels": map[string]string{"app": "shop", "pod": "shop-1"},
	"body": map[string]any{"n": 3.0, "on": true, "list": []any{"a", 1.0}, "deep": map[string]any{"x": nil}}}

func TestValues(t *testing.T) {
	for written, want := range map[string]any{
		`labels.app`:                             "shop",
		`labels["pod"].split("-")[1]`:            "1",
		`labels.?gone.orValue("none")`:           "none",
		`labels.?gone`:                           nil,
		`body.n`:                                 3.0,
		`body.n > 2 ? "high" : "low"`:            "high",
		`body.on`:                                true,
		`int(body.n) + 1`:                        4.0,
		`body.deep.x`:                            nil,
		`body.list`:                              []any{"a", 1.0},
		`{"team": labels.app}`:                   map[string]any{"team": "shop"},
		`timestamp("2026-03-01T12:00:00Z")`:      time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		`has(body.deep.x) && !has(body.missing)`: true,
	} {
		expression, err := scope(t).Compile(written)
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if got, err := expression.Value(vars); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %#v, %v; want %#v", written, got, err, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for written, want := range map[string]string{
		"plain":                             "plain",
		"":                                  "",
		"{{ labels.app }}":                  "shop",
		"{{labels.app}}-{{ body.n }} }":     "shop-3 }",
		`{{ labels.app + "/" + "x" }} has `: "shop/x has ",
		"{{ body.deep.x }}":                 "",
	} {
		text, err := scope(t).Text(written)
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if got, err := text.Fill(vars); err != nil || got != want || text.Plain() == strings.Contains(written, "{{") {
			t.Errorf("%s gives %q, %v, plain %v; want %q", written, got, err, text.Plain(), want)
		}
	}
}

func TestWhatCannotBeReadOrIsNotThereIsAnError(t *testing.T) {
	for written, want := range map[string]string{
		"{{ label.app }}":       "`label.app`: 1:1: undeclared reference to 'label'",
		"{{ labels.app":         "{{ without }}",
		"{{ }}":                 "the expression is empty",
		"{{ labels.gone }}":     "no such key: gone",
		"{{ body.list }}":       "it must be a text",
		"{{ body.missing.x }}":  "no such key: missing",
		"{{ labels.app.size }}": "size",
	} {
		text, err := scope(t).Text(written)
		if err == nil {
			_, err = text.Fill(vars)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v; want %q in it", written, err, want)
		}
	}
}

// TestAnExpressionIsBounded: whoever sends a body must not be able to keep a processor busy by it.
func TestAnExpressionIsBounded(t *testing.T) {
	long := make([]any, 2000)
	for i := range long {
		long[i] = "x"
	}
	expression, err := scope(t).Compile(`body.all(a, body.all(b, a == b))`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := expression.Value(map[string]any{"body": long}); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("the error is %v; it must be about the cost", err)
	}
}
