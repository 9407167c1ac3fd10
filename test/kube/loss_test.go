//go:build kube

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestALostNodeIsLeft: a node whose plug is pulled is noticed, its pods are made anew elsewhere, and it can come back.
func TestALostNodeIsLeft(t *testing.T) {
	p := newPlace(t)
	const node = "node2"
	p.app(t, "web", 1, rather(node))
	if pod := p.onePod(t, "web"); pod.Spec.NodeName != node {
		t.Fatalf("the pod is on %s", pod.Spec.NodeName)
	}
	kubelab(t, "node", "stop", node)
	back := sync.OnceFunc(func() { kubelab(t, "node", "start", node) })
	t.Cleanup(back)
	eventually(t, "the pod is made anew on another node", func(ctx context.Context) error {
		pods, err := p.pods(ctx, "web")
		for _, pod := range pods {
			for _, condition := range pod.Status.Conditions {
				if pod.Spec.NodeName != node && condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
					return nil
				}
			}
		}
		return errors.Join(errors.New("it is not"), err)
	})
	back()
	eventually(t, "the node comes back, without the pod", func(ctx context.Context) error {
		found, err := p.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := p.pods(ctx, "web")
		if len(pods) != 1 {
			err = errors.Join(err, fmt.Errorf("there are %d pods", len(pods)))
		}
		return errors.Join(err, ready(*found))
	})
}

// rather puts the pods on a node while that one takes any.
func rather(node string) func(*corev1.PodSpec) {
	return func(pod *corev1.PodSpec) {
		pod.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}}
	}
}

// TestANodeThatIsCutOffGoesOn: the cluster takes it for lost, and its pods, where they are not to be moved, never notice.
func TestANodeThatIsCutOffGoesOn(t *testing.T) {
	p := newPlace(t)
	const node = "node2"
	p.app(t, "web", 1, func(pod *corev1.PodSpec) {
		rather(node)(pod)
		pod.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}
	})
	before := p.onePod(t, "web")
	kubelab(t, "node", "cut", node)
	mend := sync.OnceFunc(func() { kubelab(t, "node", "mend", node) })
	t.Cleanup(mend)
	state := func(want bool) func(context.Context) error {
		return func(ctx context.Context) error {
			found, err := p.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if err := ready(*found); (err == nil) != want {
				return errors.Join(err, errors.New("it is in the other state"))
			}
			return nil
		}
	}
	eventually(t, "the node is taken for lost", state(false))
	mend()
	eventually(t, "the node is back", state(true))
	p.available(t, "web")
	after := p.onePod(t, "web")
	if after.UID != before.UID || after.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the pod is another one, or was started again: %+v", after.Status.ContainerStatuses)
	}
}

// TestAnAPIServerThatHangsOrDies: it answers nobody while it is paused, and comes back when it was killed.
func TestAnAPIServerThatHangsOrDies(t *testing.T) {
	p := newPlace(t)
	answers := func(ctx context.Context) error {
		return p.CoreV1().RESTClient().Get().AbsPath("/readyz").Timeout(time.Second).Do(ctx).Error()
	}
	kubelab(t, "service", "pause", "control-plane", "kube-apiserver")
	resume := sync.OnceFunc(func() { kubelab(t, "service", "resume", "control-plane", "kube-apiserver") })
	t.Cleanup(resume)
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := answers(short); err == nil {
		t.Error("it answers while it hangs")
	}
	resume()
	eventually(t, "it answers again", answers)
	kubelab(t, "service", "kill", "control-plane", "kube-apiserver")
	eventually(t, "it is dead", func(ctx context.Context) error {
		if answers(ctx) == nil {
			return errors.New("it answers")
		}
		return nil
	})
	eventually(t, "it is started again", answers)
}

// kubelab runs a command of the lab, which only a cluster of kubelab has.
func kubelab(t *testing.T, args ...string) {
	t.Helper()
	program := os.Getenv("KUBELAB")
	if program == "" || os.Getenv("KUBELAB_DIR") == "" {
		t.Fatal("KUBELAB and KUBELAB_DIR are not set: this cluster is none of kubelab's, and nothing of it can be stopped; `make e2e-kube` without KUBECONFIG starts one")
	}
	if said, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("kubelab %v: %v: %s", args, err, said)
	}
}
