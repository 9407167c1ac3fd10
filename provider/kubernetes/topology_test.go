package kubernetes

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
)

// owned is a pod that something controls.
func owned(t *testing.T, kind, name, hash string) *corev1.Pod {
	pod := readObject[corev1.Pod](t, fmt.Sprintf("metadata: {name: web-1, namespace: shop, labels: {app: web, pod-template-hash: %q}, ownerReferences: [{kind: %s, name: %s, controller: true}]}", hash, kind, name))
	if hash == "" {
		delete(pod.Labels, "pod-template-hash")
	}
	return pod
}

func TestKeeperOf(t *testing.T) {
	for _, c := range []struct {
		pod  *corev1.Pod
		want keeper
	}{
		{owned(t, "ReplicaSet", "web-app-6c5f", "6c5f"), keeper{"Deployment", "web-app"}},
		{owned(t, "ReplicaSet", "web-app-6c5f", ""), keeper{"ReplicaSet", "web-app-6c5f"}},
		{owned(t, "ReplicaSet", "alone", "6c5f"), keeper{"ReplicaSet", "alone"}},
		{owned(t, "StatefulSet", "db", ""), keeper{"StatefulSet", "db"}},
		{owned(t, "Job", "report-100", ""), keeper{"Job", "report-100"}},
		{&corev1.Pod{}, keeper{}},
	} {
		if got := keeperOf(c.pod); got != c.want {
			t.Errorf("%v is kept by %v, want %v", c.pod.OwnerReferences, got, c.want)
		}
	}
}

func TestSubjectHas(t *testing.T) {
	deployed, set, job, stray := owned(t, "ReplicaSet", "web-6c5f", "6c5f"), owned(t, "StatefulSet", "web", ""), owned(t, "Job", "web-29381", ""), &corev1.Pod{}
	stray.Name = "web"
	for _, c := range []struct {
		kind     string
		params   jenner.Params
		deployed bool
		set      bool
		job      bool
		stray    bool
	}{
		{kindDeployment, nil, true, false, false, false},
		{kindStatefulSet, nil, false, true, false, false},
		{kindDaemonSet, nil, false, false, false, false},
		{kindJob, nil, false, false, true, false},
		{kindPod, nil, false, false, false, true},
		{kindPod, jenner.Params{"selector": jenner.Raw("app=web")}, true, true, true, false},
		{kindPod, jenner.Params{"selector": jenner.Raw("app=db")}, false, false, false, false},
		{kindNode, nil, false, false, false, false},
	} {
		one := madeSubject(t, jenner.Target{Kind: c.kind, Name: "web", Params: c.params})
		if got := [4]bool{one.has(deployed), one.has(set), one.has(job), one.has(stray)}; got != [4]bool{c.deployed, c.set, c.job, c.stray} {
			t.Errorf("%s %v has %v", c.kind, c.params, got)
		}
	}
}

// madeSubject decodes a target without a cluster.
func madeSubject(t *testing.T, written jenner.Target) subject {
	t.Helper()
	target, err := decode(written)
	if err != nil {
		t.Fatal(err)
	}
	return newSubject("shop", target)
}
