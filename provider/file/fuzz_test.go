package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner/act"
)

// deep is a document of that many objects, one in the other.
func deep(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }

// FuzzSetJSON: setting a key in any bytes fails and changes nothing, or the key has the value afterwards and everything
// else, doubled keys and the last digit of every number included, is as before; the undo brings the very bytes back
// where a value was replaced, and the same document where one was added.
func FuzzSetJSON(f *testing.F) {
	for _, text := range []string{
		``, ` `, `{}`, "{}\n", `{"a":1}`, `{"a": {"b": 1e400}, "c":-0.0 , "d": 12345678901234567890123}`, `{"a":1,"a":2}`,
		`{"b":{"x":1,"x":[]},"a":null}`, `[1]`, `"a"`, `{"a"`, `{"a":1} x`, `{"a":NaN}`, "{\"\xff\":1,\"a\":\"\xc3\"}", "\xef\xbb\xbf{}",
		`{"a.b": {"\"": "\\"}, "\u0061": 7}`, "{\n\t\"a\" : [ {\"a\":1}, \"}\" ],\r\n\t\"z\":{ }\n}", deep(50), deep(10001),
		`{"a":"` + strings.Repeat("x", 5000) + `"}`,
	} {
		f.Add([]byte(text), "a", "2")
		f.Add([]byte(text), "a.b", `{"on": true}`)
	}
	f.Add([]byte(`{"a":1}`), `a\.b.c`, `"é\u2028<"`)
	f.Add([]byte(`{"a":1}`), "\xff", "1")
	f.Add([]byte(`{"a":1}`), "a", "1}")
	f.Add([]byte(`{"a":1}`), "a", " \n1e400 ")
	f.Add([]byte(`{}`), `..`, "-1")
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		flag := setting(key, value)
		if flag.Validate() != nil {
			return
		}
		path, _ := splitKey(key)
		setAndTakeBack(t, "flags.json", text, flag, func(before, after string) error {
			want, err := readOrdered(before)
			if err != nil {
				return fmt.Errorf("what was there is not JSON: %w", err)
			}
			added, err := readOrdered(value)
			if err != nil {
				return err
			}
			want = want.with(path, added)
			got, err := readOrdered(after)
			if err != nil || got.String() != want.String() {
				return fmt.Errorf("got %v (%v)\nwant %v", got, err, want)
			}
			return nil
		})
	})
}

// FuzzSetYAML is FuzzSetJSON for YAML. Comments and blanks may move where a value does not stand on one line, so what is
// compared are the nodes: their kinds, tags, anchors and values, in their order.
func FuzzSetYAML(f *testing.F) {
	for _, text := range []string{
		"", "# nothing\n", "---\n", "a: 1\n", "a: 1\na: 2\n", "a:\n  b: x # why\n\n  c: [1, 2]\n", "a: &x {b: 1}\nc: *x\n", "*a : 1\n",
		"<<: {a: 1}\n", "a: b: c", "a: [", "- 1\n- 2\n", "? [a]\n: 1\na: 2\n", "a: |\n  text\n   more\n", "a: >-\n  folded\n\n  text\n",
		"a: yes\nb: 0777\nc: !!binary aGk=\n", "a: 1\n---\nb: 2\n", "a: .nan\nb: .inf\n", "%YAML 1.1\n---\na: 1\n...\n", "a: '\n", "\xff\xfea\x00",
		"a: \"\\u2028\xc3\xa9\"\n", "a: !t {b: 1}\n", "a: {b: 1, c: {d: 2}}\n", "1: x\ntrue: y\n~: z\n", "a: &a [*a]\n", deep(50),
		"a: 2001-01-01\nb: 1_000\n", "a: \t1\n", "a:\n    b:\n        c: 1\n", "a: &a\n", "a: x\r\nb: y\r\n", "b: \"x\\ty\"\na: -\n",
	} {
		f.Add([]byte(text), "a", "2")
		f.Add([]byte(text), "a.b", `{"on": true, "text": "x: y\n"}`)
	}
	for _, value := range []string{"1e400", "99999999999999999999", `"\u0000"`, `"\ud800"`, `"yes"`, "null", "[]", `[{}, [[]]]`, `" a"`, `"#"`, `{"<<": {"a": 1}}`, "-0.0", `"2001-01-01"`} {
		f.Add([]byte("a: 1 # c\nb: 2\n"), "a", value)
		f.Add([]byte("b: 2\n"), "<<", value)
	}
	f.Add([]byte("a: &x {b}\nc: *x"), "^.b", "1")
	f.Add([]byte("a:"), "a", "2")
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		flag := setting(key, value)
		if flag.Validate() != nil {
			return
		}
		path, _ := splitKey(key)
		setAndTakeBack(t, "flags.yaml", text, flag, func(before, after string) error {
			was, is := nodesBut(before, path), nodesBut(after, path)
			if was != is {
				return fmt.Errorf("but for the key it is\n%s\nand was\n%s", is, was)
			}
			return nil
		})
	})
}

