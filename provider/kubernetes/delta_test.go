package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"pgregory.net/rapid"
)

func objectOf(t interface{ Fatal(...any) }, text string) map[string]any {
	var object map[string]any
	if err := utiljson.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

const pod = `{"spec":{"replicas":9007199254740993,"template":{"spec":{"containers":[{"name":"web","image":"a","env":[{"name":"X","value":"1"}]},{"name":"side","image":"b"}]}}}}`

func TestFieldsAreSetAndTakenAway(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"spec replicas", `0`, `{"spec":{"replicas":0,`},
		{"spec template spec containers name=side image", `"c"`, `{"image":"c","name":"side"}`},
		{"spec template spec containers name=web env name=Y", `{"name":"Y"}`, `[{"name":"X","value":"1"},{"name":"Y"}]`},
		{"spec template spec containers name=side env name=Y", `{"name":"Y"}`, `{"env":[{"name":"Y"}],"image":"b","name":"side"}`},
		{"spec template spec containers name=web env name=X", ``, `{"image":"a","name":"web"}`},
		{"data key", `"v"`, `{"data":{"key":"v"}`},
	} {
		object := objectOf(t, pod)
		path := strings.Fields(c.path)
		was, err := valueAt(object, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := putAt(object, path, json.RawMessage(c.value)); err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		raw, _ := json.Marshal(object)
		if !strings.Contains(string(raw), c.want) {
			t.Errorf("%s = %s gives %s", c.path, c.value, raw)
		}
		if err := putAt(object, path, was); err != nil {
			t.Fatal(err)
		}
		if now, err := valueAt(object, path); err != nil || string(now) != string(was) {
			t.Errorf("%s came back as %s, %v; it was %s", c.path, now, err, was)
		}
	}
	if was, err := valueAt(objectOf(t, pod), []string{"spec", "replicas"}); err != nil || string(was) != "9007199254740993" {
		t.Errorf("a large number became %s, %v", was, err)
	}
}

func TestPathsThatMeanNothingAreErrors(t *testing.T) {
	for _, path := range []string{"", "spec replicas deeper", "spec template spec containers 0 image", "spec template spec containers name=db image"} {
		if err := putAt(objectOf(t, pod), strings.Fields(path), json.RawMessage(`1`)); err == nil {
			t.Errorf("%q can be set", path)
		}
	}
	twins := objectOf(t, `{"list":[{"name":"a"},{"name":"a"}]}`)
	if _, err := valueAt(twins, []string{"list", "name=a"}); err == nil {
		t.Error("a name that two elements have means one of them")
	}
}

// TestUndoOfChangesIsExact: for any values, what a fault sets and its undo puts back is as it was; and what somebody else has
// set in between stays.
func TestUndoOfChangesIsExact(t *testing.T) {
	paths := [][]string{{"spec", "replicas"}, {"spec", "strategy"}, {"data", "a"}, {"spec", "template", "spec", "containers", "name=web", "image"},
		{"spec", "template", "spec", "containers", "name=web", "env", "name=X", "value"}}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`1`, `"x"`, `{"a":[1]}`, `"\u003c"`, `true`, ``})
		object := objectOf(t, pod)
		before, _ := json.Marshal(object)
		var changes []delta
		foreign := -1
		for i := range paths {
			if !rapid.Bool().Draw(t, fmt.Sprint("changed ", i)) {
				continue
			}
			was, err := valueAt(object, paths[i])
			if err != nil {
				t.Fatal(err)
			}
			changes = append(changes, delta{Path: paths[i], Was: was, Is: json.RawMessage(value.Draw(t, "is"))})
		}
		for _, c := range changes {
			if err := putAt(object, c.Path, c.Is); err != nil {
				t.Fatal(err)
			}
		}
		if len(changes) > 0 && rapid.Bool().Draw(t, "meddled") {
			foreign = rapid.IntRange(0, len(changes)-1).Draw(t, "with")
			if err := putAt(object, changes[foreign].Path, json.RawMessage(`"theirs"`)); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := putBack(object, changes)
		if err != nil || len(kept) > 0 != (foreign >= 0) {
			t.Fatalf("kept %v, %v; somebody else's is %d", kept, err, foreign)
		}
		for i, c := range changes {
			want := c.Was
			if i == foreign {
				want = json.RawMessage(`"theirs"`)
			}
			if now, err := valueAt(object, c.Path); err != nil || string(now) != string(want) {
				t.Errorf("%s is %s, %v; want %s", c, now, err, want)
			}
		}
		if after, _ := json.Marshal(object); foreign < 0 && !sameButEmpty(string(before), string(after)) {
			t.Errorf("%s\nbecame\n%s", before, after)
		}
	})
}

// sameButEmpty compares but for empty maps, which the API server does not keep.
func sameButEmpty(before, after string) bool {
	return cmp.Equal(before, strings.ReplaceAll(after, `"data":{},`, ""))
}

func TestOnlyWhatFaultsChangeMayBeUndone(t *testing.T) {
	at := spot{Resource: "deployments"}
	for path, may := range map[string]bool{
		"spec replicas": true, "spec strategy": true,
		"spec template spec containers name=web image": true, "spec template spec containers name=web env name=A": true,
		"spec template spec containers name=web securityContext": false, "spec template spec hostPID": false, "spec": false,
		"spec replicas more": false, "metadata labels x": false, "": false,
	} {
		if err := permitted(at, []delta{{Path: strings.Fields(path)}}); (err == nil) != may {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := permitted(spot{Resource: "secrets"}, []delta{{Path: []string{"data", "a"}}}); err == nil {
		t.Error("a Secret may be written")
	}
}
