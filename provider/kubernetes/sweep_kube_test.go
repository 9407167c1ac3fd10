//go:build kube

package kubernetes

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// left is a fault whose injector is gone for good, with its journal: only what is on the objects is left of it.
func (g *ground) left(fault string, target jenner.Target, params string) jenner.FaultRecord {
	g.t.Helper()
	read, make := made(g.t, fault, target.Kind, params)
	record := jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(g.ns, fault, target.Name), Drill: "d-lost", Fault: fault, Params: read, Target: target,
		InjectedAt: time.Now(), Until: time.Now().Add(time.Hour)}
	checkpoint, err := make().(chaos.Checkpointer).Checkpoint(g.t.Context(), chaos.Call{Record: record})
	if err != nil {
		g.t.Fatal(err)
	}
	record.Checkpoint = checkpoint
	g.t.Cleanup(func() {
		if err := make().Undo(afterwards(g.t), chaos.Call{Record: record}); err != nil {
			g.t.Error(err)
		}
	})
	if err := make().Inject(g.t.Context(), chaos.Call{Record: record}); err != nil {
		g.t.Fatal(err)
	}
	return record
}

// swept is what a sweep at a time takes back. It looks into all namespaces: tests that sweep are serial.
func (g *ground) swept(at time.Time, target jenner.Target) []chaos.Swept {
	g.t.Helper()
	swept, err := sweeper{}.Sweep(g.t.Context(), []jenner.Target{target}, at)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := len(swept) - 1; i >= 0; i-- { // others test in the same cluster
		if !strings.Contains(swept[i].On, g.ns) && !strings.HasPrefix(swept[i].On, "nodes ") {
			g.t.Errorf("it took back %+v, which is not this test's", swept[i])
		}
	}
	return swept
}

// over is when the marks of a record are over for everybody.
func over(record jenner.FaultRecord) time.Time {
	return record.Until.Add(chaos.SweepGrace + time.Second)
}

// bare is an object without what the server counts.
func bare(object *unstructured.Unstructured) map[string]any {
	without := object.DeepCopy()
	unstructured.RemoveNestedField(without.Object, "status")
	without.SetResourceVersion("")
	without.SetGeneration(0)
	annotations := maps.Clone(without.GetAnnotations())
	delete(annotations, "deployment.kubernetes.io/revision")
	without.SetAnnotations(annotations)
	for _, entry := range without.GetManagedFields() {
		if entry.Manager == faultManager {
			return map[string]any{"still owned": entry.Manager}
		}
	}
	without.SetManagedFields(nil)
	return without.Object
}

// TestALaterJennerUndoesWhatIsOver: one that knows neither the journal nor the drill, by the marks alone; not before their
// time; exactly; and once.
func TestALaterJennerUndoesWhatIsOver(t *testing.T) {
	for fault, params := range map[string]string{
		"kubernetes.scale_to_zero": `{}`,
		"kubernetes.bad_image":     `{"at_once":true}`,
		"kubernetes.crash_loop":    `{"env":{"CRASH_AFTER":"0s","OTHER":"1"}}`,
		"kubernetes.config_drift":  `{"key":"config.yaml","value":"value: <other>\n"}`,
		"kubernetes.bounds":        `{"min":2,"max":3}`,
		"kubernetes.cordon":        `{}`,
	} {
		t.Run(fault, func(t *testing.T) {
			g := newGround(t)
			var target jenner.Target
			switch fault {
			case "kubernetes.config_drift":
				target = g.configMap()
			case "kubernetes.bounds":
				g.deployed("shop", 1)
				target = g.scaler("shop", 1, 1)
			case "kubernetes.cordon":
				target = jenner.Target{Kind: kindNode, Name: spare}
			default:
				target = g.deployed("shop", 1)
			}
			before := bare(g.live(target))
			record := g.left(fault, target, params)
			if cmp.Equal(before, bare(g.live(target))) {
				t.Fatal("the fault changed nothing")
			}
			if swept := g.swept(record.Until.Add(chaos.SweepGrace/2), target); len(swept) > 0 {
				t.Errorf("before its time it took back %+v", swept)
			}
			swept := g.swept(over(record), target)
			if len(swept) != 1 || swept[0].ID != record.ID || swept[0].Kept != "" || !strings.HasPrefix(swept[0].By, "d-lost on ") {
				t.Errorf("it took back %+v", swept)
			}
			if target.Kind == kindNode { // the control plane takes its taint off a moment later
				g.until("the node is as it was", func() bool { return cmp.Equal(before, bare(g.live(target))) })
			}
			if diff := cmp.Diff(before, bare(g.live(target))); diff != "" {
				t.Errorf("it is not as it was (-before +after):\n%s", diff)
			}
			g.noCopies(record.ID)
			if swept := g.swept(over(record), target); len(swept) > 0 {
				t.Errorf("again it took back %+v", swept)
			}
		})
	}
}

