package strict_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Shared is embedded, as parameter structs of providers share fields.
type Shared struct {
	Grace jenner.Duration `json:"grace,omitempty"`
}

// jsonOnly reads JSON alone.
type jsonOnly struct{ kind string }

func (j *jsonOnly) UnmarshalJSON(raw []byte) error {
	j.kind = fmt.Sprintf("%c", raw[0])
	if j.kind == "t" {
		return fmt.Errorf("truth is refused")
	}
	return nil
}

type inner struct {
	Text string `json:"text"`
}

type everything struct {
	Shared
	Text     string                    `json:"text"`
	Truth    bool                      `json:"truth,omitempty"`
	Whole    int                       `json:"whole,omitempty"`
	Small    int8                      `json:"small,omitempty"`
	Positive uint16                    `json:"positive,omitempty"`
	Part     float64                   `json:"part,omitempty"`
	List     []string                  `json:"list,omitempty"`
	Nested   []inner                   `json:"nested,omitempty"`
	Pointer  *inner                    `json:"pointer,omitempty"`
	Maybe    *int                      `json:"maybe,omitempty"`
	Numbers  map[string]jenner.Number  `json:"numbers,omitempty"`
	Raw      json.RawMessage           `json:"raw,omitempty"`
	Params   jenner.Params             `json:"params,omitempty"`
	Any      any                       `json:"any,omitempty"`
	Odd      jsonOnly                  `json:"odd,omitzero"`
	Untold   string                    //nolint:unused // fields without a tag are not for writers
	Ignored  string                    `json:"-"`
	Channel  chan int                  `json:"channel,omitempty"`
	ByNumber map[int]string            `json:"by_number,omitempty"`
	Limits   map[string]jenner.Limit   `json:"limits,omitempty"`
	Deep     map[string]map[string]int `json:"deep,omitempty"`
}

func node(t testing.TB, text string) *yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return &document
}

func TestNodeReadsEveryType(t *testing.T) {
	var got everything
	positions, problems := strict.Node(node(t, `
text: on
truth: True
whole: 0x10
small: -8
positive: 7
part: 1.5e3
grace: 5s
list: [yes, "1", 2026-03-01]
nested: [{text: a}, {text: b}]
pointer: {text: no}
maybe: 3
numbers: {a: 70%, b: 0.5}
limits: {max_pods: 15% 3}
raw: {a: [1, 15%, 2.50, true, null, 2026-03-01, 1_000]}
params: {timeout: 5m, count: 3, on: off}
any: [1, {b: c}]
odd: {x: y}
deep: {a/b: {c~d: 1}}
`), &got)
	if problems != nil {
		t.Fatalf("problems: %+v", problems)
	}
	three := 3
	share, count := jenner.Share(0.15), 3
	want := everything{
		Shared: Shared{Grace: jenner.Duration(5 * time.Second)},
		Text:   "on", Truth: true, Whole: 16, Small: -8, Positive: 7, Part: 1500,
		List: []string{"yes", "1", "2026-03-01"}, Nested: []inner{{"a"}, {"b"}}, Pointer: &inner{"no"}, Maybe: &three,
		Numbers: map[string]jenner.Number{"a": 0.7, "b": 0.5},
		Limits:  map[string]jenner.Limit{"max_pods": {Share: &share, Count: &count}},
		Raw:     json.RawMessage(`{"a":[1,"15%",2.50,true,null,"2026-03-01",1000]}`),
		Params:  jenner.Params{"timeout": []byte(`"5m"`), "count": []byte(`3`), "on": []byte(`"off"`)},
		Any:     []any{1.0, map[string]any{"b": "c"}},
		Odd:     jsonOnly{"{"},
		Deep:    map[string]map[string]int{"a/b": {"c~d": 1}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(jsonOnly{})); diff != "" {
		t.Errorf("the value differs (-want +got):\n%s", diff)
	}
	for path, line := range map[string]int{"": 2, "/text": 2, "/nested/1/text": 10, "/raw/a/3": 15, "/params/timeout": 16,
		"/params/none/deeper": 16, "/deep/a~1b/c~0d": 19, "/nothing": 2} {
		if got := positions.Line(path); got != line {
			t.Errorf("%q stands on line %d, want %d", path, got, line)
		}
	}
	if got := (strict.Positions{}).Line("/a/b"); got != 0 {
		t.Errorf("nothing stands on line %d", got)
	}
}

func TestNodeTellsAllProblemsAtOnce(t *testing.T) {
	var got everything
	_, problems := strict.Node(node(t, `
truth: on
whole: 1.5
small: 300
positive: -1
part: .nan
list: a
nested: [a, {txt: b}]
pointer: [a]
maybe: three
numbers: {a: much}
odd: true
channel: 1
by_number: {1: a}
Untold: a
deep: {a: 1}
limits: [1]
`), &got)
	want := []string{
		`2 /truth: truth must be true or false, but is the text "on"; write true`,
		`3 /whole: whole must be a whole number, but is the number 1.5`,
		`4 /small: small must be a whole number, but is the number 300, which is too large`,
		`5 /positive: positive must be a whole number of at least 0, but is the number -1`,
		`6 /part: part must be a number, but is the number .nan; ".nan" is not a finite number`,
		`7 /list: list must be a list, but is the text "a"; write [a]`,
		`8 /nested/0: inner must be a mapping, but is the text "a"`,
		`8 /nested/1/txt: unknown key "txt" in inner; did you mean "text"?`,
		`8 /nested/1: inner needs the key "text"`,
		`9 /pointer: pointer must be a mapping, but is a list`,
		`10 /maybe: maybe must be a whole number, but is the text "three"`,
		`11 /numbers/a: a: "much" is not a number; write 0.7, 120 or 70%`,
		`12 /odd: odd: truth is refused`,
		`13 /channel: channel cannot be written in a file`,
		`14 /by_number: by_number cannot be written in a file`,
		`15 /Untold: unknown key "Untold" in everything`,
		`16 /deep/a: a must be a mapping, but is the number 1`,
		`17 /limits: limits must be a mapping, but is a list`,
		`2 : everything needs the key "text"`,
	}
	var told []string
	for _, p := range problems {
		told = append(told, fmt.Sprintf("%d %s: %s", p.Line, p.Path, p.Message))
	}
	// Unknown keys are told after the known ones of the same mapping.
	move := want[15]
	want = append(append(append([]string{}, want[:15]...), want[16:18]...), move, want[18])
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("the problems differ (-want +got):\n%s", diff)
	}
}

