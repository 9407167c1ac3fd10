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
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestFaultPartition(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.partition", w.deployment(t, "shop", 2), `{"port":8080}`)
	})
}

func TestFaultPartitionOfSomePods(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.partition", w.deployment(t, "shop", 2), `{"port":8080,"pods":"one","direction":"in"}`)
	})
}

// TestAPartitionThatNobodyEnforcesHasNoEffect: policies only ever allow, so that one that allows everything takes the fault
// its effect, as a network plugin does that knows of no policies.
func TestAPartitionThatNobodyEnforcesHasNoEffect(t *testing.T) {
	w := newWorld(t)
	target := w.deployment(t, "shop", 1)
	_, err := w.NetworkingV1().NetworkPolicies(w.namespace).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"},
		Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	record := w.inject(t, "kubernetes.partition", target, `{"port":8080}`)
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
func (w *world) inject(t *testing.T, fault string, target jenner.Target, params string) jenner.FaultRecord {
	t.Helper()
	injector := faulttest.Injector(t, catalog.Merge(Provider).MakeFault)
	read, _ := made(t, fault, target.Kind, params)
	record, err := injector.Inject(t.Context(), jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(w.namespace, fault, params), Drill: "d-test", Fault: fault,
		Params: read, Target: target}, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleaning(t)
		defer cancel()
		if err := injector.Undo(ctx, record); err != nil {
			t.Errorf("the fault is not undone: %v", err)
		}
	})
	return record
}

// TestTheWitnessAsksThroughTheServer: where this process does not reach the pods, the API server does.
func TestTheWitnessAsksThroughTheServer(t *testing.T) {
	w := newWorld(t)
	target := w.deployment(t, "shop", 1)
	read, err := decode(target)
	if err != nil {
		t.Fatal(err)
	}
	pods, err := w.pods(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	said := func(port int32) string {
		why, err := w.connects(t.Context(), wayServer, &pods[0], port)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	w.eventually(t, "the API server reaches the pod", func() bool { return said(8080) == "" })
	if why := said(9); !strings.Contains(why, "connection refused") {
		t.Errorf("a port that nobody serves: %q", why)
	}
	w.inject(t, "kubernetes.partition", target, `{"port":8080}`)
	w.eventually(t, "the API server does not reach the pod either", func() bool { return said(8080) != "" })
}
