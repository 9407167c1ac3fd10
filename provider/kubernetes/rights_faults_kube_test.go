//go:build kube

package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// harm is how one fault is tried by somebody who has exactly its rights.
type harm struct {
	fault, params string
	target        func(g *ground) jenner.Target
	// harmless says that it cannot bite, as it is written here.
	harmless bool
	// open says that some of the rights are for what the target may turn out to be, and is not here.
	open bool
}

func shopOf(pods int32) func(g *ground) jenner.Target {
	return func(g *ground) jenner.Target { return g.deployed("shop", pods) }
}

func podsOfShop(g *ground) jenner.Target {
	g.deployed("shop", 1)
	return g.selecting("app=shop")
}

// harms are all faults. Those of nodes are apart, for others test in the same cluster.
var harms = []harm{
	{"kill", `{}`, shopOf(1), false, false},
	{"kill", `{}`, podsOfShop, false, true},
	{"evict", `{}`, shopOf(1), false, false},
	{"scale_to_zero", `{}`, shopOf(1), false, false},
	{"bad_image", `{"at_once":true}`, shopOf(1), false, false},
	{"crash_loop", `{"at_once":true,"env":{"CRASH_AFTER":"0s"}}`, shopOf(1), false, false},
	{"bad_release", `{"image":"jenner-test/app:v2"}`, shopOf(1), false, false},
	{"config_drift", `{"key":"other","value":"2"}`, func(g *ground) jenner.Target { return g.configMap() }, false, false},
	{"bounds", `{"min":2,"max":3}`, func(g *ground) jenner.Target {
		g.deployed("shop", 1)
		return g.scaler("shop", 1, 1)
	}, false, false},
	{"container_kill", `{"image":"` + guestImage + `"}`, shopOf(1), false, false},
	{"cpu", `{"image":"` + guestImage + `"}`, shopOf(1), false, false},
	{"memory", `{"image":"` + guestImage + `","size":"32Mi"}`, shopOf(1), false, false},
	{"partition", `{"port":8080,"through":"proxy"}`, shopOf(1), false, false},
	{"partition", `{"port":8080,"through":"proxy","pods":"one"}`, shopOf(1), false, false},
	{"chaos_mesh", `{"kind":"StressChaos","spec":{"stressors":{"cpu":{"workers":1}}}}`, func(g *ground) jenner.Target {
		g.meshKind("StressChaos")
		g.meshController("StressChaos")
		g.collected("StressChaos")
		return g.deployed("shop", 1)
	}, false, false},
}

var harmsOfNodes = []harm{
	{"cordon", `{}`, nodeTwo, false, false},
	{"drain", `{"selector":"app=drained"}`, func(g *ground) jenner.Target {
		g.deployed("drained", 1, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": spare}
		})
		return nodeTwo(g)
	}, false, true},
	// Its commands do nothing here: what it asks the API server is the same.
	{"node_stop", `{"stop":["true"],"start":["true"]}`, nodeTwo, true, false},
}

func nodeTwo(*ground) jenner.Target {
	return jenner.Target{Kind: kindNode, Name: spare}
}

func (h harm) String() string {
	return h.fault + strings.NewReplacer(`"`, "", "/", "-").Replace(h.params)
}

// alone tells whether it is tried with what belongs to the whole cluster: its kinds, or the spare node. For those the tests of
// all are serial, and let the others run beside each other.
func (h harm) alone() bool {
	return slices.Contains([]string{"chaos_mesh", "cordon", "drain", "node_stop"}, h.fault)
}

// needs are the rights that the fault says it needs, each once.
func (h harm) needs(t *testing.T, target jenner.Target) []jenner.Right {
	t.Helper()
	_, make := made(t, "kubernetes."+h.fault, target.Kind, h.params)
	rights, err := make().(jenner.NeedsRights).Rights(jenner.Service{}, target)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rights, jenner.Right.Compare)
	return slices.Compact(rights)
}

// life is all that the fault does from its checkpoint to its end, by somebody who has these rights, with the look of a later
// Jenner for what is left. The error is what the API server refused.
func (h harm) life(g *ground, target jenner.Target, rights []jenner.Right) error {
	g.t.Helper()
	limited := g.by(target, rights)
	read, _ := made(g.t, "kubernetes."+h.fault, target.Kind, h.params)
	injector := faulttest.Injector(g.t, catalog.Merge(Provider).MakeFault)
	record := jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(g.ns, h.fault, fmt.Sprint(time.Now())), Drill: "d-test", Fault: "kubernetes." + h.fault,
		Params: read, Target: limited}
	record, err := injector.Inject(g.t.Context(), record, await.Patience)
	if err != nil {
		return err
	}
	defer func() { // what the rights did not allow to take back
		record.Target = target
		if err := injector.Undo(g.t.Context(), record); err != nil {
			g.t.Errorf("the fault is not undone: %v", err)
		}
	}()
	var refused error
	g.until("it bites, or is refused", func() bool {
		witness, err := injector.Bite(g.t.Context(), record)
		refused = err
		return err != nil || witness.Bit || h.harmless
	})
	if refused == nil {
		_, refused = injector.Armed(g.t.Context(), record)
	}
	if refused == nil {
		record, refused = injector.Renew(g.t.Context(), record, await.Patience)
	}
	if refused == nil {
		refused = h.found(g, record)
	}
	if refused == nil {
		refused = injector.Undo(g.t.Context(), record)
	}
	return refused
}