func TestAliasesAndMergeKeys(t *testing.T) {
	var got struct {
		Base  jenner.Params            `json:"base"`
		Other jenner.Params            `json:"other"`
		All   []jenner.Params          `json:"all"`
		Typed map[string]jenner.Number `json:"typed"`
	}
	_, problems := strict.Node(node(t, `
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
all:
- {<<: *base, a: 9}
- {<<: [*base, *other]}
- {c: 0, <<: [*other, *base]}
- *base
typed: {<<: *base}
`), &got)
	if problems != nil {
		t.Fatal(problems)
	}
	want := []string{`{"a":9,"b":2}`, `{"a":1,"b":2,"c":4}`, `{"a":1,"b":3,"c":0}`, `{"a":1,"b":2}`}
	for i, params := range got.All {
		if text := string(jenner.Raw(params)); text != want[i] {
			t.Errorf("all[%d] is %s, want %s", i, text, want[i])
		}
	}
	if got.Typed["b"] != 2 {
		t.Errorf("typed is %v", got.Typed)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	laughs := "raw:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	merges := "raw:\n  a0: &a0 {x: 1}\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
		merges += fmt.Sprintf("  a%d: &a%d {<<: [%s], y%d: 1}\n", i, i,
			strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "), i)
	}
	for name, text := range map[string]string{
		"laughs": laughs, "merges": merges,
		"itself": "raw: &a {b: *a}", "merges itself": "raw: &a {<<: *a, b: 1}",
		"deep": "raw: " + strings.Repeat("[", 300) + strings.Repeat("]", 300),
	} {
		var got struct {
			Raw json.RawMessage `json:"raw"`
		}
		_, problems := strict.Node(node(t, text), &got)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, "grows beyond") {
			t.Errorf("%s: got %v", name, problems)
		}
	}
}

func TestParamsKeepDefaultsAndTellPaths(t *testing.T) {
	type request struct {
		Shared
		URL     string            `json:"url"`
		Status  []int             `json:"status"`
		Below   *jenner.Number    `json:"below"`
		Headers map[string]string `json:"headers"`
		Times   int               `json:"times"`
		Nested  inner             `json:"nested"`
	}
	got := request{Status: []int{200}, Times: 3}
	params := jenner.Params{"url": []byte(`"http://x"`), "below": []byte(`"70%"`), "grace": []byte(`"2s"`),
		"headers": []byte(`{"a": "b"}`), "nested": []byte(`{}`)}
	if problems := strict.Params(params, &got); problems != nil {
		t.Fatal(problems)
	}
	below := jenner.Number(0.7)
	want := request{Shared: Shared{Grace: jenner.Duration(2 * time.Second)}, URL: "http://x", Status: []int{200},
		Below: &below, Headers: map[string]string{"a": "b"}, Times: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the parameters differ (-want +got):\n%s", diff)
	}

	problems := strict.Params(jenner.Params{"ulr": []byte(`1`), "status": []byte(`[200, "ok"]`), "grace": []byte(`5`),
		"headers": []byte(`{"a": "b", "a": "c", "d": 1}`), "times": []byte(`null`), "below": []byte(`{}`)}, &request{})
	wantProblems := []strict.Problem{
		{Path: "/below", Message: "below must be a single value, but is a mapping"},
		{Path: "/grace", Message: `grace: "5" is not a duration; write a number and a unit, such as 300ms, 5s, 10m, 2h or 30d`},
		{Path: "/headers/a", Message: `key "a" stands twice in headers`},
		{Path: "/headers/d", Message: `d must be text, but is the number 1; write "1"`},
		{Path: "/status/1", Message: `status[1] must be a whole number, but is the text "ok"`},
		{Path: "/times", Message: "times has no value; write one or leave the key out"},
		{Path: "/ulr", Message: `unknown key "ulr" in request; did you mean "url"?`},
	}
	if diff := cmp.Diff(wantProblems, problems); diff != "" {
		t.Errorf("the problems differ (-want +got):\n%s", diff)
	}
}

