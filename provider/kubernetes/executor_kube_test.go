//go:build kube

package kubernetes

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// logbook is a journal that can lose the result, as a process does that dies between the effect and its result.
type logbook struct {
	mu     sync.Mutex
	kept   map[string]jenner.Intent
	loses  bool
	closed int
}

var errDied = errors.New("the process died")

func (n *logbook) Begin(_ context.Context, intent jenner.Intent) (jenner.Intent, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if stored, known := n.kept[intent.Key]; known {
		return stored, false, nil
	}
	if n.kept == nil {
		n.kept = map[string]jenner.Intent{}
	}
	n.kept[intent.Key] = intent
	return intent, true, nil
}

func (n *logbook) Finish(_ context.Context, intent jenner.Intent) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.loses {
		return errDied
	}
	n.kept[intent.Key] = intent
	n.closed++
	return nil
}

func (n *logbook) Intent(_ context.Context, key string) (jenner.Intent, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if stored, known := n.kept[key]; known {
		return stored, nil
	}
	return jenner.Intent{}, jenner.ErrNotFound
}

func (n *logbook) executor() *act.Executor {
	return &act.Executor{Journal: n, Now: time.Now, Held: func(string) (jenner.Hold, bool) { return jenner.Hold{}, false }}
}

// order is the deed as an order, with a fresh action.
func (d *deed) order(name string) act.Order {
	return act.Order{Name: "kubernetes." + name, Action: d.make(), Call: d.call}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	pods := g.alive(target)
	before := g.live(target).GetResourceVersion()
	e := (&logbook{}).executor()
	e.DryRun = true
	for name, params := range map[string]string{"restart": "{}", "scale": "{to: 2}", "set_image": "{images: {app: 'jenner-test/app:v2'}}",
		"raise_limit": "{factor: 2, ceiling: 1Gi}", "delete_pod": "{and_ready: true}", "patch": "{patch: {spec: {minReadySeconds: 3}}}"} {
		intent, err := e.Do(t.Context(), g.deed(name, target, params).order(name))
		if err != nil || intent.State != jenner.IntentDone || !strings.HasPrefix(intent.Summary, "would do kubernetes."+name+" on deployment/shop: ") {
			t.Errorf("%s: %s, %v", name, intent.Summary, err)
		}
		t.Log(intent.Summary)
	}
	_, err := e.Do(t.Context(), g.deed("patch", target, "{patch: {spec: {replicas: -3}}}").order("patch"))
	if err == nil || !strings.Contains(err.Error(), "must be greater than or equal to 0") {
		t.Errorf("the API server would refuse it: %v", err)
	}
	if after := g.live(target).GetResourceVersion(); after != before || g.alive(target)[0].UID != pods[0].UID {
		t.Errorf("resource version %s → %s", before, after)
	}
}

// TestACrashAfterTheEffect: the next process finds out that it happened, does not do it again, and can take it back.
func TestACrashAfterTheEffect(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	for name, params := range map[string]string{"scale": "{by: 1, ceiling: 9}", "set_image": "{images: {app: 'jenner-test/app:v2'}}",
		"patch": "{patch: {metadata: {labels: {a: b}}}}", "raise_limit": "{step: 16Mi, ceiling: 1Gi}"} {
		before := jsonOf(written(g.live(target).Object))
		book := &logbook{loses: true}
		deed := g.deed(name, target, params)
		if _, err := book.executor().Do(t.Context(), deed.order(name)); !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		book.loses = false
		generation := g.live(target).GetGeneration()
		intent, err := book.executor().Do(t.Context(), deed.order(name))
		if err != nil || !intent.Changed || intent.Summary != "it had happened before the restart" || g.live(target).GetGeneration() != generation {
			t.Errorf("%s: %+v, %v", name, intent, err)
		}
		undone, err := book.executor().Undo(t.Context(), deed.order(name), intent)
		if after := jsonOf(written(g.live(target).Object)); err != nil || undone.Kept || after != before {
			t.Errorf("%s: %+v, %v\nbefore %s\nafter  %s", name, undone, err, before, after)
		}
	}
}

// TestACrashBeforeTheEffect: it is done then, unless somebody else has changed the object meanwhile.
func TestACrashBeforeTheEffect(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", settings)
	target := g.target(kindConfigMap, "settings")
	for _, meddled := range []bool{false, true} {
		deed := g.deed("patch", target, "{patch: {data: {color: blue}}}")
		if err := deed.checkpoint(); err != nil {
			t.Fatal(err)
		}
		book := &logbook{}
		_, _, _ = book.Begin(t.Context(), jenner.Intent{Key: deed.call.Key, Action: "kubernetes.patch", Target: target, Checkpoint: deed.call.Checkpoint,
			At: time.Now(), Expires: time.Now().Add(time.Minute), State: jenner.IntentIntended})
		if meddled {
			g.meddle(target, `{"data":{"color":"green"}}`)
		}
		intent, err := book.executor().Do(t.Context(), deed.order("patch"))
		color := (slot{"data", "color"}).read(g.live(target).Object)
		if meddled && (intent.State != jenner.IntentUnknown || color != "green") || !meddled && (err != nil || color != "blue") {
			t.Errorf("meddled %v: %s, %v, and it is %v", meddled, intent.State, err, color)
		}
		g.as("people", settings)
	}
}

