package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner/internal/await"
)

var demoDir = regexp.MustCompile(`the shop's files and state are in (\S+)`)

// TestTheDemoLeavesNothing ends the demo in the middle of its first drill, while a fault is in force, in each way there
// is: no process, no fault and no folder stays.
func TestTheDemoLeavesNothing(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "kill -9": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(t.TempDir(), "jenner")
			if err := os.Symlink(self, link); err != nil {
				t.Fatal(err)
			}
			out := &lockedBuffer{}
			cmd := exec.Command(link, "demo", "--plain")
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			await.True(t, "the first fault is in force", func() bool { return strings.Contains(out.String(), "process.kill on") })
			dir := demoDir.FindStringSubmatch(out.String())[1]
			pids := pidsIn(t, dir)
			if len(pids) < 7 {
				t.Fatalf("only %d processes of the shop are there:\n%s", len(pids), out.String())
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			await.True(t, "the folder is gone", func() bool {
				_, err := os.Stat(dir)
				return os.IsNotExist(err)
			})
			for _, pid := range pids {
				// A process that has ended and that nobody waited for has no command line any more.
				if command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(command) > 0 {
					t.Errorf("process %d outlives the demo: %q", pid, command)
				}
			}
		})
	}
}

// pidsIn are the processes that the pidfiles of a demo name.
func pidsIn(t *testing.T, dir string) []int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "run", "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
