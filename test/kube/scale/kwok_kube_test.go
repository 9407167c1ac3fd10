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
var kwokStages = []string{"node/fast/node-initialize.yaml", kwokHeartbeat, "pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml"}

// kwokHeartbeat is how a node lives: it says so every 20 to 25 seconds. In the lab a node is lost after 10 seconds of silence,
// so there it is as many tenths of a second.
const kwokHeartbeat = "node/heartbeat/node-heartbeat.yaml"

var oftener = strings.NewReplacer("20000", "2000", "25000", "2500")

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
		"--node-lease-duration-seconds", "0"} // by a lease each is the work of one kwok of several; here is one
	dir := b.TempDir()
	for _, stage := range kwokStages {
		text, err := os.ReadFile(filepath.Join(stages, stage))
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Base(stage))
		if err := os.WriteFile(path, []byte(oftener.Replace(string(text))), 0o600); err != nil {
			b.Fatal(err)
		}
		argv = append(argv, "--config", path)
	}
	argv = append(argv, "--config", "pod-ready-again.yaml")
	process, err := lab.Start(lab.Options{}, argv...)
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

// join makes the nodes, on which only pods that tolerate their taint may land.
func (w *world) join(b *testing.B) {
	b.Helper()
	for i := range nodes {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", w.name, i), Labels: map[string]string{mark: marked, "type": "kwok",
				corev1.LabelTopologyZone: fmt.Sprintf("scale-zone-%d", i)}, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
			Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: mark, Value: marked, Effect: corev1.TaintEffectNoSchedule}}},
		}
		if _, err := w.client.CoreV1().Nodes().Create(b.Context(), node, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	w.nodesReady(b)
}

// nodesReady waits until all nodes are ready, which some are not while the API server is too busy to take kwok's word.
func (w *world) nodesReady(b *testing.B) {
	b.Helper()
	w.eventually(b, "the nodes are ready", func(ctx context.Context) error {
		select {
		case <-w.kwok.Ended():
			return fmt.Errorf("kwok has ended:\n%s", w.kwok.Said())
		default:
		}
		list, err := w.client.CoreV1().Nodes().List(ctx, ours)
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
		if ready < nodes {
			return errors.New(fmt.Sprint(ready, " of ", nodes, " are"))
		}
		return nil
	})
}