func TestL4AnUndoKeepsWhatSomebodyElseDid(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	book := &logbook{}
	deed := g.deed("scale", target, "{to: 2}")
	intent, err := book.executor().Do(t.Context(), deed.order("scale"))
	if err != nil {
		t.Fatal(err)
	}
	g.meddle(target, `{"metadata":{"labels":{"new":"one"}},"spec":{"replicas":3}}`)
	undone, err := book.executor().Undo(t.Context(), deed.order("scale"), intent)
	if err != nil || !undone.Kept || g.rolled(target).Replicas != 3 {
		t.Errorf("%+v, %v, %d", undone, err, g.rolled(target).Replicas)
	}
}

// TestAnObjectThatChangedSinceIsNotOverwritten: the API server holds the precondition, however short the time was.
func TestAnObjectThatChangedSinceIsNotOverwritten(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", settings)
	target := g.target(kindConfigMap, "settings")
	on, err := look(t.Context(), act.Call{Key: "k", Target: target})
	if err == nil {
		err = slot{"data", "color"}.write(on.want.Object, "blue")
	}
	if err != nil {
		t.Fatal(err)
	}
	g.meddle(target, `{"data":{"size":"small"}}`)
	if _, err := on.merge(t.Context(), false); !apierrors.IsConflict(err) || jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("%v", err)
	}
	// The very edit looks again, and finds that nothing that it is about has changed.
	deed := g.deed("patch", target, "{patch: {data: {color: blue}}}")
	deed.must()
	if entry := managerOf(g.live(target), "f:color"); entry != fieldManager {
		t.Errorf("data.color belongs to %q", entry)
	}
}

// managerOf is under which name a field was changed last.
func managerOf(live *unstructured.Unstructured, field string) string {
	for _, entry := range live.GetManagedFields() {
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.String(), field) {
			return entry.Manager
		}
	}
	return ""
}

// TestAnEffectAsksLittle: how often the API server is asked for one effect is bounded, so that many incidents at once do
// not make it slow for everybody.
func TestAnEffectAsksLittle(t *testing.T) {
	g := newGround(t)
	ours, err := connect("", "") // which counts for everybody in this process: nothing else runs meanwhile
	if err != nil {
		t.Fatal(err)
	}
	on, err := ours.tower()
	if err != nil {
		t.Fatal(err)
	}
	g.until("nothing is watched any more, for which it would be asked whether the API server lives", func() bool {
		on.mu.Lock()
		defer on.mu.Unlock()
		return on.stop == nil
	})
	for name, c := range map[string]struct {
		params string
		most   int64
	}{"restart": {"{}", 7}, "scale": {"{to: 2}", 9}, "set_image": {"{images: {app: 'jenner-test/app:v2'}}", 7}, "delete_pod": {"{and_ready: true}", 7}} {
		target := g.serving(strings.ReplaceAll(name, "_", "-"), 1) // of its own: one that settles from the last effect is asked for again
		before := ours.asked.Load()
		if _, err := (&logbook{}).executor().Do(t.Context(), g.deed(name, target, c.params).order(name)); err != nil {
			t.Fatal(err)
		}
		if asked := ours.asked.Load() - before; asked > c.most {
			t.Errorf("%s asked %d times, and %d are the most", name, asked, c.most)
		}
	}
}

// TestL17WhoOwnsItIsSeen on the live object, and only for what its owner would put back.
func TestL17WhoOwnsItIsSeen(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	owner := func(name, params string, target jenner.Target) string {
		t.Helper()
		who, err := g.deed(name, target, params).make().(act.Owner).Owner(t.Context(), act.Call{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	flux := g.serving("flux", 1)
	g.meddle(flux, `{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"shop"}}}`)
	argo := g.serving("argo", 1)
	g.meddle(argo, `{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:x/argo",
		"kubectl.kubernetes.io/last-applied-configuration":"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"v1\"}]}}}}"}}}`)
	for _, c := range []struct {
		name, params string
		target       jenner.Target
		want         string
	}{
		{"scale", "{to: 2}", flux, "flux"},
		{"restart", "{}", flux, ""}, // nobody's file holds the annotation that restarts
		{"set_image", "{images: {app: v2}}", argo, "argocd"},
		{"scale", "{to: 2}", argo, ""}, // its file leaves the replicas to others
		{"restart", "{}", argo, ""},
		{"raise_limit", "{step: 1Mi, ceiling: 1Gi}", argo, ""},
	} {
		if got := owner(c.name, c.params, c.target); got != c.want {
			t.Errorf("%s on %s belongs to %q, want %q", c.name, c.target.Name, got, c.want)
		}
	}
	g.meddle(flux, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":"`+g.uid("kube-root-ca.crt")+
		`","controller":true}]}}`)
	if got := owner("restart", "{}", flux); got != "configmap/kube-root-ca.crt" {
		t.Errorf("an operator may put a restart back; the owner is %q", got)
	}
}

// uid is that of a ConfigMap.
func (g *ground) uid(configMap string) string {
	g.t.Helper()
	return string(g.live(g.target(kindConfigMap, configMap)).GetUID())
}
