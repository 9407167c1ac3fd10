package host

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
)

const (
	nobody = 65534
	// Where this test program runs without rights, root has made what it needs: a small file system that everybody may
	// write to, and a process in groups that only root may write to.
	givenDisk = "JENNER_HOST_TEST_DISK"
	givenPid  = "JENNER_HOST_TEST_PID"
)

// TestFaultsThatNeedNoRoot is also run by TestWithoutRoot, as a user who has no rights at all.
func TestFaultsThatNeedNoRoot(t *testing.T) {
	disk := jenner.Target{Kind: "disk", Name: "data", Params: jenner.Params{"path": jenner.Raw(os.Getenv(givenDisk))}}
	if os.Getenv(givenDisk) == "" {
		disk = mounted(t)
	}
	process, _ := sleeper(t) // in the groups in which this test is, too
	for _, c := range []struct {
		fault  string
		target jenner.Target
		params jenner.Params
	}{
		{"cpu", machine, jenner.Params{"share": jenner.Raw("10%"), "nice": jenner.Raw(19)}},
		{"cpu", process, jenner.Params{"workers": jenner.Raw(1)}},
		{"memory", machine, jenner.Params{"size": jenner.Raw("8MB")}},
		{"memory", process, jenner.Params{"size": jenner.Raw("8MB")}},
		{"disk_full", disk, nil},
	} {
		injector, record := inject(t, c.fault, c.target, c.params)
		t.Logf("as user %d: %s", os.Getuid(), bites(t, injector, record))
		if err := injector.Undo(t.Context(), record); err != nil {
			t.Errorf("%s: %v", c.fault, err)
		}
	}
	if pid, err := strconv.Atoi(os.Getenv(givenPid)); err == nil {
		refused(t, "memory", targetOf(t, pid), jenner.Params{"size": jenner.Raw("8MB")}, "needs CAP_DAC_OVERRIDE")
		refused(t, "cpu", targetOf(t, pid), nil, "needs CAP_DAC_OVERRIDE")
		refused(t, "disk_full", jenner.Target{Kind: "disk", Name: "root", Params: jenner.Params{"path": jenner.Raw("/")}}, nil, "needs CAP_DAC_OVERRIDE")
	}
}

// TestWithoutRoot runs the test above as nobody. Only to become nobody, and to make what is refused, it has to be root.
func TestWithoutRoot(t *testing.T) {
	program := copyForAll(t)
	disk := folder(mounted(t))
	for path, mode := range map[string]os.FileMode{disk: 0o777, filepath.Dir(disk): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	_, pid := sleeper(t)
	for _, controller := range []string{"cpu", "memory"} {
		put(t, madeGroup(t, controller), "cgroup.procs", strconv.Itoa(pid))
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) }) // before its groups go
	command := exec.Command(program, "-test.run", "^TestFaultsThatNeedNoRoot$", "-test.v")
	command.Dir = filepath.Dir(program)
	command.Env = append(os.Environ(), "TMPDIR="+command.Dir, givenDisk+"="+disk, givenPid+"="+strconv.Itoa(pid))
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := command.CombinedOutput()
	if err != nil || bytes.Count(said, []byte("as user 65534: ")) != 5 {
		t.Errorf("%v:\n%s", err, said)
	}
}

// copyForAll puts this test program where everybody may run it, in a folder that everybody may write to.
func copyForAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jenner-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "program")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if closing := to.Close(); err != nil || closing != nil {
		t.Fatal(err, closing)
	}
	for name, mode := range map[string]os.FileMode{path: 0o755, dir: 0o777} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
