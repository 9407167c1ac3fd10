package kubernetes

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func someMark() mark {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	changes := []delta{{Path: []string{"spec", "replicas"}, Was: json.RawMessage(`3`), Is: json.RawMessage(`0`)},
		{Path: []string{"data", "a<b"}, Is: json.RawMessage(`"\u003c"`)}}
	return marking(jenner.FaultRecord{ID: "d-1-treatment-1-0", Drill: "d-1", Fault: "kubernetes.scale_to_zero", InjectedAt: at, Until: at.Add(time.Minute)},
		"uid", changes)
}

func TestAMarkComesBackAsItWasWritten(t *testing.T) {
	object := &metav1.ObjectMeta{Labels: map[string]string{"mine": "1"}}
	m := someMark()
	if err := m.put(object); err != nil {
		t.Fatal(err)
	}
	read, has, err := markBy(object, m.ID)
	if diff := cmp.Diff(m, read); diff != "" || !has || err != nil {
		t.Errorf("%v, %v:\n%s", has, err, diff)
	}
	other := someMark()
	other.ID, other.At = "another", other.At.Add(time.Second)
	if err := other.put(object); err != nil {
		t.Fatal(err)
	}
	if all, err := marksOf(object); err != nil || len(all) != 2 || all[0].ID != "another" {
		t.Errorf("the newest is not the first: %v, %v", all, err)
	}
	unmark(object, m.ID)
	if object.Labels[touchedLabel] == "" {
		t.Error("the label went although a fault is left")
	}
	unmark(object, other.ID)
	if diff := cmp.Diff(map[string]string{"mine": "1"}, object.Labels); diff != "" || len(object.Annotations) > 0 {
		t.Errorf("left is %v\n%s", object.Annotations, diff)
	}
}

func TestAMarkThatWasTamperedWithIsRefused(t *testing.T) {
	for says, change := range map[string]func(*mark){
		"it says":                    func(m *mark) { m.Changes[0].Was = json.RawMessage(`5`) },
		"whose annotation it is not": func(m *mark) { m.ID = "another" },
		"when it is over":            func(m *mark) { m.Until = time.Time{} },
		"and has changes":            func(m *mark) { m.Created = true },
	} {
		m := someMark()
		key := markKey(m.ID)
		change(&m)
		text, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readMark(key, text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	if _, err := readMark(markKey("x"), `{"fault":"f","id":"x","newer":1}`); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a mark of a newer Jenner: %v", err)
	}
	m := someMark()
	m.Changes[0].Was = jenner.Raw(strings.Repeat("x", mostMarkBytes))
	if _, err := m.encode(); err == nil {
		t.Error("a mark that is too long for an annotation is written")
	}
}

func TestAnyIDHasAKeyThatAnAnnotationMayHave(t *testing.T) {
	keys := map[string]bool{}
	for _, id := range []string{"d-1", strings.Repeat("x", 80), strings.Repeat("x", 81), "with space", "ü", "-", "a/b"} {
		key := markKey(id)
		if keys[key] || !strings.HasPrefix(key, markPrefix) || len(key) > len(markPrefix)+57 {
			t.Errorf("%q has the key %q", id, key)
		}
		keys[key] = true
	}
}

// FuzzMark: whatever stands in an annotation, it is read without a panic, and what is accepted can be written again and comes
// back the same.
func FuzzMark(f *testing.F) {
	text, err := someMark().encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{text, "", "{}", `{"fault":"f","id":"d-1-treatment-1-0","until":"2026-01-01T00:00:00Z","hash":""}`, "null", "[]", text + text} {
		f.Add(seed)
	}
	key := markKey(someMark().ID)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := readMark(key, text)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			return // what was read just within the length may be longer when it is written anew
		}
		if second, err := readMark(key, again); err != nil || second.Hash != hashBefore(second.Changes) || len(second.Changes) != len(m.Changes) {
			t.Errorf("%q came back as %q: %v", text, again, err)
		}
	})
}

// TestWhatFaultsChangeCanBeFoundAndTakenBack: each kind of object that faults change in place is looked at by a later Jenner,
// and has fields that an undo may write.
func TestWhatFaultsChangeCanBeFoundAndTakenBack(t *testing.T) {
	for _, entry := range catalog.Merge(Provider).Faults() {
		if _, changes := reflect.TypeOf(entry.New()).Elem().FieldByName("edited"); !changes {
			continue
		}
		for _, kind := range entry.Kinds {
			resource := spotResources[kind]
			if !slices.Contains(markedKinds, kind) || resource.Resource == "" || len(undoable[resource.Resource]) == 0 {
				t.Errorf("%s changes a %s, which nobody would find and take back", entry.Name, kind)
			}
		}
	}
}
