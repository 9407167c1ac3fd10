package host

import (
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
	"github.com/jenner-heal/jenner/internal/lab"
)

func memoryWorld(t *testing.T) faulttest.World {
	params := jenner.Params{"size": jenner.Raw("16MB")}
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultMemory{Size: 16 * megabyte, Leave: leastFree} },
		Record: jenner.FaultRecord{Fault: "host.memory", Params: params, Target: machine},
		Absent: absent(t),
	}
}

func TestMemoryConforms(t *testing.T) { faulttest.Run(t, memoryWorld) }

func TestL21MemoryEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, memoryWorld) }

// TestMemoryIsReallyFilled: the kernel counts the pages, and would end this process first.
func TestMemoryIsReallyFilled(t *testing.T) {
	injector, record := inject(t, "memory", machine, jenner.Params{"size": jenner.Raw("48MB")})
	if saw := bites(t, injector, record); !strings.HasPrefix(saw, "48MB of memory filled on the whole machine, 48MB were asked for") {
		t.Errorf("the witness saw %s", saw)
	}
	held := injector.Holders.Held(record.ID)
	if resident, err := residentOf(held.Pid); err != nil || resident < 48*megabyte {
		t.Errorf("pid %d has %s in memory, %v", held.Pid, resident, err)
	}
	score, err := os.ReadFile("/proc/" + strconv.Itoa(held.Pid) + "/oom_score_adj")
	if err != nil || strings.TrimSpace(string(score)) != "1000" {
		t.Errorf("oom_score_adj is %q, %v", score, err)
	}
}

// TestMemoryInsideOfTheTargetsLimit: the group's memory is used, and comes back.
func TestMemoryInsideOfTheTargetsLimit(t *testing.T) {
	group := madeGroup(t, "memory")
	put(t, group, "memory.limit_in_bytes", strconv.Itoa(int(64*megabyte)))
	target, pid := sleeper(t)
	put(t, group, "cgroup.procs", strconv.Itoa(pid))
	used := func() Size {
		bytes, _, err := group.Number("memory.usage_in_bytes")
		if err != nil {
			t.Fatal(err)
		}
		return Size(bytes)
	}
	before := used()
	refused(t, "memory", target, jenner.Params{"size": jenner.Raw("63MB")}, "may be taken")
	injector, record := inject(t, "memory", target, jenner.Params{"share": jenner.Raw("50%")})
	bites(t, injector, record)
	if now := used(); now < before+24*megabyte {
		t.Errorf("the group uses %s, before %s", now, before)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the group's memory is free again", func() bool { return used() < before+8*megabyte })
}

// TestTheFillGoesFirst: when the memory of the group runs out, the kernel ends what fills it and not the target.
func TestTheFillGoesFirst(t *testing.T) {
	group := madeGroup(t, "memory")
	put(t, group, "memory.limit_in_bytes", strconv.Itoa(int(64*megabyte)))
	target, pid := sleeper(t)
	put(t, group, "cgroup.procs", strconv.Itoa(pid))
	injector, record := inject(t, "memory", target, jenner.Params{"size": jenner.Raw("24MB")})
	bites(t, injector, record)
	// The shell moves itself, so that all that comes below it counts in the group. tail keeps a line until it is whole.
	eater, err := lab.Start(lab.Options{}, "sh", "-c", `echo $$ > "$1" && head -c 40M /dev/zero | tail -n 1 > /dev/null`, "sh",
		filepath.Join(group.Dir, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eater.Stop(syscall.SIGKILL, time.Second) })
	await.True(t, "the kernel has ended the fill", func() bool { return !injector.Holders.Held(record.ID).Alive })
	if _, _, err := processOf(target); err != nil {
		t.Errorf("the target was hit: %v", err)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Error(err)
	}
}

// TestMemoryGivesBack: by the chunk, and no more than asked.
func TestMemoryGivesBack(t *testing.T) {
	full := &fill{}
	if err := full.upTo(t.Context(), 10*megabyte, 0); err != nil {
		t.Fatal(err)
	}
	if full.size() != 10*megabyte {
		t.Errorf("filled %s, want 10MB", full.size())
	}
	full.release(9 * megabyte)
	if full.size() != 8*megabyte {
		t.Errorf("after giving back down to 9MB there are %s, want 8MB", full.size())
	}
	full.release(0)
	if full.size() != 0 {
		t.Errorf("%s are left", full.size())
	}
	free, err := available()
	if err != nil {
		t.Fatal(err)
	}
	if err := full.upTo(t.Context(), 10*megabyte, free+gigabyte); err != nil || full.size() != 0 {
		t.Errorf("below the floor %s were filled, %v", full.size(), err)
	}
}

func TestMemoryRefuses(t *testing.T) {
	refused(t, "memory", machine, nil, "size and share are both missing")
	refused(t, "memory", machine, jenner.Params{"size": jenner.Raw("1MB"), "share": jenner.Raw("1%")}, "not both")
	refused(t, "memory", machine, jenner.Params{"size": jenner.Raw("1MB"), "leave": jenner.Raw("255MB")}, "too little for the machine")
	refused(t, "memory", machine, jenner.Params{"size": jenner.Raw("1000TB")}, "may be taken")
	refused(t, "memory", machine, jenner.Params{"size": jenner.Raw("8MB"), "leave": jenner.Raw("1000TB")}, "all of it has to stay so")
}
