package lab

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/test/kubelab/cluster"
	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// newLab is one whose machines are processes that do nothing.
func newLab(t *testing.T) *Lab {
	t.Helper()
	l := &Lab{Dir: t.TempDir(), Plan: cluster.Plan{Octet: 95, Nodes: 2}, Order: []string{cluster.ControlPlaneName, "node1", "node2"},
		Machines: map[string]machine.Process{}}
	for _, name := range l.Order {
		l.Machines[name] = sleeper(t)
	}
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	return l
}

func sleeper(t *testing.T) machine.Process {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	process, err := machine.Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return process
}

func TestALaterProcessStopsWhatAnEarlierOneStarted(t *testing.T) {
	first := newLab(t)
	for _, made := range []string{"machines/node1/var/x", "images/app.tar", "admin.kubeconfig", "logs/node1/kubelet.log"} {
		path := filepath.Join(first.Dir, made)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	started := maps.Clone(first.Machines)
	later, err := Open(first.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // stopping twice is as stopping once
		if err := later.StopNode(t.Context(), "node2"); err != nil {
			t.Fatal(err)
		}
	}
	if later.Running("node2") || !later.Running("node1") {
		t.Error("the wrong node was stopped")
	}
	again, err := Open(first.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := again.Machines["node2"]; known {
		t.Error("what was stopped is still written")
	}
	// Another process starts the node again; the one that has known the lab from the start does not know, and stops it.
	again.Machines["node2"] = sleeper(t)
	if err := again.save(); err != nil {
		t.Fatal(err)
	}
	if err := first.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again.Running("node2") {
		t.Error("what another process has started is left")
	}
	for name, process := range started {
		if process.Alive() {
			t.Errorf("%s lives", name)
		}
	}
	left, err := filepath.Glob(filepath.Join(first.Dir, "*"))
	if err != nil || len(left) != 1 || left[0] != first.Logs() {
		t.Errorf("what is left is %v, %v", left, err)
	}
	if _, err := Open(first.Dir); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "kubelab up") {
		t.Errorf("after the end: %v", err)
	}
}

// TestDownAgain: what could not be removed is still known, so that it can be tried again. Here a process that is none of
// the lab's sits in one of its control groups.
func TestDownAgain(t *testing.T) {
	l := newLab(t)
	l.Claimed = true
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	if err := machine.MakeGroup(l.Plan.Name() + "/node1"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = machine.RemoveGroup(context.Background(), l.Plan.Name())
	})
	var entered bool
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/memory/"} {
		err := os.WriteFile(pattern+l.Plan.Name()+"/node1/cgroup.procs", strconv.AppendInt(nil, int64(cmd.Process.Pid), 10), 0o644)
		entered = entered || err == nil
	}
	if !entered {
		t.Fatal("the process could not be put into the control group")
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Down(short); err == nil || !strings.Contains(err.Error(), "control group") {
		t.Fatalf("the control group is in use: %v", err)
	}
	again, err := Open(l.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cmd.Process.Kill(), again.Down(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(l.Dir); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestANodeThatThereIsNot(t *testing.T) {
	l := newLab(t)
	for _, err := range []error{l.StopNode(t.Context(), "node3"), l.StartNode("node3"), l.StopNode(t.Context(), cluster.ControlPlaneName)} {
		if err == nil || !strings.Contains(err.Error(), "the nodes are node1, node2") {
			t.Errorf("%v", err)
		}
	}
	if err := l.StartNode("node1"); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("%v", err)
	}
}

func TestMissingProgramsAreNamedWithTheirPackages(t *testing.T) {
	root := t.TempDir()
	if err := programsIn(root); err == nil || !strings.HasSuffix(err.Error(),
		"apt-get install --no-install-recommends etcd-server containerd runc containernetworking-plugins nftables") {
		t.Errorf("%v", err)
	}
	for _, need := range needed {
		path := filepath.Join(root, need[0])
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := programsIn(root); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got := tail(path, 2); !strings.Contains(got, "no such file") {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]string{"": "", "a\n": "a", "a\nb\nc\n": "b\nc", "a\nb\nc": "b\nc"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tail(path, 2); got != want {
			t.Errorf("the end of %q is %q, not %q", text, got, want)
		}
	}
}

func TestNodeReady(t *testing.T) {
	answer := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/nodes/node1" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	c := &client{server: server.URL, http: server.Client()}
	for text, want := range map[string]string{
		`{"status":{"conditions":[{"type":"DiskPressure","status":"False"},{"type":"Ready","status":"True"}]}}`: "",
		`{"status":{"conditions":[{"type":"Ready","status":"False","message":"no network"}]}}`:                  "node node1: no network",
		`{"status":{"conditions":[{"type":"Ready","status":"Unknown","message":"stopped"}]}}`:                   "node node1: stopped",
		`{"status":{}}`: "node node1 has no condition Ready",
	} {
		answer = text
		got := ""
		if err := c.nodeReady(t.Context(), "node1"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
	if err := c.nodeReady(t.Context(), "node9"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a node that there is not: %v", err)
	}
}
