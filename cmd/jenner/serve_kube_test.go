//go:build kube

package main

import (
	"bytes"
	"context"
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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/internal/await"
)

// newNamespace makes one on the real API server, with the custom resources defined, and deletes it when the test ends.
func newNamespace(t *testing.T) *cluster.Connection {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	conn, err := cluster.Connect(cluster.Place{Namespace: "jenner-inside-" + jenner.Fingerprint(t.Name(), fmt.Sprint(os.Getpid(), time.Now().UnixNano()))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: conn.Namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), conn.Namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	crds, err := cluster.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	force := true
	definitions := conn.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, crd := range crds {
		raw, err := cluster.YAML(crd)
		if err == nil {
			_, err = definitions.Patch(t.Context(), crd.Name, types.ApplyYAMLPatchType, raw, metav1.PatchOptions{FieldManager: "jenner-test", Force: &force})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "the custom resources are served", func() bool {
		_, err := conn.Documents(t.Context(), cluster.WatchOptions{})
		return err == nil
	})
	return conn
}

// inside starts a jenner that stands for the lease of a namespace, with a data directory of its own.
func (w testWorld) inside(t *testing.T, conn *cluster.Connection, name string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(filepath.Join(w.files(), "jenner"), "serve", w.files(), "--kube", "--namespace", conn.Namespace,
		"--lease-lasts", "4s", "--data", w.dataOf(name), "--listen", "127.0.0.1:0", "--baseline", "1s")}
	c.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, c.out.String())
		}
	})
	return c
}

func (w testWorld) dataOf(name string) string { return filepath.Join(w.dir, "data-"+name) }

func (c *child) leads() bool { return strings.Contains(c.out.String(), "watching 1 services") }

// TestTheOtherTakesOver: of two, one acts; where it is killed, the other one does, and nothing is done twice.
func TestTheOtherTakesOver(t *testing.T) {
	conn := newNamespace(t)
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	first := w.inside(t, conn, "first")
	await.True(t, "the first leads and has started the service", func() bool { return first.leads() && w.starts(t) == 1 && serves(w.healthURL()) })
	second := w.inside(t, conn, "second")
	await.True(t, "the second stands by", func() bool { return strings.Contains(second.out.String(), "another Jenner leads") })
	first.kill()
	broken := w.signal(t, syscall.SIGKILL)
	await.True(t, "the second leads and has healed it", func() bool { return second.leads() && w.pid() != broken && serves(w.healthURL()) })
	if starts := w.starts(t); starts != 2 {
		t.Errorf("the service was started %d times, want 2", starts)
	}
	if code := second.stop(); code != 0 {
		t.Errorf("a stop by Ctrl-C ends with exit code %d", code)
	}
	third := w.inside(t, conn, "third")
	await.True(t, "the next leads, for the lease was given back", func() bool { return third.leads() })
}

// TestALeaderThatStoodStillDoesNotAct: it was paused, another one leads meanwhile, and what it was about to do is not done when
// it wakes up; it ends instead.
func TestALeaderThatStoodStillDoesNotAct(t *testing.T) {
	conn := newNamespace(t)
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	first := w.inside(t, conn, "first")
	await.True(t, "the first leads and has started the service", func() bool { return first.leads() && w.starts(t) == 1 && serves(w.healthURL()) })
	await.True(t, "that is over: what is held in the middle of it would wait, and decide nothing", func() bool {
		return strings.Contains(first.out.String(), "end       resolved")
	})
	turn := func(command, name string) {
		if code := run([]string{command, "--data", w.dataOf(name)}); code != 0 {
			t.Fatalf("jenner %s ends with %d", command, code)
		}
	}
	if err := os.MkdirAll(w.dataOf("second"), 0o700); err != nil {
		t.Fatal(err)
	}
	turn("stop", "first")
	turn("stop", "second")
	w.signal(t, syscall.SIGKILL)
	await.True(t, "the first would heal it, but for the kill switch", func() bool { return strings.Contains(first.out.String(), "guard hold") })
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	turn("resume", "first")
	second := w.inside(t, conn, "second")
	await.True(t, "the second leads", func() bool { return second.leads() })
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.cmd.Wait() }()
	if err := <-ended; err == nil || first.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(first.out.String(), "the lease is lost") {
		t.Errorf("the first ended with %v", err)
	}
	if starts := w.starts(t); starts != 1 {
		t.Errorf("it acted when it woke up: the service was started %d times", starts)
	}
	turn("resume", "second")
	await.True(t, "the second heals it", func() bool { return w.starts(t) == 2 && serves(w.healthURL()) })
}

// TestCheckFindsEachMissingRight: with exactly what is printed all is well, and without any one of it, check says so.
func TestCheckFindsEachMissingRight(t *testing.T) {
	conn := newNamespace(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "team.yaml"), []byte("kind: team\nname: sre\nmembers: [ann]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := cluster.Own{Namespace: conn.Namespace, Lease: "jenner"}.Rights()
	as := func(user string) (int, string) {
		cmd := rootCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"check", dir, "--kube", "--namespace", conn.Namespace, "--as", "system:serviceaccount:" + conn.Namespace + ":" + user})
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			return exitNo, out.String() + err.Error()
		}
		return exitOK, out.String()
	}
	give := func(user string, rights []jenner.Right) {
		for _, object := range cluster.Roles(cluster.Grants(rights, conn.Namespace), user, user, conn.Namespace) {
			raw, err := cluster.YAML(object)
			if err != nil {
				t.Fatal(err)
			}
			resource := "roles"
			if strings.Contains(string(raw), "kind: RoleBinding") {
				resource = "rolebindings"
			}
			force := true
			_, err = conn.Dynamic.Resource(schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: resource}).
				Namespace(conn.Namespace).Patch(t.Context(), user, types.ApplyYAMLPatchType, raw, metav1.PatchOptions{FieldManager: "jenner-test", Force: &force})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	give("whole", own)
	await.True(t, "with all of them all is well", func() bool { code, _ := as("whole"); return code == exitOK })
	for i, less := range own {
		user := fmt.Sprintf("less-%d", i)
		var rest []jenner.Right
		for _, right := range own {
			if right != less {
				rest = append(rest, right)
			}
		}
		give(user, rest)
		said := ""
		await.True(t, fmt.Sprintf("check as one without %q says so", less), func() bool {
			var code int
			code, said = as(user)
			listed := less.Verb == "list" && strings.Contains(said, "cannot list resource")
			return code == exitNo && (strings.Count(said, "Jenner may not") == 1 && strings.Contains(said, "Jenner may not "+less.String()) || listed)
		})
	}
}
