package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/test/kubelab/lab"
)

func TestACommandFindsTheLab(t *testing.T) {
	t.Setenv("KUBECONFIG", "another") // of whoever calls
	dir := t.TempDir()
	l := &lab.Lab{Dir: dir, Programs: "/programs"}
	out := filepath.Join(dir, "out")
	if err := command(t.Context(), l, []string{"sh", "-c", `echo "$KUBECONFIG $KUBELAB_DIR $KUBELAB $PATH" > ` + out}); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if want := dir + "/admin.kubeconfig " + dir + " " + program + " /programs:" + os.Getenv("PATH") + "\n"; string(text) != want || err != nil {
		t.Errorf("it sees %q, %v; not %q", text, err, want)
	}
	var said strings.Builder
	if err := tell(&said, l); err != nil || !strings.HasPrefix(said.String(), "export KUBECONFIG="+dir+"/admin.kubeconfig\n") {
		t.Errorf("%q, %v", said.String(), err)
	}
}

func TestTheExitCodeIsTheCommands(t *testing.T) {
	l := &lab.Lab{Dir: t.TempDir()}
	for script, want := range map[string]error{"exit 7": exitCode(7), "kill -TERM $$": exitCode(143), "exit 0": nil} {
		if got := codeOf(command(t.Context(), l, []string{"sh", "-c", script})); got != want {
			t.Errorf("%s: %v, not %v", script, got, want)
		}
	}
	if err := codeOf(command(t.Context(), l, []string{"/no/such/program"})); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("a program that there is not: %v", err)
	}
}

// TestACommandIsToldToEnd: when kubelab is told to end, so is the command, and it may put its things in order.
func TestACommandIsToldToEnd(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- command(ctx, &lab.Lab{Dir: dir}, []string{"sh", "-c", "trap 'echo > " + dir + "/order; exit 5' TERM; echo > " + dir + "/up; while :; do sleep 0.05; done"})
	}()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(dir + "/up"); err == nil {
			break
		}
	}
	cancel()
	if got := codeOf(<-ended); got != exitCode(5) {
		t.Errorf("it ends with %v", got)
	}
	if _, err := os.Stat(dir + "/order"); err != nil {
		t.Error(err)
	}
}

func TestWithoutALab(t *testing.T) {
	t.Setenv("KUBELAB_DIR", "")
	for _, args := range [][]string{{"status"}, {"node", "stop", "node1"}, {"image", "import", "x.tar"}, {"service", "kill", "node1", "kubelet"}, {"down"}} {
		root := rootCommand()
		root.SetArgs(args)
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "KUBELAB_DIR") {
			t.Errorf("%v: %v", args, err)
		}
	}
	dir := t.TempDir()
	for _, args := range [][]string{{"status"}, {"node", "start", "node1"}} {
		root := rootCommand()
		root.SetArgs(append(args, "--dir", dir))
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "kubelab up --dir "+dir) {
			t.Errorf("%v: %v", args, err)
		}
	}
	root := rootCommand()
	root.SetArgs([]string{"down", "--dir", dir})
	if err := root.Execute(); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}
