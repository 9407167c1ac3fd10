package host

import (
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

func cpuWorld(t *testing.T) faulttest.World {
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultCPU{} },
		Record: jenner.FaultRecord{Fault: "host.cpu", Params: jenner.Params{"workers": jenner.Raw(1), "nice": jenner.Raw(10)}, Target: machine},
		Absent: absent(t),
	}
}

func TestCPUConforms(t *testing.T) { faulttest.Run(t, cpuWorld) }

func TestL21CPUEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, cpuWorld) }

// threads are the threads of a process by number, with their processor time in clock ticks.
func threads(t *testing.T, pid int) map[int]procfs.ProcStat {
	t.Helper()
	all, err := procfs.AllThreads(pid)
	if err != nil {
		t.Fatal(err)
	}
	stats := map[int]procfs.ProcStat{}
	for _, one := range all {
		if stat, err := one.Stat(); err == nil {
			stats[one.PID] = stat
		}
	}
	return stats
}

func ticks(stats map[int]procfs.ProcStat) (sum uint) {
	for _, stat := range stats {
		sum += stat.UTime + stat.STime
	}
	return sum
}

// TestALoadStandsWhereJennerStands: where nobody says how far it steps back, it does not step forward either, which needs a
// right that containers rarely have.
func TestALoadStandsWhereJennerStands(t *testing.T) {
	stood, err := 0, error(nil)
	onThread(func() {
		if err = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 5); err != nil {
			return
		}
		if err = settle(place{}, unix.CPUSet{}, 0); err == nil {
			stood, err = unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		}
	})
	if err != nil || stood != 20-5 { // the kernel says 20 less the nice level
		t.Errorf("it stands at %d (%v), want 15", stood, err)
	}
}

