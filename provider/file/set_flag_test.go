package file

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func holding(t *testing.T, name, content string) jenner.Target {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return at(path)
}

func at(path string) jenner.Target {
	return jenner.Target{Kind: "file", Name: "flags", Dir: filepath.Dir(path),
		Params: jenner.Params{"path": jenner.Raw(filepath.Base(path))}}
}

func content(t *testing.T, target jenner.Target) string {
	t.Helper()
	decoded, err := decode(target)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(decoded.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func setting(key, value string) *SetFlag {
	return &SetFlag{Key: key, Value: json.RawMessage(value)}
}

// set carries the action out and gives its undo.
func set(t *testing.T, target jenner.Target, flag *SetFlag) (undo func() act.Result) {
	t.Helper()
	call := act.Call{Target: target}
	checkpoint, err := flag.Checkpoint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	call.Checkpoint = checkpoint
	if _, err := flag.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	return func() act.Result {
		t.Helper()
		result, err := flag.Undo(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

func TestSetFlagConforms(t *testing.T) {
	worlds := map[string]struct{ name, content string }{
		"a value":           {"flags.json", `{"other": 1, "checkout": {"cached_mode": false}}`},
		"an absent key":     {"flags.json", `{"checkout": {"a": 1}}`},
		"an absent object":  {"flags.json", `{}`},
		"a value in YAML":   {"flags.yaml", "# hello\ncheckout:\n  cached_mode: false # slow\n"},
		"an absent in YAML": {"flags.yml", "a: 1\n"},
	}
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				target := holding(t, world.name, world.content)
				return actiontest.World{
					Action: func() act.Action { return setting("checkout.cached_mode", "true") },
					Call:   act.Call{Target: target},
					Meddle: func(t *testing.T) { set(t, target, setting("checkout.cached_mode", `"by hand"`)) },
				}
			})
		})
	}
	t.Run("there already", func(t *testing.T) {
		actiontest.Run(t, func(t *testing.T) actiontest.World {
			target := holding(t, "flags.json", `{"on": true}`)
			return actiontest.World{
				Action:  func() act.Action { return setting("on", "true") },
				Call:    act.Call{Target: target},
				Meddle:  func(t *testing.T) { set(t, target, setting("on", "false")) },
				Already: true,
			}
		})
	})
}

// Each case: what stands in the file, the key and value to set, what stands there then. Undo must give every byte back.
var edits = []struct{ name, file, before, key, value, after string }{
	{"a value", "f.json", "{\n  \"z\": 1.50,\n  \"a\": false\n}\n", "a", "true", "{\n  \"z\": 1.50,\n  \"a\": true\n}\n"},
	{"nested", "f.json", `{"x": {"y": [1, {"a": 2}], "on": "no"}, "b": 9007199254740993}`, "x.on", `{"k": [1]}`, `{"x": {"y": [1, {"a": 2}], "on": {"k": [1]}}, "b": 9007199254740993}`},
	{"a new key looks like the one before", "f.json", "{\n\t\"a\": 1\n}", "b", "2", "{\n\t\"a\": 1,\n\t\"b\": 2\n}"},
	{"a new key on one line", "f.json", `{"a": {"b": 1}}`, "a.c", "2", `{"a": {"b": 1, "c": 2}}`},
	{"new objects", "f.json", `{"a": 1}`, "b.c.d", "2", `{"a": 1, "b": {"c": {"d": 2}}}`},
	{"without blanks", "f.json", `{"a":1,"b":2}`, "c", "3", `{"a":1,"b":2,"c":3}`},
	{"an empty file's worth", "f.json", "{}\n", "a.b", "null", "{\"a\": {\"b\": null}}\n"},
	{"null is a value", "f.json", `{"a": null}`, "a", "1", `{"a": 1}`},
	{"strings with signs", "f.json", `{"a}\"": "{[,", "b": "x"}`, "b", `"<&>"`, `{"a}\"": "{[,", "b": "<&>"}`},
	{"a dot in a name", "f.json", `{"a.b": 1, "a": {"b": 2}}`, `a\.b`, "3", `{"a.b": 3, "a": {"b": 2}}`},
	{"yaml keeps comments and order", "f.yaml", "# top\nz: 1   # one\n\n\nflags:\n    # why\n    cached: false   # slow\n    other: [1, 2]\n", "flags.cached", "true",
		"# top\nz: 1   # one\n\n\nflags:\n    # why\n    cached: true   # slow\n    other: [1, 2]\n"},
	{"yaml in a flow", "f.yml", "a: {b: no way, c: 2}\n", "a.c", `"yes"`, "a: {b: no way, c: \"yes\"}\n"},
	{"yaml with a word that looks like a truth", "f.yaml", "a: x\n", "a", `"true"`, "a: \"true\"\n"},
	{"yaml umlauts", "f.yaml", "größe: {ß: klein, b: 1}\n", "größe.ß", `"groß"`, "größe: {ß: groß, b: 1}\n"},
	{"yaml new key", "f.yaml", "# top\na:\n    b: 1 # x\n", "a.c", "2", "# top\na:\n    b: 1 # x\n    c: 2\n"},
	{"yaml new objects", "f.yaml", "a: 1\n", "b.c.d", `{"e":[1,"2"]}`, "a: 1\nb:\n  c:\n    d:\n      e:\n        - 1\n        - \"2\"\n"},
	{"yaml with a document mark", "f.yaml", "---\na: 1\n", "b", "2", "---\na: 1\nb: 2\n"},
}

