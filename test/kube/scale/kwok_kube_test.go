//go:build kube

package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner/internal/lab"
)

// kwokModule is the folder of the module that pins kwok, from here.
const kwokModule = "../../kwok"

// kwokStages are kwok's own description of what a kubelet does, in the module's folder: nodes get ready and stay so, and pods
// start and end at once. What is no node's or pod's first start, such as a crash loop, it leaves as it is.
var kwokStages = []string{
	"node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml",
}

// built compiles a program of a module into the folder of the benchmark.
func built(b *testing.B, module, program string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), filepath.Base(program))
	said(b, module, "build", "-trimpath", "-o", path, program)
	return path
}

// said is what the go command says in a module.
func said(b *testing.B, module string, args ...string) string {
	b.Helper()
	out, err := exec.Command("go", append([]string{"-C", module}, args...)...).CombinedOutput()
	if err != nil {
		b.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// kubelets starts kwok, which plays the kubelets of the benchmark's nodes and of no others, until the benchmark has ended and
// its pods are gone.
func (w *world) kubelets(b *testing.B) {
	b.Helper()
	program := built(b, kwokModule, "sigs.k8s.io/kwok/cmd/kwok")
	stages := filepath.Join(said(b, kwokModule, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"), "kustomize", "stage")
	argv := []string{program, "--kubeconfig", os.Getenv("KUBECONFIG"), "--manage-nodes-with-label-selector", mark + "=" + marked,
		"--node-lease-duration-seconds", "12"} // renewed every 3 s: a node of the lab is not ready after 10 s of silence
	for _, stage := range kwokStages {
		argv = append(argv, "--config", filepath.Join(stages, stage))
	}
	process, err := lab.Start(lab.Options{Dir: b.TempDir()}, argv...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if b.Failed() {
			b.Logf("kwok said last:\n%s", process.Said())
		}
		if err := process.Stop(syscall.SIGTERM, 5*time.Second); err != nil {
			b.Error(err)
		}
	})
	w.kwok = process
}

// nodes makes the nodes, on which only pods that tolerate their taint may land, and waits until they are ready.
func (w *world) nodes(b *testing.B, count int) {
	b.Helper()
	for i := range count {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", w.name, i), Labels: map[string]string{mark: marked, "type": "kwok",
				corev1.LabelTopologyZone: fmt.Sprintf("scale-zone-%d", i)}, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
			Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: mark, Value: marked, Effect: corev1.TaintEffectNoSchedule}}},
		}
		if _, err := w.client.CoreV1().Nodes().Create(b.Context(), node, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	w.eventually(b, "the nodes are ready", func(ctx context.Context) error {
		select {
		case <-w.kwok.Ended():
			return fmt.Errorf("kwok has ended:\n%s", w.kwok.Said())
		default:
		}
		list, err := w.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: mark + "=" + marked})
		if err != nil {
			return err
		}
		ready := 0
		for _, node := range list.Items {
			for _, condition := range node.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		if ready < count {
			return errors.New(fmt.Sprint(ready, " of ", count, " are"))
		}
		return nil
	})
}
