package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner/config"
)

func resource(generation int64, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "jenner.dev/v1alpha1", "kind": "Policy", "spec": spec,
		"metadata": map[string]any{"name": "pool", "namespace": "shop", "generation": generation}}}
}

// TestWhatAStatusSays of one object while it is right, wrong after having been right, and wrong from the beginning.
func TestWhatAStatusSays(t *testing.T) {
	const origin = "policy shop/pool"
	first, later := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	wrong := config.Problems{{File: origin, Path: "spec.mode", Message: "unknown mode"}, {File: "other.yaml", Line: 3, Message: "so is this"}}
	spec := map[string]any{"incident_type": "x"}
	var s status
	standing := config.Standing{Object: config.Object{Origin: origin}, Choice: config.ChoseSpec,
		Warnings: config.Problems{{File: origin, Path: "spec.runbooks", Message: "none"}}}
	s.say(resource(1, spec), standing, first)
	want := status{ObservedGeneration: 1, Warnings: []string{"spec.runbooks: none"}, LastValid: &lastValid{1, spec},
		Conditions: []metav1.Condition{{Type: "Ready", Status: "True", Reason: "InForce", Message: "in force as it is written",
			ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(first)}}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("of what is right it says (-want +got):\n%s", diff)
	}
	s.say(resource(2, map[string]any{"incident_type": "x", "mode": "bold"}), config.Standing{Object: config.Object{Origin: origin},
		Choice: config.ChoseBefore, Problems: wrong}, later)
	want = status{ObservedGeneration: 2, Problems: []string{"spec.mode: unknown mode", "other.yaml:3: so is this"}, LastValid: &lastValid{1, spec},
		Conditions: []metav1.Condition{{Type: "Ready", Status: "False", Reason: "OlderInForce",
			Message: "generation 1 stays in force: spec.mode: unknown mode (and 1 more)", ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(later)}}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("of what was right before it says (-want +got):\n%s", diff)
	}
	s.say(resource(3, map[string]any{}), config.Standing{Object: config.Object{Origin: origin}, Choice: config.ChoseNone, Problems: wrong[:1]}, later.Add(time.Hour))
	ready := s.Conditions[0]
	if ready.Reason != "LeftOut" || ready.Message != "left out: spec.mode: unknown mode" || !ready.LastTransitionTime.Time.Equal(later) {
		t.Errorf("of what is left out it says %+v", ready)
	}
	if s.LastValid == nil || s.LastValid.Generation != 1 {
		t.Error("the last version that was right is forgotten, and cannot come into force again")
	}
}

// TestTargetsLiveWhereTheirObjectDoes: a target that does not say its namespace has that of the object, in the version that is
// written and in the one before; kinds that have no namespace have none.
func TestTargetsLiveWhereTheirObjectDoes(t *testing.T) {
	targets := func() map[string]any {
		return map[string]any{"targets": []any{map[string]any{"kind": "deployment", "name": "web"}, map[string]any{"kind": "process", "name": "p"},
			map[string]any{"kind": "deployment", "name": "far", "namespace": "other"}, "nonsense"}}
	}
	object := resource(1, targets())
	object.SetKind("Service")
	object.Object["status"] = map[string]any{"lastValid": map[string]any{"spec": targets()}}
	w := (&Connection{Namespace: "jenner"}).watched(WatchOptions{Namespaced: func(kind string) bool { return kind == "deployment" }})
	w.put(documents[0], object, false)
	made := w.Objects()[0]
	const want = `{"targets":[{"kind":"deployment","name":"web","namespace":"shop"},{"kind":"process","name":"p"},` +
		`{"kind":"deployment","name":"far","namespace":"other"},"nonsense"]}`
	if string(made.Spec) != want || string(made.Before) != want {
		t.Errorf("got %s\nand before %s\nwant %s", made.Spec, made.Before, want)
	}
	if made.Kind != "service" || made.Name != "pool" || made.Origin != "service shop/pool" || made.Dir != "/" {
		t.Errorf("the object is %+v", made)
	}
	if written, _, _ := unstructured.NestedSlice(object.Object, "spec", "targets"); strings.Contains(string(mustYAML(t, written)), "shop") {
		t.Error("the object itself was changed")
	}
}

func mustYAML(t *testing.T, value any) []byte {
	t.Helper()
	raw, err := YAML(&map[string]any{"x": value})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestOnlyWhatPeopleWriteIsNews: Jenner's own words in the status lead to no new reading, an object that was made anew does.
func TestOnlyWhatPeopleWriteIsNews(t *testing.T) {
	w := (&Connection{Namespace: "jenner"}).watched(WatchOptions{})
	policy := documents[3]
	told := resource(1, nil)
	told.Object["status"] = map[string]any{"observedGeneration": int64(1)}
	anew := resource(1, nil)
	anew.SetUID("another")
	going := resource(2, nil)
	going.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	for i, step := range []struct {
		object *unstructured.Unstructured
		gone   bool
		news   bool
	}{
		{resource(1, nil), false, true}, {told, false, false}, {resource(2, nil), false, true}, {anew, false, true}, {going, false, true},
		{going, true, false}, {resource(3, nil), false, true}, {resource(3, nil), true, true},
	} {
		if news := w.put(policy, step.object, step.gone); news != step.news {
			t.Errorf("step %d: news is %v", i, news)
		}
	}
	if left := w.Objects(); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// TestTheOldestComesFirst, so that of two of one name the one stays that was there first.
func TestTheOldestComesFirst(t *testing.T) {
	w := (&Connection{Namespace: "jenner"}).watched(WatchOptions{})
	for i, namespace := range []string{"a", "b", "c"} {
		object := resource(1, nil)
		object.SetNamespace(namespace)
		object.SetCreationTimestamp(metav1.NewTime(time.Unix(int64(10-i), 0)))
		w.put(documents[3], object, false)
	}
	var order string
	for _, object := range w.Objects() {
		order += object.Origin + " "
	}
	if order != "policy c/pool policy b/pool policy a/pool " {
		t.Errorf("the order is %s", order)
	}
}
