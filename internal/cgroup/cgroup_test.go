package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/internal/await"
)

// below makes a group below this test's own one, with a sleeping process in it. Both go with the test, which needs root.
func below(t *testing.T, controller string) (group Group, pid int) {
	t.Helper()
	own, err := Of(os.Getpid(), controller)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("jenner-test-%d", os.Getpid())
	group = Group{controller, filepath.Join(own.Path, name), filepath.Join(own.Dir, name), own.Unified}
	if err := os.Mkdir(group.Dir, 0o755); err != nil {
		t.Fatalf("this test makes a control group, and has to run as root: %v", err)
	}
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sleep.Process.Kill()
		sleep.Wait()
		await.OK(t, "the group is gone", func() error { return os.Remove(group.Dir) })
	})
	if err := group.Write("cgroup.procs", fmt.Sprint(sleep.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	return group, sleep.Process.Pid
}

func TestOf(t *testing.T) {
	want, pid := below(t, "pids")
	got, err := Of(pid, "pids")
	if err != nil || got != want {
		t.Errorf("the group is %+v, %v, want %+v", got, err, want)
	}
	if got.Whole() {
		t.Error("a group below another one is taken for the whole machine")
	}
	members, err := got.Members()
	if err != nil || !slices.Equal(members, []int{pid}) {
		t.Errorf("the members are %v, %v, want %d", members, err, pid)
	}
	if _, err := Of(pid, "gravity"); !errors.Is(err, ErrNone) {
		t.Errorf("a controller that there is not: %v", err)
	}
	if _, err := Of(1<<22+1, "pids"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNone) {
		t.Errorf("a process that there is not: %v", err)
	}
}

func TestFilesOfAGroup(t *testing.T) {
	group, _ := below(t, "pids")
	if _, has, err := group.Number("pids.max"); has || err != nil {
		t.Errorf("no limit is taken for one: %v, %v", has, err)
	}
	if err := group.Write("pids.max", "123"); err != nil {
		t.Fatal(err)
	}
	if value, has, err := group.Number("pids.max"); value != 123 || !has || err != nil {
		t.Errorf("the limit is %d, %v, %v", value, has, err)
	}
	if _, has, err := group.Number("pids.min"); has || err != nil {
		t.Errorf("a file that there is not: %v, %v", has, err)
	}
	if _, _, err := group.Number("pids.events"); err == nil || !strings.Contains(err.Error(), "no number") {
		t.Errorf("words are taken for a number: %v", err)
	}
	if err := group.Write("pids.min", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("writing a file that there is not: %v", err)
	}
}