// setAndTakeBack sets the flag in a file with that text, and takes it back. same compares the file before and after.
func setAndTakeBack(t *testing.T, name string, text []byte, flag *SetFlag, same func(before, after string) error) {
	target := holding(t, name, string(text))
	call := act.Call{Target: target}
	checkpoint, err := flag.Checkpoint(t.Context(), call)
	if err != nil {
		if _, err := flag.Do(t.Context(), call); err == nil || content(t, target) != string(text) {
			t.Fatalf("there is no checkpoint, and setting gives %v and %q", err, content(t, target))
		}
		return
	}
	result, err := flag.Do(t.Context(), call)
	after := content(t, target)
	if (err != nil || !result.Changed) && after != string(text) {
		t.Fatalf("setting gives %v, %v, and the file was changed to %q", result, err, after)
	}
	if err != nil {
		return
	}
	if happened, err := flag.Happened(t.Context(), call); err != nil || happened != act.HappenedDone {
		t.Fatalf("it was set to %s, and afterwards it is %q (%v):\n%s", flag.Value, happened, err, after)
	}
	if again, err := flag.Do(t.Context(), call); err != nil || again.Changed {
		t.Fatalf("setting it again gives %+v, %v", again, err)
	}
	if !result.Changed {
		return
	}
	if err := same(string(text), after); err != nil {
		t.Fatalf("%s = %s in %q gives %q: %v", flag.Key, flag.Value, text, after, err)
	}
	var was state
	if err := json.Unmarshal(checkpoint, &was); err != nil {
		t.Fatal(err)
	}
	call.Checkpoint = checkpoint
	if _, err := flag.Undo(t.Context(), call); err != nil {
		t.Fatalf("it cannot be taken back: %v", err)
	}
	back := content(t, target)
	if was.Value != nil && strings.HasSuffix(name, ".json") && back != string(text) {
		t.Fatalf("%q came back as %q", text, back)
	}
	now, err := flag.Checkpoint(t.Context(), call)
	if err != nil || !sameState(now, checkpoint) {
		t.Fatalf("%q came back as %q: the checkpoint was %s and is %s (%v)", text, back, checkpoint, now, err)
	}
}

// sameState compares checkpoints by what they mean: YAML may write the same value in another way.
func sameState(one, other json.RawMessage) bool {
	var a, b state
	err := errors.Join(json.Unmarshal(one, &a), json.Unmarshal(other, &b))
	return err == nil && a.File == b.File && a.Depth == b.Depth && bytes.Equal(a.Value, b.Value)
}