// noCopies looks for annotations of the fault on replica sets, to which Kubernetes copies them.
func (g *ground) noCopies(id string) {
	g.t.Helper()
	sets, err := g.AppsV1().ReplicaSets(g.ns).List(g.t.Context(), metav1.ListOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, set := range sets.Items {
		if _, has := set.Annotations[markKey(id)]; has {
			g.t.Errorf("replica set %s still has the annotation", set.Name)
		}
	}
}

func TestALaterJennerUndoesWhatFaultsMade(t *testing.T) {
	g := newGround(t)
	target := g.deployed("shop", 2)
	record := g.left("kubernetes.partition", target, `{"port":8080,"pods":"one"}`)
	swept := g.swept(over(record), target)
	if len(swept) != 2 { // the policy and the label of the pod
		t.Errorf("it took back %+v", swept)
	}
	print, err := (&FaultPartition{}).Fingerprint(t.Context(), chaos.Call{Record: record})
	if err != nil || print != "no policy" {
		t.Errorf("left is %s, %v", print, err)
	}
}

func TestALaterJennerEndsTheFaultsOfChaosMesh(t *testing.T) {
	g := newGround(t)
	g.meshKind("NetworkChaos")
	g.meshController("NetworkChaos")
	target := g.deployed("shop", 1)
	record := g.left("kubernetes.chaos_mesh", target, meshParams)
	if swept := g.swept(over(record), target); len(swept) != 1 {
		t.Errorf("it took back %+v", swept)
	}
	kept, err := checkpointed[meshed](chaos.Call{Record: record})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.get(t.Context(), kept.Spot); !apierrors.IsNotFound(err) {
		t.Errorf("the resource is there: %v", err)
	}
}

// TestWhatSomebodyElseChangedStays: an undo, by the journal or by the marks, leaves a field alone that is not as the fault
// left it, and says so.
func TestWhatSomebodyElseChangedStays(t *testing.T) {
	g := newGround(t)
	target := g.configMap()
	record := g.left("kubernetes.config_drift", target, `{"key":"config.yaml","value":"drifted"}`)
	g.meddle(target, `{"data":{"config.yaml":"by hand","other":"2"}}`)
	swept := g.swept(over(record), target)
	if len(swept) != 1 || swept[0].Kept != "data.config.yaml" {
		t.Errorf("it took back %+v", swept)
	}
	config, err := g.CoreV1().ConfigMaps(g.ns).Get(t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"config.yaml": "by hand", "other": "2"}, config.Data); diff != "" || marked(config.Annotations) ||
		len(config.Labels) > 0 {
		t.Errorf("it is %+v", config.ObjectMeta)
	}
}

// TestAForgedMarkDoesNothing: whoever may annotate an object cannot make Jenner write elsewhere, or what no fault writes.
func TestAForgedMarkDoesNothing(t *testing.T) {
	g := newGround(t)
	target := g.deployed("shop", 1)
	uid := g.live(target).GetUID()
	past := time.Now().Add(-time.Hour)
	text := func(m mark, hash string) string {
		m.Fault, m.ID, m.By, m.At, m.Until, m.Hash = "kubernetes.scale_to_zero", "forged", "nobody", past, past, hash
		return string(jenner.Raw(m))
	}
	root := []delta{{Path: []string{"spec", "template", "spec", "hostPID"}, Was: []byte("true")}}
	one := []delta{{Path: []string{"spec", "replicas"}, Was: []byte("5"), Is: []byte("1")}}
	for name, forged := range map[string]struct{ text, says string }{
		"a field that no fault changes": {text(mark{UID: uid, Changes: root}, hashBefore(root)), "no fault of Jenner changes spec.template.spec.hostPID"},
		"a wrong hash":                  {text(mark{UID: uid, Changes: one}, hashBefore(nil)), "it says"},
		"an object that is not made":    {text(mark{UID: uid, Created: true}, hashBefore(nil)), "its name is none of a fault's"},
		"no mark at all":                {`{"fault":1}`, "cannot be read"},
	} {
		g.meddle(target, fmt.Sprintf(`{"metadata":{"labels":{%q:%q},"annotations":{%q:%q}}}`, touchedLabel, touchedValue, markKey("forged"), forged.text))
		swept, err := sweeper{}.Sweep(t.Context(), []jenner.Target{target}, time.Now())
		if len(swept) > 0 || err == nil || !strings.Contains(err.Error(), forged.says) || !strings.Contains(err.Error(), "see who wrote it") {
			t.Errorf("%s: %+v, %v", name, swept, err)
		}
	}
	g.meddle(target, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, markKey("forged"), text(mark{UID: "another", Changes: one}, hashBefore(one))))
	if swept := g.swept(time.Now(), target); len(swept) != 1 {
		t.Errorf("the copy of a mark of another object is not taken away: %+v", swept)
	}
	if d, err := g.AppsV1().Deployments(g.ns).Get(t.Context(), "shop", metav1.GetOptions{}); err != nil || *d.Spec.Replicas != 1 || marked(d.Annotations) {
		t.Errorf("the copy of a mark did something: %+v, %v", d, err)
	}
}

