//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestFaultPartition(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.partition", g.deployed("shop", 2), `{"port":8080}`)
	})
}

func TestFaultPartitionOfSomePods(t *testing.T) {
	t.Parallel()
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.partition", g.deployed("shop", 2), `{"port":8080,"pods":"one","direction":"in"}`)
	})
}

// TestAPartitionThatNobodyEnforcesHasNoEffect: policies only ever allow, so that one that allows everything takes the fault
// its effect, as a network plugin does that knows of no policies.
func TestAPartitionThatNobodyEnforcesHasNoEffect(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.deployed("shop", 1)
	_, err := g.NetworkingV1().NetworkPolicies(g.ns).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"},
		Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	record := g.inject("kubernetes.partition", target, `{"port":8080}`)
	_, fault := made(t, record.Fault, target.Kind, `{"port":8080}`)
	witness, err := fault().Bite(t.Context(), chaos.Call{Record: record})
	if err != nil || witness.Bit || !strings.Contains(witness.Saw, "still accepts connections") {
		t.Errorf("the witness says %+v, %v", witness, err)
	}
	if armed, err := fault().Armed(t.Context(), chaos.Call{Record: record}); err != nil || !armed {
		t.Errorf("it is armed: %v, %v", armed, err)
	}
}

// inject injects a fault through the Injector, for a minute, and undoes it in the end.
func (g *ground) inject(fault string, target jenner.Target, params string) jenner.FaultRecord {
	g.t.Helper()
	injector := faulttest.Injector(g.t, catalog.Merge(Provider).MakeFault)
	read, _ := made(g.t, fault, target.Kind, params)
	record, err := injector.Inject(g.t.Context(), jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(g.ns, fault, params), Drill: "d-test", Fault: fault,
		Params: read, Target: target}, await.Patience)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if err := injector.Undo(afterwards(g.t), record); err != nil {
			g.t.Errorf("the fault is not undone: %v", err)
		}
	})
	return record
}

// TestTheWitnessAsksThroughTheServer: where this process does not reach the pods, the API server does.
func TestTheWitnessAsksThroughTheServer(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.deployed("shop", 1)
	pods := g.alive(target)
	said := func(port int32) string {
		why, err := g.connects(t.Context(), wayServer, &pods[0], port)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	g.until("the API server reaches the pod", func() bool { return said(8080) == "" })
	if why := said(9); !strings.Contains(why, "connection refused") {
		t.Errorf("a port that nobody serves: %q", why)
	}
	g.inject("kubernetes.partition", target, `{"port":8080}`)
	g.until("the API server does not reach the pod either", func() bool { return said(8080) != "" })
}