func TestSetFlagKeepsTheRest(t *testing.T) {
	for _, edit := range edits {
		t.Run(edit.name, func(t *testing.T) {
			target := holding(t, edit.file, edit.before)
			undo := set(t, target, setting(edit.key, edit.value))
			if got := content(t, target); got != edit.after {
				t.Errorf("the file holds\n%s\nwant\n%s", got, edit.after)
			}
			undo()
			if got := content(t, target); got != edit.before {
				t.Errorf("after the undo the file holds\n%s\nwant\n%s", got, edit.before)
			}
		})
	}
}

// Undo takes back this key and nothing else.
func TestUndoKeepsWhatOthersDid(t *testing.T) {
	target := holding(t, "f.json", `{"a": 1}`)
	undo := set(t, target, setting("b.c", "2"))
	set(t, target, setting("b.theirs", "3"))
	set(t, target, setting("a", "4"))
	undo()
	if got, want := content(t, target), `{"a": 4, "b": {"theirs": 3}}`; got != want {
		t.Errorf("the file holds %s, want %s", got, want)
	}
}

func TestFingerprintIsOfThisKeyOnly(t *testing.T) {
	target := holding(t, "f.json", `{"a": {"x": 1, "y": 2}, "b": 1}`)
	print := func() string {
		t.Helper()
		print, err := setting("a", "0").Fingerprint(t.Context(), act.Call{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		return print
	}
	before := print()
	set(t, target, setting("b", "7"))
	if print() != before {
		t.Error("another key's change shows in the fingerprint")
	}
	set(t, target, setting("a", `{"y": 2, "x": 1}`))
	if print() != before {
		t.Error("the order of keys shows in the fingerprint")
	}
	set(t, target, setting("a.y", "3"))
	if print() == before {
		t.Error("a change of the key's own value does not show in the fingerprint")
	}
}

func TestSetFlagCreatesTheFile(t *testing.T) {
	for _, name := range []string{"new.json", "new.yaml"} {
		target := at(filepath.Join(t.TempDir(), name))
		flag := setting("a.b", "true")
		_, err := flag.Do(t.Context(), act.Call{Target: target})
		wantError(t, err, name, "is not there", "create: true")
		flag.Create = true
		undo := set(t, target, flag)
		if got := content(t, target); !strings.Contains(got, "true") {
			t.Errorf("the file holds %q", got)
		}
		undo()
		if _, err := os.Stat(filepath.Join(target.Dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the undo left the file: %v", err)
		}
		if undo().Changed {
			t.Error("the second undo changed something")
		}
		undo = set(t, target, flag)
		set(t, target, setting("theirs", "1"))
		undo()
		if got := content(t, target); !strings.Contains(got, "theirs") {
			t.Errorf("the undo took away what somebody else wrote; the file holds %q", got)
		}
	}
}

func TestSetFlagKeepsModeOwnerAndLink(t *testing.T) {
	target := holding(t, "real.json", `{"a": 1}`)
	real := filepath.Join(target.Dir, "real.json")
	if err := os.Chmod(real, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(real, 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Stat(real)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	set(t, at(link), setting("a", "2"))
	if got := content(t, target); got != `{"a": 2}` {
		t.Errorf("the real file holds %s", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is no link any more: %v, %v", info.Mode(), err)
	}
	after, _ := os.Stat(real)
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if is.Mode != was.Mode || is.Uid != was.Uid || is.Gid != was.Gid {
		t.Errorf("mode %o of %d:%d, was %o of %d:%d", is.Mode, is.Uid, is.Gid, was.Mode, was.Uid, was.Gid)
	}
	if left, _ := filepath.Glob(filepath.Join(target.Dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Who wrote the file between our reading and our writing is not overwritten.
func TestReplaceSeesAnotherWriter(t *testing.T) {
	target := holding(t, "f.json", `{"a": 1}`)
	path := filepath.Join(target.Dir, "f.json")
	read, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	set(t, target, setting("theirs", "1"))
	if err := replace(path, []byte("ours"), read); !errors.Is(err, errMeanwhile) {
		t.Errorf("error %v, want that somebody else changed it", err)
	}
	if got := content(t, target); !strings.Contains(got, "theirs") {
		t.Errorf("their change is gone: %s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(target.Dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A disk that takes nothing more leaves the old file whole. A limit on file sizes stands in for the full disk; it is far
// above what the test program itself writes at that moment.
func TestFullDiskKeepsTheOldFile(t *testing.T) {
	big := `{"a": "` + strings.Repeat("x", 2<<20) + `"}`
	target := holding(t, "f.json", big)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := setting("b", "1").Do(t.Context(), act.Call{Target: target})
	if restore := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); restore != nil {
		t.Fatal(restore)
	}
	wantError(t, err, "f.json", "cannot be written", "file too large")
	if got := content(t, target); got != big {
		t.Errorf("the file has %d bytes, want the %d of before", len(got), len(big))
	}
	if left, _ := filepath.Glob(filepath.Join(target.Dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSetFlagRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		file, content, key string
		parts              []string
	}{
		"what is not JSON":      {"f.json", `{"a": 1,}`, "a", []string{"f.json", "not JSON"}},
		"what is not YAML":      {"f.yaml", "a: [1\n", "a", []string{"f.yaml", "not YAML"}},
		"a key twice":           {"f.json", `{"a": 1, "a": 2}`, "a", []string{"stands twice"}},
		"a way through a list":  {"f.json", `{"a": [1]}`, "a.b", []string{"a is not an object"}},
		"a list":                {"f.json", `[1]`, "a", []string{"does not hold an object"}},
		"a yaml way through it": {"f.yaml", "a: 1\n", "a.b", []string{"a is not an object"}},
		"an anchor":             {"f.yaml", "a: &x\n  b: 1\nc: *x\n", "a.b", []string{"shared through an anchor"}},
		"an alias":              {"f.yaml", "a: &x\n  b: 1\nc: *x\n", "c.b", []string{"shared through an anchor"}},
		"several documents":     {"f.yaml", "a: 1\n---\nb: 2\n", "a", []string{"several documents"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := holding(t, test.file, test.content)
			_, err := setting(test.key, "5").Do(t.Context(), act.Call{Target: target})
			wantError(t, err, test.parts...)
			if got := content(t, target); got != test.content {
				t.Errorf("the file was changed to %s", got)
			}
		})
	}
	for _, flag := range []*SetFlag{{}, {Key: "a"}, {Value: json.RawMessage("1")}, setting("a..b", "1"), setting("a", "tru"), setting("a", "1 2")} {
		if flag.Validate() == nil {
			t.Errorf("accepted: %+v", flag)
		}
	}
	err := setting("a", "1").Check(t.Context(), act.Call{Target: at("x/flags.toml")})
	wantError(t, err, "flags.toml", "neither .json nor .yaml")
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.Symlink("nowhere", broken); err != nil {
		t.Fatal(err)
	}
	_, err = (&SetFlag{Key: "a", Value: json.RawMessage("1"), Create: true}).Do(t.Context(), act.Call{Target: at(broken)})
	wantError(t, err, "symbolic link")
}

// Whatever the document and the key: what was set is found again, the rest means what it meant, undo gives it all back.
func TestEveryEditComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"f.json", "f.yaml"}).Draw(t, "name")
		parse, _ := formatOf(name)
		keys := rapid.SampledFrom([]string{"a", "b", `"`, "c d", "ü", "no", "1"})
		values := rapid.SampledFrom([]string{"1", "-0.5e3", `"x\ny"`, `" <&> : # "`, "[]", "{}", `[{"a":[1]}]`, "null", "true", `"null"`, `"2024-01-01"`})
		doc, err := parse([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		path := rapid.SliceOfN(keys, 1, 3)
		for range rapid.IntRange(0, 5).Draw(t, "others") {
			// A way through a value that is no object is refused; nothing changes then.
			_ = doc.set(path.Draw(t, "other"), json.RawMessage(values.Draw(t, "value")))
		}
		before := whole(t, doc)
		way, value := path.Draw(t, "path"), values.Draw(t, "new")
		was, err := doc.get(way)
		if err != nil {
			return // refused
		}
		if err := doc.set(way, json.RawMessage(value)); err != nil {
			t.Fatal(err)
		}
		if got, _ := doc.get(way); string(got.JSON) != string(mustCanonical(t, value)) {
			t.Fatalf("%q is %s after it was set to %s in\n%s", way, got.JSON, value, doc.bytes())
		}
		opened := &opened{document: doc, path: way}
		if was.JSON != nil {
			err = doc.restore(way, was.Text)
		} else {
			err = opened.prune(was.Depth)
		}
		if err != nil {
			t.Fatal(err)
		}
		if after := whole(t, doc); after != before {
			t.Fatalf("before %s, after the undo %s", before, after)
		}
		again, err := parse(doc.bytes())
		if err != nil {
			t.Fatalf("the text cannot be read again: %v\n%s", err, doc.bytes())
		}
		if after := whole(t, again); after != before {
			t.Fatalf("before %s, read again %s", before, after)
		}
	})
}

func whole(t *rapid.T, doc document) string {
	all, err := doc.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(all.JSON)
}

func mustCanonical(t *rapid.T, value string) json.RawMessage {
	raw, err := canonical([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
}
