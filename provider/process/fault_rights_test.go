package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

const nobody = 65534

// TestFaultsThatNeedNoRoot is also run by TestWithoutRoot, as a user who has no rights at all: a process of one's own is
// enough.
func TestFaultsThatNeedNoRoot(t *testing.T) {
	for _, c := range []struct {
		fault  string
		params jenner.Params
	}{
		{"kill", nil},
		{"hang", nil},
		{"descriptors", jenner.Params{"leave": jenner.Raw(1)}},
		{"crash_loop", jenner.Params{"after": jenner.Raw("0")}},
		{"slow_start", jenner.Params{"delay": jenner.Raw("1m"), "restart": jenner.Raw(true)}},
	} {
		target, _ := running(t)
		injector, record := inject(t, c.fault, target, c.params)
		if c.fault == "slow_start" {
			begin(t, target)
		}
		await.True(t, c.fault+" bites", func() bool {
			witness, err := injector.Bite(t.Context(), record)
			if err != nil {
				t.Fatal(err)
			}
			return witness.Bit
		})
		if err := injector.Undo(t.Context(), record); err != nil {
			t.Errorf("%s: %v", c.fault, err)
		}
		t.Logf("as user %d: %s", os.Getuid(), c.fault)
	}
	if os.Getuid() != 0 {
		target, _ := running(t)
		_, err := injecting(t).Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: "pids", Target: target}, time.Minute)
		wantError(t, err, "control group")
	}
}

// TestWithoutRoot runs the test above as nobody. Only to become nobody it has to be root.
func TestWithoutRoot(t *testing.T) {
	dir, err := os.MkdirTemp("", "jenner-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, filepath.Base(os.Args[0]))
	content, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-test.run", "^TestFaultsThatNeedNoRoot$", "-test.v")
	command.Dir = dir
	command.Env = append(os.Environ(), "TMPDIR="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := command.CombinedOutput()
	if err != nil || bytes.Count(said, fmt.Appendf(nil, "as user %d: ", nobody)) != 5 {
		t.Errorf("%v:\n%s", err, said)
	}
}
