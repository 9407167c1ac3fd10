package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is also the program that the tests' machines run.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Argument {
		Init()
	}
	switch os.Getenv("SERVE") {
	case "listen":
		listener, err := net.Listen("tcp", ":80")
		if err != nil {
			panic(err)
		}
		for {
			connection, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			connection.Close()
		}
	case "dial":
		connection, err := net.Dial("tcp", os.Getenv("TO"))
		if err == nil {
			connection.Close()
			err = os.WriteFile("/var/reached", nil, 0o644)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

// newSpec is a machine that runs sh with a script.
func newSpec(t *testing.T, name, script string) Spec {
	t.Helper()
	dir := t.TempDir()
	return Spec{Name: name, Root: filepath.Join(dir, "root"), Var: filepath.Join(dir, "var"), Log: filepath.Join(dir, "log"), Programs: dir,
		Net:      Net{Address: netip.MustParsePrefix("10.95.0.1/24"), Switch: true},
		Services: []Service{{Name: "script", Args: []string{"/usr/bin/sh", "-c", script}}}}
}

func start(t *testing.T, spec Spec, plug func(int) error) Process {
	t.Helper()
	process, err := Start(spec, plug)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return process
}

// eventually waits for a file to have a content.
func eventually(t *testing.T, path, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is %q, %v and not %q", path, text, err, want)
		case <-tick.C:
		}
	}
}

// TestAMachine: it has a name, a first process, files and an address of its own; what it runs is started again when it
// ends; and the end of its first process is the end of all others.
func TestAMachine(t *testing.T) {
	spec := newSpec(t, "alone", `
		echo "$(hostname) $(cat /etc/kubelab/greeting) $(ls -d /home /work /root 2>/dev/null | tr '\n' ' ')" >> /var/seen
		setsid sh -c 'echo $(cat /proc/self/cgroup | wc -l) >/dev/null; trap "" TERM; sleep 1000' &
		echo up >> /run/gone; wc -l < /run/gone >> /var/starts; exit 3`)
	spec.Files = map[string]string{"/etc/kubelab/greeting": "hello"}
	process := start(t, spec, AddSwitch)
	eventually(t, filepath.Join(spec.Var, "seen"), "alone hello /root \n")
	eventually(t, filepath.Join(spec.Var, "starts"), "2")
	eventually(t, filepath.Join(spec.Log, "machine.log"), "script has ended: exit code 3")
	if !process.Alive() {
		t.Fatal("the machine does not live")
	}
	space := namespaceOf(t, process.PID)
	if err := process.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := within(t, space); len(left) > 0 {
		t.Errorf("the machine is gone, and these processes of it are not: %v", left)
	}
	if process.Alive() {
		t.Error("it lives after its end")
	}

	// It comes back with what was under /var and without what was in memory.
	if err := os.Remove(filepath.Join(spec.Var, "starts")); err != nil {
		t.Fatal(err)
	}
	start(t, spec, AddSwitch)
	eventually(t, filepath.Join(spec.Var, "starts"), "1")
}

func namespaceOf(t *testing.T, pid int) string {
	t.Helper()
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// within are the processes of a namespace.
func within(t *testing.T, space string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if of, err := os.Readlink(link); err == nil && of == space {
			found = append(found, link)
		}
	}
	return found
}

func TestAMachineThatCannotBe(t *testing.T) {
	spec := newSpec(t, "broken", "true")
	spec.Programs = filepath.Join(spec.Var, "nothing")
	if _, err := Start(spec, AddSwitch); err == nil || !strings.Contains(err.Error(), "nothing: no such file") {
		t.Errorf("a folder that is not there: %v", err)
	}
	want := errors.New("no plug")
	if _, err := Start(newSpec(t, "unplugged", "true"), func(int) error { return want }); !errors.Is(err, want) {
		t.Errorf("a network that cannot be made: %v", err)
	}
}

// TestTwoMachinesMeet: one is plugged into the other and reaches it.
func TestTwoMachinesMeet(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := "/opt/kubelab/bin/" + filepath.Base(program)
	one := newSpec(t, "one", "")
	one.Programs = filepath.Dir(program)
	one.Services = []Service{{Name: "listen", Args: []string{path}, Env: []string{"SERVE=listen"}}}
	hub := start(t, one, AddSwitch)

	two := newSpec(t, "two", "")
	two.Programs = filepath.Dir(program)
	two.Net = Net{Address: netip.MustParsePrefix("10.95.0.2/24"), Routes: map[string]netip.Addr{"10.94.0.0/16": netip.MustParseAddr("10.95.0.1")}}
	two.Services = []Service{{Name: "dial", Args: []string{path}, Env: []string{"SERVE=dial", "TO=10.95.0.1:80"}, Await: "tcp 10.95.0.1:80"}}
	start(t, two, func(pid int) error {
		return errors.Join(Connect(Plug{PID: hub.PID, Name: "two"}, Plug{PID: pid, Name: Uplink}), PlugIn(hub.PID, "two"))
	})
	eventually(t, filepath.Join(two.Var, "reached"), "")
}

func TestAStrangerIsNotKilled(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	process, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Process){func(p *Process) { p.Start++ }, func(p *Process) { p.Boot = "another" }} {
		stranger := process
		change(&stranger)
		if err := stranger.Kill(t.Context()); err != nil || !process.Alive() || stranger.Alive() {
			t.Errorf("%v of another start is killed: %v", stranger, err)
		}
	}
	if err := process.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	if process.Alive() {
		t.Error("it lives")
	}
	if err := process.Kill(t.Context()); err != nil {
		t.Errorf("killing twice: %v", err)
	}
}

func TestParseStat(t *testing.T) {
	fields := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for _, name := range []string{"sh", "a b", "odd) (name", ""} {
		if start, state, err := parseStat([]byte("7 (" + name + ")" + fields)); start != 4711 || state != 'S' || err != nil {
			t.Errorf("%q: %d, %c, %v", name, start, state, err)
		}
	}
	if _, _, err := parseStat([]byte("7 (sh) S 1")); err == nil {
		t.Error("half a line is taken for a whole one")
	}
}

func TestGroupsComeAndGo(t *testing.T) {
	const name = "kubelab-test"
	t.Cleanup(func() {
		if err := RemoveGroup(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	if err := MakeGroup(name + "/node1"); err != nil {
		t.Fatal(err)
	}
	dirs, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, name, "node1")); err != nil && dir != unified {
			t.Error(err)
		}
	}
	for range 2 { // removing twice is as removing once
		if err := RemoveGroup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", filepath.Join(dir, name), err)
		}
	}
}

func TestASpecIsKept(t *testing.T) {
	spec := newSpec(t, "kept", "true")
	spec.Files = map[string]string{"/etc/key": "secret"}
	path := filepath.Join(t.TempDir(), "machines", "kept.json")
	if err := spec.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("keys lie in a file of mode %v, %v", info.Mode(), err)
	}
	got, err := Load(path)
	if err != nil || got.Net.Address != spec.Net.Address || got.Files["/etc/key"] != "secret" || got.Services[0].Args[2] != "true" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a machine that was never made: %v", err)
	}
}
