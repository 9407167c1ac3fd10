package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner/act"
)

// object reads one as people write it, with whole numbers as the library has them.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := utiljson.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

const shop = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, uid: u1, resourceVersion: "7", labels: {app: shop}, annotations: {jenner.dev/last-action: k0, deployment.kubernetes.io/revision: "3"}}
spec:
  replicas: 3
  template: {spec: {containers: [{name: app, image: v1, args: [a, b]}, {name: proxy, image: p1}], volumes: []}}
status: {readyReplicas: 3}
`

func TestDifferencesAreTheSmallestFields(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"nothing":            {func(map[string]any) {}, ""},
		"status and version": {func(o map[string]any) { o["status"] = nil; delete(o, "kind") }, ""},
		"what controllers count": {func(o map[string]any) {
			_ = slot{"metadata", "annotations", "deployment.kubernetes.io/revision"}.write(o, "4")
			_ = slot{"metadata", "annotations", lastAction}.write(o, "k1")
			_ = slot{"metadata", "resourceVersion"}.write(o, "8")
		}, ""},
		"a number": {func(o map[string]any) { _ = slot{"spec", "replicas"}.write(o, int64(5)) }, "spec.replicas 3→5"},
		"in a named element": {func(o map[string]any) {
			_ = slot{"spec", "template", "spec", "containers", "[proxy]", "image"}.write(o, "p2")
		}, `spec.template.spec.containers[proxy].image "p1"→"p2"`},
		"a list without names is one field": {func(o map[string]any) {
			_ = slot{"spec", "template", "spec", "containers", "[app]", "args"}.write(o, []any{"a"})
		}, `spec.template.spec.containers[app].args ["a","b"]→["a"]`},
		"another element": {func(o map[string]any) {
			_ = slot{"spec", "template", "spec", "containers"}.write(o, []any{map[string]any{"name": "app"}})
		}, `spec.template.spec.containers [{"args":["a","b"],"image":"v1","name":"app"},{"image":"p1","name":"proxy"}]→[{"name":"app"}]`},
		"a label and an annotation": {func(o map[string]any) {
			_ = slot{"metadata", "labels", "app"}.write(o, nil)
			_ = slot{"metadata", "annotations", "a/b.c"}.write(o, "x")
		}, `metadata.annotations.a/b.c null→"x", metadata.labels.app "shop"→null`},
	} {
		t.Run(name, func(t *testing.T) {
			was, is := object(t, shop), object(t, shop)
			test.change(is)
			var said []string
			for _, one := range differences(was, is) {
				said = append(said, one.At.String()+" "+jsonText(t, one.Was)+"→"+jsonText(t, one.Want))
			}
			if got := strings.Join(said, ", "); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

func jsonText(t testing.TB, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestASlotThatLeadsNowhere(t *testing.T) {
	o := object(t, shop)
	for _, at := range []slot{{"spec", "nothing", "deeper"}, {"spec", "template", "spec", "containers", "[nobody]", "image"}, {"spec", "replicas", "x"},
		{"spec", "template", "spec", "containers", "app"}} {
		if value := at.read(o); value != nil {
			t.Errorf("%s is %v", at, value)
		}
	}
	for _, at := range []slot{{"spec", "template", "spec", "containers", "[nobody]", "image"}, {"spec", "replicas", "x"},
		{"spec", "template", "spec", "containers", "[app]"}} {
		if err := at.write(o, "x"); err == nil {
			t.Errorf("%s was written", at)
		}
	}
	if err := (slot{"spec", "new", "deeper"}).write(o, nil); err != nil || len(differences(object(t, shop), o)) != 0 {
		t.Errorf("taking away what is not there: %v", err)
	}
}

// TestWhatDiffersIsWhatBringsBack: whatever was changed, writing the differences brings one state into the other, and back.
func TestWhatDiffersIsWhatBringsBack(t *testing.T) {
	leaf := rapid.OneOf(rapid.Map(rapid.Int64Range(0, 9), func(n int64) any { return n }), rapid.Map(rapid.StringMatching("[a-c]{0,2}"), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }))
	key := rapid.StringMatching("[a-d]")
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		inner := value(depth - 1)
		mapping := rapid.Map(rapid.MapOfN(key, inner, 0, 3), func(m map[string]any) any { return m })
		list := rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l })
		elements := rapid.Map(rapid.MapOfN(key, rapid.MapOfN(key, inner, 0, 2), 0, 3), func(m map[string]map[string]any) any {
			all := []any{}
			for _, name := range []string{"a", "b", "c", "d"} {
				if fields, has := m[name]; has {
					fields["name"] = name
					all = append(all, fields)
				}
			}
			return all
		})
		return rapid.OneOf(leaf, mapping, list, elements)
	}
	rapid.Check(t, func(r *rapid.T) {
		fields := rapid.MapOfN(key, value(3), 0, 4)
		was, is := map[string]any{"spec": fields.Draw(r, "was")}, map[string]any{"spec": fields.Draw(r, "is")}
		changes := planned{Fields: differences(was, is)}
		raw, err := json.Marshal(changes)
		if err != nil {
			r.Fatal(err)
		}
		if err := json.Unmarshal(raw, &changes); err != nil { // as the store does
			r.Fatal(err)
		}
		there := &unstructured.Unstructured{Object: copied(r, was)}
		if err := changes.write(there, false); err != nil {
			r.Fatal(err)
		}
		if got, want := jsonOfSpec(r, there.Object), jsonOfSpec(r, is); got != want {
			r.Fatalf("%s\nshould have become\n%s\nand is\n%s", jsonOfSpec(r, was), want, got)
		}
		if err := changes.write(there, true); err != nil {
			r.Fatal(err)
		}
		if got, want := jsonOfSpec(r, there.Object), jsonOfSpec(r, was); got != want {
			r.Fatalf("%s\nshould have come back, and is\n%s", want, got)
		}
	})
}

func copied(r *rapid.T, value map[string]any) map[string]any {
	raw, err := json.Marshal(value)
	if err != nil {
		r.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(raw, &read); err != nil {
		r.Fatal(err)
	}
	return read
}

func jsonOfSpec(r *rapid.T, value map[string]any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		r.Fatal(err)
	}
	return string(raw)
}

func TestHowAnObjectStands(t *testing.T) {
	kept := planned{UID: "u1", Fields: []fieldChange{{At: slot{"spec", "replicas"}, Was: 3.0, Want: 5.0},
		{At: slot{"metadata", "labels", "x"}, Want: "y"}}}
	for name, test := range map[string]struct {
		change map[string]any
		key    string
		stands standing
		want   act.Happened
	}{
		"as it was":           {nil, "k1", asBefore, act.HappenedNot},
		"half of it":          {map[string]any{"spec.replicas": int64(5)}, "k1", otherwise, act.HappenedUnknown},
		"as it is to be":      {map[string]any{"spec.replicas": int64(5), "metadata.labels.x": "y"}, "k1", asWanted, act.HappenedDone},
		"changed since":       {map[string]any{"spec.replicas": int64(4), "metadata.labels.x": "y"}, "k0", otherwise, act.HappenedDone},
		"put back by another": {nil, "k0", asBefore, act.HappenedDone},
		"without a key":       {nil, "", asBefore, act.HappenedNot},
		"another object":      {map[string]any{"metadata.uid": "u2"}, "k0", otherwise, act.HappenedUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			live := &unstructured.Unstructured{Object: object(t, shop)}
			for at, value := range test.change {
				if err := (slot(strings.Split(at, "."))).write(live.Object, value); err != nil {
					t.Fatal(err)
				}
			}
			if stands, happened := kept.stands(live), kept.happened(live, test.key); stands != test.stands || happened != test.want {
				t.Errorf("it stands %d and is %s; want %d and %s", stands, happened, test.stands, test.want)
			}
		})
	}
}

func TestPlacesAreNamedInAFewWords(t *testing.T) {
	kept := planned{Fields: []fieldChange{{At: slot{"a"}}, {At: slot{"b"}}, {At: slot{"c"}}, {At: slot{"d"}}, {At: slot{"e"}}}}
	if diff := cmp.Diff("a, b, c, and 2 more", kept.places()); diff != "" {
		t.Error(diff)
	}
}