// found is the look of a later Jenner: where the fault has left a mark, it sees it.
func (h harm) found(g *ground, record jenner.FaultRecord) error {
	g.t.Helper()
	_, c, err := reach(record.Target)
	if err != nil {
		return err
	}
	kept, err := checkpointed[struct{ Spot, Policy spot }](chaos.Call{Record: record})
	if err != nil {
		return err
	}
	for _, at := range []spot{kept.Spot, kept.Policy} {
		if at.Name == "" {
			continue
		}
		objects, hidden, err := c.touched(g.t.Context(), at.resource(), []string{g.ns})
		if len(hidden) > 0 {
			err = apierrors.NewForbidden(at.resource().GroupResource(), at.Name, errors.New(hidden[0]))
		}
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			g.t.Errorf("nobody would find %s", at)
		}
	}
	return nil
}

func TestTheRightsOfFaultsAreEnough(t *testing.T) { enoughToHarm(t, harms) }
func TestTheRightsOfFaultsOnNodes(t *testing.T)   { enoughToHarm(t, harmsOfNodes) }
func TestEveryRightOfFaultsIsNeeded(t *testing.T) { neededToHarm(t, harms) }
func TestEveryRightOfFaultsOnNodes(t *testing.T)  { neededToHarm(t, harmsOfNodes) }

// TestEveryFaultIsTriedWithItsRights, so that a new one is not forgotten.
func TestEveryFaultIsTriedWithItsRights(t *testing.T) {
	for _, entry := range catalog.Merge(Provider).Faults() {
		if !slices.ContainsFunc(slices.Concat(harms, harmsOfNodes), func(h harm) bool { return "kubernetes."+h.fault == entry.Name }) {
			t.Errorf("%s is not among the faults that are tried with exactly their rights", entry.Name)
		}
	}
}

func enoughToHarm(t *testing.T, list []harm) {
	for _, one := range list {
		t.Run(one.String(), func(t *testing.T) {
			if !one.alone() {
				t.Parallel()
			}
			g := newGround(t)
			target := one.target(g)
			if err := one.life(g, target, one.needs(t, target)); err != nil {
				t.Errorf("with %v: %v\n%s", one.needs(t, target), err, g.told())
			}
		})
	}
}

// neededToHarm: with any one right less, something of what the fault does is forbidden.
func neededToHarm(t *testing.T, list []harm) {
	for _, one := range list {
		if one.open {
			continue
		}
		t.Run(one.String(), func(t *testing.T) {
			if !one.alone() {
				t.Parallel()
			}
			g := newGround(t)
			target := one.target(g)
			rights := one.needs(t, target)
			for i, without := range rights {
				if slices.Contains(workloadKinds, target.Kind) {
					g.settles(target)
				}
				t.Logf("without %s", without)
				err := one.life(g, target, slices.Delete(slices.Clone(rights), i, i+1))
				if !apierrors.IsForbidden(err) && !strings.Contains(fmt.Sprint(err), "is forbidden: User") { // told by the process that holds it
					t.Errorf("without %s: %v", without, err)
				}
			}
		})
	}
}

// collected waits until the cluster's garbage collector knows a kind, without which it lets nothing of it go.
func (g *ground) collected(kind string) {
	g.t.Helper()
	at := spot{Group: meshGroup, Version: meshVersion, Resource: strings.ToLower(kind), Namespace: g.ns, Name: "first"}
	first := &unstructured.Unstructured{Object: map[string]any{"apiVersion": meshGroup + "/" + meshVersion, "kind": kind, "metadata": map[string]any{"name": "first"}}}
	first, err := g.in(at).Create(g.t.Context(), first, metav1.CreateOptions{})
	if err == nil {
		err = g.delete(g.t.Context(), at, first.GetUID())
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.until("the garbage collector knows the kind", func() bool { _, err := g.get(g.t.Context(), at); return apierrors.IsNotFound(err) })
}

// TestALaterJennerWithExactlyTheRightsOfAFault takes that one back, and says where it may not look for others.
func TestALaterJennerWithExactlyTheRightsOfAFault(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.configMap()
	one := harm{fault: "config_drift", params: `{"key":"other","value":"2"}`}
	record := g.left("kubernetes."+one.fault, target, one.params)
	limited := g.by(target, one.needs(t, target))
	swept, err := sweeper{}.Sweep(t.Context(), []jenner.Target{limited}, over(record))
	if len(swept) != 1 || swept[0].ID != record.ID || swept[0].Kept != "" {
		t.Errorf("it took back %+v", swept)
	}
	if err == nil || jenner.NextAfter(err) != jenner.NeverMind {
		t.Errorf("it says %v of where it may not look", err)
	}
	said := fmt.Sprint(err)
	if !strings.Contains(said, "networkpolicies of "+g.ns) || !strings.Contains(said, "nodes: Jenner may not list them") ||
		strings.Contains(said, "configmaps") {
		t.Errorf("it says %q", said)
	}
	if value := (slot{"data", "other"}).read(g.live(target).Object); value != "1" {
		t.Errorf("it is %v", value)
	}
}