// TestCPUBurns: the kernel counts the time, in so many threads of the nice level, and when it is undone nobody burns.
func TestCPUBurns(t *testing.T) {
	injector, record := inject(t, "cpu", machine, jenner.Params{"workers": jenner.Raw(2), "nice": jenner.Raw(7)})
	held := injector.Holders.Held(record.ID)
	const enough = 20 // of 100 a second
	await.True(t, "the ticks are counted", func() bool { return ticks(threads(t, held.Pid)) >= enough })
	burners := 0
	for _, stat := range threads(t, held.Pid) {
		if stat.Nice == 7 {
			burners++
		}
	}
	if burners != 2 {
		t.Errorf("%d threads have the nice level, want 2", burners)
	}
	if saw := bites(t, injector, record); !strings.HasPrefix(saw, "2 threads have burnt ") || !strings.HasSuffix(saw, " on the whole machine") {
		t.Errorf("the witness saw %s", saw)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if process, err := procfs.NewProc(held.Pid); err == nil {
		stat, _ := process.Stat()
		t.Errorf("pid %d still lives: %+v", held.Pid, stat)
	}
}

// TestCPUBurnsAsMuchAsItsShare: as the kernel counts it. A slow machine makes it take longer, and burns no more for that.
func TestCPUBurnsAsMuchAsItsShare(t *testing.T) {
	const part = 0.4 // of one processor
	share := jenner.Share(part / float64(runtime.NumCPU()))
	injector, record := inject(t, "cpu", machine, jenner.Params{"share": jenner.Raw(share)})
	held := injector.Holders.Held(record.ID)
	began := time.Now()
	before := ticks(threads(t, held.Pid)) // the start of the program costs some
	counted := before
	await.True(t, "the ticks are counted", func() bool {
		counted = ticks(threads(t, held.Pid))
		return counted >= before+40
	})
	most := part*time.Since(began).Seconds()*100 + 12 // one window, and what looks after it
	if burnt := counted - before; float64(burnt) > most {
		t.Errorf("%g of a processor burnt %d ticks, and %.0f are the most", part, burnt, most)
	}
}

// TestCPUBurnsInsideOfTheTargetsGroup: the threads stand in the target's group, its quota holds them, and only they.
func TestCPUBurnsInsideOfTheTargetsGroup(t *testing.T) {
	group := madeGroup(t, "cpu")
	put(t, group, "cpu.cfs_quota_us", "10000") // a tenth of one processor
	target, pid := sleeper(t)
	put(t, group, "cgroup.procs", strconv.Itoa(pid))
	injector, record := inject(t, "cpu", target, jenner.Params{"workers": jenner.Raw(2)})
	held := injector.Holders.Held(record.ID)
	list, err := group.Read("tasks")
	if err != nil {
		t.Fatal(err)
	}
	var inside []int
	for word := range strings.FieldsSeq(list) {
		number, _ := strconv.Atoi(word)
		inside = append(inside, number)
	}
	own := threads(t, held.Pid)
	count := 0
	for _, tid := range inside {
		if _, is := own[tid]; is {
			count++
		}
	}
	if count != 2 || !slices.Contains(inside, pid) || slices.Contains(inside, held.Pid) {
		t.Errorf("in the group are %v, among them %d threads of pid %d; want 2, and pid %d itself outside", inside, count, held.Pid, held.Pid)
	}
	await.True(t, "the quota throttles", func() bool {
		stat, err := group.Read("cpu.stat")
		return err == nil && !strings.Contains(stat, "nr_throttled 0\n")
	})
	if saw := bites(t, injector, record); !strings.Contains(saw, group.Path) {
		t.Errorf("the witness does not name the group: %s", saw)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if list, err := group.Read("tasks"); err != nil || list != strconv.Itoa(pid) {
		t.Errorf("after the undo the group holds %q, %v", list, err)
	}
}

// TestCPUKeepsToTheTargetsProcessors: a process that is bound to one processor shares that one.
func TestCPUKeepsToTheTargetsProcessors(t *testing.T) {
	target, pid := sleeper(t)
	var one unix.CPUSet
	one.Set(0)
	if err := unix.SchedSetaffinity(pid, &one); err != nil {
		t.Fatal(err)
	}
	injector, record := inject(t, "cpu", target, jenner.Params{"nice": jenner.Raw(3)})
	held := injector.Holders.Held(record.ID)
	var bound int
	for tid, stat := range threads(t, held.Pid) {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &set); err == nil && stat.Nice == 3 && set == one {
			bound++
		}
	}
	if bound != 1 {
		t.Errorf("%d threads burn on that processor, want 1", bound)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		workers int
		share   jenner.Share
		count   float64
		threads int
		duty    float64
	}{
		{0, 0, 4, 4, 1},
		{0, 0.5, 4, 2, 1},
		{0, 0.3, 2, 1, 0.6},
		{0, 0.6, 2, 2, 0.6},
		{0, 0.1, 30, 3, 1},
		{0, 0.01, 1, 1, 0.01},
		{0, 1, 0.1, 1, 0.1}, // all of a quota
		{7, 0, 2, 7, 1},
	} {
		threads, duty := (&FaultCPU{Workers: c.workers, Share: c.share}).spread(c.count)
		if threads != c.threads || math.Abs(duty-c.duty) > 1e-9 {
			t.Errorf("%d workers, a share of %g of %g: %d threads of %g, want %d of %g", c.workers, c.share, c.count, threads, duty, c.threads, c.duty)
		}
	}
}

func TestProcessorsOfAGroupWithAQuota(t *testing.T) {
	group := madeGroup(t, "cpu")
	where := place{Pid: os.Getpid()}
	_, all, err := processorsOf(where)
	if err != nil || all < 1 {
		t.Fatalf("%g, %v", all, err)
	}
	where.Groups = append(where.Groups, group)
	if _, count, err := processorsOf(where); err != nil || count != all {
		t.Errorf("without a quota: %g, %v, want %g", count, err, all)
	}
	put(t, group, "cpu.cfs_quota_us", "25000")
	if _, count, err := processorsOf(where); err != nil || count != 0.25 {
		t.Errorf("with a quarter of one as the quota: %g, %v", count, err)
	}
}

func TestCPURefuses(t *testing.T) {
	refused(t, "cpu", machine, jenner.Params{"workers": jenner.Raw(1), "share": jenner.Raw("50%")}, "not both")
	refused(t, "cpu", machine, jenner.Params{"nice": jenner.Raw(-1)}, "never steps in front")
	refused(t, "cpu", machine, jenner.Params{"workers": jenner.Raw(100000)}, "are the most")
	refused(t, "cpu", jenner.Target{Kind: "disk", Name: "data"}, nil, "it works on: host, process")
}
