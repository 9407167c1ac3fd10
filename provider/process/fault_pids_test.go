package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

// ownPids makes a control group below this test's own one, which goes with the test. It needs root, as the fault does.
func ownPids(t *testing.T) cgroup.Group {
	t.Helper()
	group, err := cgroup.Of(os.Getpid(), "pids")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("jenner-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	group.Path, group.Dir = filepath.Join(group.Path, name), filepath.Join(group.Dir, name)
	if err := os.Mkdir(group.Dir, 0o755); err != nil {
		t.Fatalf("this test makes a control group, and has to run as root: %v", err)
	}
	t.Cleanup(func() {
		await.True(t, "the group is empty", func() bool { err = os.Remove(group.Dir); return err == nil })
	})
	return group
}

func join(t *testing.T, group cgroup.Group, pid int) {
	t.Helper()
	if err := group.Write("cgroup.procs", strconv.Itoa(pid)); err != nil {
		t.Fatal(err)
	}
}

// grouped is a worker in a group of its own.
func grouped(t *testing.T) (jenner.Target, cgroup.Group) {
	t.Helper()
	group := ownPids(t) // it goes after the worker
	target, seen := working(t)
	join(t, group, seen.Pid)
	return target, group
}

func pidsWorld(t *testing.T) faulttest.World {
	target, _ := grouped(t)
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultPids{Leave: 1} },
		Record: jenner.FaultRecord{Fault: "process.pids", Params: jenner.Params{"leave": jenner.Raw(1)}, Target: target},
		Absent: server(t),
	}
}

func TestPidsConforms(t *testing.T) { faulttest.Run(t, pidsWorld) }

func TestL21PidsEndWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, pidsWorld) }

// TestPidsRunOut: the process can start nothing more, the kernel counts it, and after the undo it can.
func TestPidsRunOut(t *testing.T) {
	target, group := grouped(t)
	fault := &FaultPids{}
	call := checkpointed(t, fault, target)
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := tell(t, target, syscall.SIGUSR2); !strings.Contains(got, "resource temporarily unavailable") {
		t.Errorf("with none left the process %s", got)
	}
	witness, err := fault.Bite(t.Context(), call)
	if err != nil || !witness.Bit || strings.Contains(witness.Saw, "; 0 starts") {
		t.Errorf("the witness saw %q, %v", witness.Saw, err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if limit, err := group.Read(pidsMax); err != nil || limit != "max" {
		t.Errorf("the limit is %q, %v", limit, err)
	}
	got := tell(t, target, syscall.SIGUSR2)
	var child int
	if _, err := fmt.Sscanf(got, "started %d", &child); err != nil {
		t.Fatalf("after the undo the process %s", got)
	}
	endPid(t, child)
}

// TestPidsHitNobodyElse: a process that shares its group, or is in that of the whole machine, is refused.
func TestPidsHitNobodyElse(t *testing.T) {
	target, group := grouped(t)
	join(t, group, stranger(t))
	fault := &FaultPids{}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: target}}
	if _, err := fault.Checkpoint(t.Context(), call); err == nil || !strings.Contains(err.Error(), "(sleep)") {
		t.Errorf("a group that a stranger shares: %v", err)
	}
	outside, _ := working(t)
	call.Record.Target = outside
	if _, err := fault.Checkpoint(t.Context(), call); err == nil || !strings.Contains(err.Error(), "group") {
		t.Errorf("a process without a group of its own: %v", err)
	}
}

// TestL4SomebodyElsesLimitOfPidsStays: also where the group is gone there is nothing to take back.
func TestL4SomebodyElsesLimitOfPidsStays(t *testing.T) {
	target, group := grouped(t)
	fault := &FaultPids{}
	call := checkpointed(t, fault, target)
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if err := group.Write(pidsMax, "1234"); err != nil {
		t.Fatal(err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if limit, err := group.Read(pidsMax); err != nil || limit != "1234" {
		t.Errorf("somebody else's limit became %q, %v", limit, err)
	}
	endNow(t, target)
	await.True(t, "the group is gone", func() bool {
		return os.Remove(group.Dir) == nil
	})
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Errorf("the undo in a group that is gone: %v", err)
	}
	if armed, err := fault.Armed(t.Context(), call); err != nil || armed {
		t.Errorf("armed in a group that is gone: %v, %v", armed, err)
	}
	if err := os.Mkdir(group.Dir, 0o755); err != nil { // for the cleanup
		t.Fatal(err)
	}
}