// TestALabelThatIsLeftAloneGoes: who removed the mark by hand, as a rollback does, leaves the label.
func TestALabelThatIsLeftAloneGoes(t *testing.T) {
	g := newGround(t)
	target := g.configMap()
	g.meddle(target, fmt.Sprintf(`{"metadata":{"labels":{%q:%q,"mine":"1"}}}`, touchedLabel, touchedValue))
	g.swept(time.Now(), target)
	config, err := g.CoreV1().ConfigMaps(g.ns).Get(t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"mine": "1"}, config.Labels); diff != "" {
		t.Error(diff)
	}
}

// TestTwoFaultsOnOneObject: on other fields each has its own mark, and the label goes with the last one; on the same field the
// second is refused.
func TestTwoFaultsOnOneObject(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.deployed("shop", 1)
	before := bare(g.live(target))
	first := g.left("kubernetes.scale_to_zero", target, `{}`)
	second := g.left("kubernetes.bad_image", target, `{}`)
	_, third := made(t, "kubernetes.bad_image", target.Kind, `{"image":"another"}`)
	_, err := third().(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "third", Target: target}})
	if err == nil || !strings.Contains(err.Error(), second.ID) {
		t.Errorf("a second fault on the same field: %v", err)
	}
	if err := (edited{}).Undo(t.Context(), chaos.Call{Record: first}); err != nil {
		t.Fatal(err)
	}
	if labels := g.live(target).GetLabels(); labels[touchedLabel] != touchedValue {
		t.Error("the label is gone although a fault is left")
	}
	if err := (edited{}).Undo(t.Context(), chaos.Call{Record: second}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, bare(g.live(target))); diff != "" {
		t.Errorf("it is not as it was (-before +after):\n%s", diff)
	}
}

// TestRenewWritesTheNewEndOntoTheObject: or a later Jenner would end a fault that is still wanted.
func TestRenewWritesTheNewEndOntoTheObject(t *testing.T) {
	g := newGround(t)
	target := g.configMap()
	record := g.left("kubernetes.config_drift", target, `{"key":"other","value":"2"}`)
	first := over(record)
	record.Until = record.Until.Add(time.Hour)
	if err := (edited{}).Renew(t.Context(), chaos.Call{Record: record}); err != nil {
		t.Fatal(err)
	}
	if swept := g.swept(first, target); len(swept) > 0 {
		t.Errorf("a renewed fault was taken back: %+v", swept)
	}
	if swept := g.swept(over(record), target); len(swept) != 1 {
		t.Errorf("after its new end: %+v", swept)
	}
}

// TestRefusals: what a checkpoint must not let through.
func TestRefusals(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	shop := g.deployed("shop", 2)
	if _, err := g.CoreV1().Pods(g.ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "alone", Labels: map[string]string{"app": "alone"}},
		Spec: template("alone").Spec}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	g.until("the pod runs", func() bool {
		pod, err := g.CoreV1().Pods(g.ns).Get(t.Context(), "alone", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	})
	for name, c := range map[string]struct {
		fault, params, says string
		target              jenner.Target
	}{
		"more than the cap":         {"kill", `{"pods":"100%","max_pods":1}`, "2 of 2 pods would be hit, and max_pods is 1", shop},
		"more than there are":       {"kill", `{"pods":3}`, "3 pods are to be hit, and 2 run", shop},
		"no pod":                    {"kill", `{"selector":"a=b"}`, "no running pod", shop},
		"owned by nobody":           {"kill", `{}`, "owned by nobody", g.target(kindPod, "alone")},
		"a container not there":     {"bad_image", `{"container":"db"}`, `container "db" is none of its containers; they are web`, shop},
		"a workload over the cap":   {"scale_to_zero", `{"max_pods":1}`, "2 pods, and max_pods is 1", shop},
		"the image it has":          {"bad_image", `{"image":"jenner-test/app:v1"}`, "nothing would change", shop},
		"a key not there":           {"config_drift", `{"key":"nothing","value":"x"}`, `no key "nothing"`, g.configMap()},
		"text not there":            {"config_drift", `{"key":"other","replace":{"from":"x","to":"y"}}`, "stands in it 0 times", g.target(kindConfigMap, "shop")},
		"too few nodes left":        {"cordon", `{"spare_nodes":5}`, "nodes could take pods, and 5 must be left", jenner.Target{Kind: kindNode, Name: spare}},
		"a port that nobody serves": {"partition", `{"port":9}`, "is not to be reached", shop},
		"a port not declared":       {"partition", `{}`, "write port", shop},
	} {
		_, fault := made(t, "kubernetes."+c.fault, c.target.Kind, c.params)
		_, err := fault().(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "f-refused", Target: c.target}})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
}
