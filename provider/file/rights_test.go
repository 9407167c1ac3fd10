package file

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// asNobody runs something with the rights of the user nobody, on a thread of its own, so that nothing else in the test
// program loses any.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	const nobody, same = 65534, ^uintptr(0)
	if os.Geteuid() != 0 {
		t.Fatal("this test gives rights away and needs CAP_SETUID; run it as root")
	}
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		_, _, failed := syscall.RawSyscall(unix.SYS_SETRESUID, same, nobody, same)
		if failed == 0 {
			do()
		}
		done <- failed
	}()
	if failed := <-done; failed != 0 {
		t.Fatal(failed)
	}
}

// What this process may not write it does not begin to break, and says which right is missing.
func TestFaultsSayWhichRightIsMissing(t *testing.T) {
	dir, err := os.MkdirTemp("", "jenner-rights-") // the folders of t.TempDir cannot be entered by nobody
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(nginxConf), 0o644); err != nil {
		t.Fatal(err)
	}
	checkpoint := func(fault, params string) error {
		made := made(t, fault, written(t, params)).(chaos.Checkpointer)
		var err error
		asNobody(t, func() {
			_, err = made.Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{Target: at(path)}})
		})
		return err
	}
	const drift, corrupt = `{"replace": {"from": "80", "to": "81"}}`, `{"how": "flip", "bytes": 3}`
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	wantError(t, checkpoint("file.drift", drift), dir, "cannot be written", "CAP_DAC_OVERRIDE")
	wantError(t, checkpoint("file.corrupt", corrupt), path, "cannot be written", "CAP_DAC_OVERRIDE")
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	wantError(t, checkpoint("file.drift", drift), "belongs to user 0", "CAP_CHOWN")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint("file.corrupt", corrupt); err != nil {
		t.Errorf("what it may write it refuses: %v", err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint("file.drift", drift); err != nil {
		t.Errorf("its own file it refuses: %v", err)
	}
}
