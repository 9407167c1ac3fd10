package process

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

// A target that opens files and starts children when it is told to, and writes down how it went.
func init() {
	if os.Getenv(role) != "worker" {
		return
	}
	os.Unsetenv(role) // its children are other programs
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM)
	if err := writePidfile("run/shop.pid", os.Getpid()); err != nil {
		panic(err)
	}
	late := time.After(time.Minute)
	for {
		select {
		case signal := <-told:
			switch signal {
			case syscall.SIGUSR1:
				said(openMany())
			case syscall.SIGUSR2:
				said(startOne())
			default:
				os.Exit(0)
			}
		case <-late:
			os.Exit(0)
		}
	}
}

// openMany opens as many files as it can, 50 at the most, and closes them again.
func openMany() string {
	var open []int
	var failed error
	for len(open) < 50 && failed == nil {
		var fd int
		if fd, failed = syscall.Open("/dev/null", syscall.O_RDONLY, 0); failed == nil {
			open = append(open, fd)
		}
	}
	for _, fd := range open {
		syscall.Close(fd)
	}
	return fmt.Sprintf("opened %d, %v", len(open), failed)
}

// startOne starts a child that sleeps.
func startOne() string {
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		return fmt.Sprintf("started 0, %v", err)
	}
	return fmt.Sprintf("started %d", command.Process.Pid)
}

func said(what string) {
	if err := os.WriteFile("run/said.part", []byte(what), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename("run/said.part", "run/said"); err != nil {
		panic(err)
	}
}

// working is a worker that was started.
func working(t *testing.T) (jenner.Target, sight) {
	t.Helper()
	target := program(t, "worker")
	return target, begin(t, target)
}

// tell tells the worker to do something and gives what it said about it.
func tell(t *testing.T, target jenner.Target, what syscall.Signal) string {
	t.Helper()
	path := filepath.Join(target.Dir, "run/said")
	if err := syscall.Kill(looked(t, target).Pid, what); err != nil {
		t.Fatal(err)
	}
	var text []byte
	await.True(t, "the worker answers", func() bool {
		text, _ = os.ReadFile(path)
		return len(text) > 0
	})
	os.Remove(path)
	return string(text)
}

func limitOf(t *testing.T, pid int) unix.Rlimit {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	return limit
}

// checkpointed is a call with the checkpoint and the fingerprint of before.
func checkpointed(t *testing.T, fault chaos.Fault, target jenner.Target) chaos.Call {
	t.Helper()
	call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: target, Until: time.Now().Add(time.Minute)}}
	checkpoint, err := fault.(chaos.Checkpointer).Checkpoint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	call.Record.Checkpoint = checkpoint
	if call.Record.Fingerprint, err = fault.(chaos.Fingerprinter).Fingerprint(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	return call
}

func descriptorsWorld(t *testing.T) faulttest.World {
	target, _ := working(t)
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultDescriptors{Leave: 2} },
		Record: jenner.FaultRecord{Fault: "process.descriptors", Params: jenner.Params{"leave": jenner.Raw(2)}, Target: target},
		Absent: server(t),
	}
}

func TestDescriptorsConforms(t *testing.T) { faulttest.Run(t, descriptorsWorld) }

func TestL21DescriptorsEndWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, descriptorsWorld) }

// TestDescriptorsRunOut: the process opens just as many as are left, and all it wants after the undo.
func TestDescriptorsRunOut(t *testing.T) {
	target, seen := working(t)
	if got := tell(t, target, syscall.SIGUSR1); got != "opened 50, <nil>" {
		t.Fatalf("before the fault the process %s", got)
	}
	was := limitOf(t, seen.Pid)
	fault := &FaultDescriptors{Leave: 3}
	call := checkpointed(t, fault, target)
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := tell(t, target, syscall.SIGUSR1); got != "opened 3, too many open files" {
		t.Errorf("with 3 left the process %s", got)
	}
	if _, err := fault.Checkpoint(t.Context(), call); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a process that may open no more is broken once more: %v", err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if is := limitOf(t, seen.Pid); is != was {
		t.Errorf("the limits are %+v and were %+v", is, was)
	}
	if got := tell(t, target, syscall.SIGUSR1); got != "opened 50, <nil>" {
		t.Errorf("after the undo the process %s", got)
	}
}

// TestDescriptorsOfChildrenComeBackToo: a child inherits the limit of the moment in which it was started.
func TestDescriptorsOfChildrenComeBackToo(t *testing.T) {
	target, seen := working(t)
	was := limitOf(t, seen.Pid)
	fault := &FaultDescriptors{Leave: 20}
	child := func() int {
		var pid int
		if _, err := fmt.Sscanf(tell(t, target, syscall.SIGUSR2), "started %d", &pid); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { endPid(t, pid) })
		return pid
	}
	older := child()
	call := checkpointed(t, fault, target)
	// A child that was there before, and has that very limit for reasons of its own, keeps it.
	planned, err := read[lowered](call)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(older, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: planned.Set, Max: was.Max}, nil); err != nil {
		t.Fatal(err)
	}
	call = checkpointed(t, fault, target)
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	heir := child()
	low := limitOf(t, seen.Pid)
	if is := limitOf(t, heir); is != low || low == was {
		t.Fatalf("the child has %+v and its parent %+v", is, low)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if is := limitOf(t, heir); is != was {
		t.Errorf("the child's limits are %+v after the undo, and its parent's were %+v", is, was)
	}
	if is := limitOf(t, older); is != low {
		t.Errorf("the limits of a child that was there before are %+v after the undo, before %+v", is, low)
	}
}

// TestL4SomebodyElsesLimitStays: what was changed after the fault is not ours to take back.
func TestL4SomebodyElsesLimitStays(t *testing.T) {
	target, seen := working(t)
	fault := &FaultDescriptors{}
	call := checkpointed(t, fault, target)
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if during, err := fault.Fingerprint(t.Context(), call); err != nil || during == call.Record.Fingerprint {
		t.Errorf("the fault does not show in the fingerprint: %s, %v", during, err)
	}
	theirs := limitOf(t, seen.Pid)
	theirs.Cur += 7
	if err := unix.Prlimit(seen.Pid, unix.RLIMIT_NOFILE, &theirs, nil); err != nil {
		t.Fatal(err)
	}
	if armed, err := fault.Armed(t.Context(), call); err != nil || armed {
		t.Errorf("armed %v, %v, and the limit is somebody else's", armed, err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if is := limitOf(t, seen.Pid); is != theirs {
		t.Errorf("the limits are %+v after the undo, and somebody had set %+v", is, theirs)
	}
	if err := fault.Inject(t.Context(), call); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("an injection into limits that are not those of the checkpoint says %v", err)
	}
}

func TestLimitLeaving(t *testing.T) {
	for _, c := range []struct {
		used  []int
		leave int
		want  uint64
	}{
		{nil, 0, 0},
		{nil, 4, 4},
		{[]int{0, 1, 2}, 0, 3},
		{[]int{0, 1, 2}, 2, 5},
		{[]int{0, 1, 2, 100}, 0, 3}, // the high one stays open; a limit of 4 would leave one
		{[]int{0, 1, 2, 5}, 2, 6},   // 3 and 4
		{[]int{0, 1, 2, 5}, 3, 7},   // and 6
		{[]int{1, 2}, 0, 0},         // 0 is closed: any limit above would leave it
	} {
		used := map[int]bool{}
		for _, number := range c.used {
			used[number] = true
		}
		if got := limitLeaving(used, c.leave); got != c.want {
			t.Errorf("with %v used, %d are left by the limit %d, want %d", c.used, c.leave, got, c.want)
		}
	}
}