// FuzzUndoSetFlag: any bytes for a checkpoint are an error and change nothing, or set the value that they say.
func FuzzUndoSetFlag(f *testing.F) {
	for _, raw := range []string{``, `null`, `{}`, `{"file":true,"depth":1,"value":1,"text":"1"}`, `{"file":true,"depth":-1}`, `{"depth":9223372036854775807}`,
		`{"file":false,"depth":0}`, `{"value":1,"text":"1}"}`, `{"value":1}`, `{"value":1,"text":"2"}`, `{"value":"x","text":"\"x\"\n#"}`, `[`, "\xff",
		`{"value":{"a":1},"text":"{\"a\":1}"}`, `{"value":1,"text":"1, \"other\": 2"}`} {
		f.Add([]byte(raw), false)
		f.Add([]byte(raw), true)
	}
	f.Fuzz(func(t *testing.T, checkpoint []byte, inYAML bool) {
		name, text := "flags.json", `{"a":{"b":5},"z":[1]}`
		if inYAML {
			name, text = "flags.yaml", "a:\n  b: 5\nz: [1]\n"
		}
		target := holding(t, name, text)
		flag := setting("a.b", "5")
		_, err := flag.Undo(t.Context(), act.Call{Target: target, Checkpoint: checkpoint})
		if err != nil {
			if after := content(t, target); after != text {
				t.Fatalf("%v, and the file was changed to %q", err, after)
			}
			return
		}
		var was state
		if err := json.Unmarshal(checkpoint, &was); err != nil {
			t.Fatalf("a checkpoint that cannot be read was taken for one: %q", checkpoint)
		}
		decoded, _ := decode(target)
		raw, err := os.ReadFile(decoded.Path)
		if err != nil {
			t.Fatalf("the file is gone, and something else was in it: %v", err)
		}
		parse, _ := formatOf(name)
		document, err := parse(raw)
		if err != nil {
			t.Fatalf("after %q the file is %q: %v", checkpoint, raw, err)
		}
		if at, err := document.get([]string{"a", "b"}); err != nil || !bytes.Equal(at.JSON, was.Value) {
			t.Errorf("after %q the file is %q (%v)", checkpoint, raw, err)
		}
		if z, err := document.get([]string{"z"}); err != nil || string(z.JSON) != "[1]" {
			t.Errorf("after %q something else was changed: %q", checkpoint, raw)
		}
	})
}

// ordered is a JSON value with all that a Go map would lose: order, doubled keys, the digits of numbers.
type ordered struct {
	keys   []string // of an object
	values []ordered
	object bool
	list   bool
	scalar string
}

func (o ordered) String() string {
	if !o.object && !o.list {
		return o.scalar
	}
	var parts []string
	for i, value := range o.values {
		if o.object {
			parts = append(parts, fmt.Sprintf("%q:%s", o.keys[i], value))
		} else {
			parts = append(parts, value.String())
		}
	}
	if o.object {
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// with is the value with another one at the path, and the objects that it takes.
func (o ordered) with(path []string, value ordered) ordered {
	if len(path) == 0 {
		return value
	}
	next := ordered{object: true, keys: slices.Clone(o.keys), values: slices.Clone(o.values)}
	at := slices.Index(next.keys, path[0])
	if at < 0 {
		next.keys, next.values = append(next.keys, path[0]), append(next.values, ordered{object: true})
		at = len(next.keys) - 1
	}
	next.values[at] = next.values[at].with(path[1:], value)
	return next
}

func readOrdered(text string) (ordered, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	value, err := nextOrdered(decoder)
	if err != nil {
		return value, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return value, fmt.Errorf("something follows the value: %v", err)
	}
	return value, nil
}

func nextOrdered(decoder *json.Decoder) (ordered, error) {
	token, err := decoder.Token()
	delim, nested := token.(json.Delim)
	if err != nil || !nested {
		return ordered{scalar: fmt.Sprintf("%T %v", token, token)}, err
	}
	value := ordered{object: delim == '{', list: delim == '['}
	for decoder.More() {
		if value.object {
			key, err := decoder.Token()
			if err != nil {
				return value, err
			}
			value.keys = append(value.keys, key.(string))
		}
		item, err := nextOrdered(decoder)
		if err != nil {
			return value, err
		}
		value.values = append(value.values, item)
	}
	_, err = decoder.Token()
	return value, err
}

// nodesBut tells a YAML document without the key at the path and without the mappings that stand on the way to it.
func nodesBut(text string, path []string) string {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return "error: " + err.Error()
	}
	var out strings.Builder
	if len(root.Content) > 0 {
		tellNode(&out, root.Content[0], path)
	}
	return out.String()
}

func tellNode(out *strings.Builder, node *yaml.Node, but []string) {
	if len(but) > 0 && node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind == yaml.ScalarNode && key.Value == but[0] {
				if len(but) > 1 {
					tellNode(out, node.Content[i+1], but[1:])
				}
				continue
			}
			tellNode(out, key, nil)
			tellNode(out, node.Content[i+1], nil)
		}
		return
	}
	fmt.Fprintf(out, "%d %s &%s %q\n", node.Kind, node.ShortTag(), node.Anchor, node.Value)
	for _, child := range node.Content {
		tellNode(out, child, nil)
	}
	fmt.Fprintln(out, "end")
}