func TestParamsThatAreNotJSON(t *testing.T) {
	for raw, want := range map[string]string{
		`{`: "a is not JSON: EOF", `1 2`: "a is not JSON: something follows the value", ``: "a is not JSON: EOF",
		strings.Repeat("[", 500): "nested more than 100 levels deep",
	} {
		problems := strict.Params(jenner.Params{"a": []byte(raw)}, &struct{}{})
		if len(problems) != 1 || problems[0].Path != "/a" || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%.20s: got %v, want %s", raw, problems, want)
		}
	}
}

func TestWhatCannotBeDecodedInto(t *testing.T) {
	for _, into := range []any{nil, inner{}, (*inner)(nil), "text"} {
		if _, problems := strict.Node(node(t, "text: a"), into); len(problems) != 1 {
			t.Errorf("into %T: got %v", into, problems)
		}
	}
	for _, empty := range []*yaml.Node{nil, {}, {Kind: yaml.DocumentNode}} {
		if _, problems := strict.Node(empty, &inner{}); len(problems) != 1 {
			t.Errorf("from %+v: got %v", empty, problems)
		}
	}
}

func TestNearestSpelling(t *testing.T) {
	known := []string{"probes", "restart", "url", "is"}
	for written, want := range map[string]string{"probs": "probes", "ulr": "url", "RESTART": "restart", "rsetart": "restart",
		"s": "is", "something": "", "": "", "ur": "url", "curl": "url"} {
		if got := strict.Nearest(written, known); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", written, got, want)
		}
	}
	if got := strict.Hint("ulr", known); got != `; did you mean "url"?` {
		t.Errorf("the hint is %q", got)
	}
	if got := strict.Hint("zzzzzz", known); got != "; known: probes, restart, url, is" {
		t.Errorf("the hint is %q", got)
	}
	if got := strict.Hint("zzzzzz", make([]string, 13)); got != "" {
		t.Errorf("the hint is %q", got)
	}
}

func FuzzNode(f *testing.F) {
	for _, seed := range []string{"text: a", "raw: &a [*a]", "params: {<<: {a: 1}}", "nested: [{text: [}]", "whole: 0x", "? [a]\n: b",
		"truth: !!bool ''", "numbers: {? : 1}", "raw: !!int a", "any: !!float 1__", "list: !!binary a", "small: -0b1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var document yaml.Node
		if yaml.Unmarshal([]byte(text), &document) != nil {
			return
		}
		var got everything
		_, problems := strict.Node(&document, &got)
		if problems == nil && len(got.Raw) > 0 && !json.Valid(got.Raw) {
			t.Fatalf("%q became %q, which is not JSON", text, got.Raw)
		}
	})
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{`1`, `"a"`, `{"a":[{}]}`, `[null,true]`, `1e999`, `{"a":1,"a":2}`, `-`} {
		f.Add("raw", []byte(seed))
		f.Add("whole", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		var got everything
		problems := strict.Params(jenner.Params{name: raw}, &got)
		if problems == nil && len(got.Raw) > 0 && !json.Valid(got.Raw) {
			t.Fatalf("%q became %q, which is not JSON", raw, got.Raw)
		}
	})
}

// A duration that was read is written in a form that reads as the same.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"5s", "1h30m", "0", "30d", "1.5h", "300ms", "2w", "1µs", "5", "-1s", "1e3s", "9223372036s", "106751d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		duration, err := jenner.ParseDuration(text)
		if err != nil {
			return
		}
		if duration < 0 {
			t.Fatalf("%q is %d, below 0", text, duration)
		}
		again, err := jenner.ParseDuration(duration.String())
		if err != nil || again != duration {
			t.Fatalf("%q is written %q, which reads as %v (%v)", text, duration, again, err)
		}
	})
}
