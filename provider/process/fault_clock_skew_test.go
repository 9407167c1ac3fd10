package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// near tells whether two durations are as good as the same: far less apart than any skew of these tests, far more than
// a machine that is busy needs.
func near(a, b time.Duration) bool { return (a - b).Abs() < 20*time.Second }

func TestClockSkewMovesTheWallClockOfAGoProgram(t *testing.T) {
	target, worker := hired(t)
	_, bystander := hired(t)
	injector := laboratory(t)
	worker.ask("spin")
	worker.ask("churn")
	for _, c := range []struct {
		params map[string]any
		want   time.Duration
	}{
		{map[string]any{"ahead": "90s"}, 90 * time.Second},
		{map[string]any{"behind": "90s"}, -90 * time.Second},
		{map[string]any{"behind": "1h30m0.999999999s"}, -90*time.Minute - time.Second},
		{map[string]any{"ahead": "4000d"}, 4000 * 24 * time.Hour},
	} {
		_, before := worker.clocks()
		record := strike(t, injector, target, "clock_skew", c.params)
		wall, mono := worker.clocks()
		if !near(wall, c.want) || !near(mono, before) {
			t.Errorf("%v: the wall clock is %s ahead, and the monotonic one moved by %s", c.params, wall, mono-before)
		}
		if wall, _ := bystander.clocks(); !near(wall, 0) {
			t.Errorf("%v: the clock of another process is %s ahead", c.params, wall)
		}
		witness := bitten(t, injector, record, true)
		undo(t, injector, record)
		if wall, _ := worker.clocks(); !near(wall, 0) || !worker.free() {
			t.Errorf("%v: after the undo the wall clock is %s ahead, the threads are %s; the witness saw %s",
				c.params, wall, worker.states(), witness.Saw)
		}
		if count, err := readMemory(worker.Pid, patched(t, chaos.Call{Record: record}).Counter, 8); string(count) != strings.Repeat("\x00", 8) || err != nil {
			t.Errorf("the place of the counter holds %x after the undo, %v", count, err)
		}
	}
}

// TestClockSkewMovesTheMonotonicClockOfAGoProgram, which is restarted before the fault is undone: Go's scheduler stands
// still for as long as its clock went back.
func TestClockSkewMovesTheMonotonicClockOfAGoProgram(t *testing.T) {
	for _, c := range []struct {
		clocks     []string
		wall, mono time.Duration
	}{{[]string{"monotonic"}, 0, time.Hour}, {[]string{"monotonic", "wall"}, time.Hour, time.Hour}} {
		target, worker := hired(t)
		injector := laboratory(t)
		_, before := worker.clocks()
		record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h", "clocks": c.clocks})
		if wall, mono := worker.clocks(); !near(wall, c.wall) || !near(mono-before, c.mono) {
			t.Errorf("%v: the wall clock is %s ahead, and the monotonic one moved by %s", c.clocks, wall, mono-before)
		}
		bitten(t, injector, record, true)
		endPid(t, worker.Pid)
		begin(t, target)
		undo(t, injector, record)
	}
}

// TestClockSkewDrifts: a clock a thousand times as fast, and one that stands still.
func TestClockSkewDrifts(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	record := strike(t, injector, target, "clock_skew", map[string]any{"drift": 1000})
	await.True(t, "the clock runs away", func() bool {
		ahead, _ := worker.clocks()
		return ahead > 20*time.Minute
	})
	undo(t, injector, record)
	record = strike(t, injector, target, "clock_skew", map[string]any{"drift": 0, "behind": "1h"})
	var first, second, mono int64
	fmt.Sscan(worker.ask("time"), &first, &mono)
	bitten(t, injector, record, true)
	fmt.Sscan(worker.ask("time"), &second, &mono)
	// The factor is kept in 1/2^32, exact for 0.
	if first != second || !near(time.Until(time.Unix(0, first)), -time.Hour) {
		t.Errorf("a clock that stands still showed %d and then %d", first, second)
	}
}

// TestClockSkewOfAProgramWithACLibrary: time, gettimeofday and clock_gettime, in the target and in what it forks.
func TestClockSkewOfAProgramWithACLibrary(t *testing.T) {
	for _, c := range []struct {
		again    string // the target forks all the time: what it forked has the patch too
		children bool
		child    skews
	}{{"", false, skews{}}, {"", true, minuteAndAHalf}, {"yes", false, skews{}}} {
		target, _ := forking(t, c.again)
		told(t, target, "child")
		injector := laboratory(t)
		record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "90s", "children": c.children})
		showing(t, target, "parent", minuteAndAHalf)
		showing(t, target, "child", c.child)
		bitten(t, injector, record, true)
		undo(t, injector, record)
		showing(t, target, "parent", skews{})
		showing(t, target, "child", skews{})
		kept, err := read[skewed](chaos.Call{Record: record})
		if err != nil {
			t.Fatal(err)
		}
		if carriers, err := carriersOf(kept); len(carriers) > 0 || err != nil {
			t.Errorf("%d processes still have the patch, %v", len(carriers), err)
		}
	}
}

// minuteAndAHalf is what the three functions of the C library give, and the monotonic clock.
var minuteAndAHalf = skews{90 * time.Second, 90 * time.Second, 90 * time.Second, 0}

func showing(t *testing.T, target jenner.Target, name string, want skews) {
	t.Helper()
	await.True(t, fmt.Sprintf("the clocks of the %s are %s ahead", name, want), func() bool {
		ahead, _ := told(t, target, name)
		return near(ahead[0], want[0]) && near(ahead[1], want[1]) && near(ahead[2], want[2]) && near(ahead[3], want[3])
	})
}

func TestClockSkewOfTheMonotonicClock(t *testing.T) {
	target, _ := forking(t, "")
	injector := laboratory(t)
	record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "90s", "clocks": []string{"monotonic"}})
	showing(t, target, "parent", skews{3: 90 * time.Second})
	undo(t, injector, record)
	showing(t, target, "parent", skews{})
}

// TestL21ClockSkewMayBeCutOffAnywhere: whoever writes the patch, or takes it back, may be killed after any of its words.
// The program goes on, and another process takes back what there is.
func TestL21ClockSkewMayBeCutOffAnywhere(t *testing.T) {
	target, worker := hired(t)
	worker.ask("spin")
	fault := &FaultClockSkew{Ahead: jenner.Duration(time.Hour), Clocks: []string{"wall"}, Drift: 1}
	call := chaos.Call{Record: jenner.FaultRecord{ID: t.Name(), Target: target}}
	before, err := fault.Fingerprint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	if call.Record.Checkpoint, err = fault.Checkpoint(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	whole := patched(t, call)
	for _, undo := range []bool{false, true} {
		words := cuts(t, fault, call, undo)
		for cut := range words {
			if cut > 3 && cut < len(words)-4 && cut%16 != 0 {
				continue // in the middle of the code, which nobody runs then
			}
			cuts(t, fault, call, undo)
			part := whole
			part.Edits = words[:cut+1]
			part.Jumps = append([]span{{whole.Code.First - 1, whole.Code.End}}, whole.Jumps...)
			if err := part.writeIn(t.Context(), whole.identity, false); err != nil {
				t.Fatal(err)
			}
			if ahead, _ := worker.clocks(); !near(ahead, 0) && !near(ahead, time.Hour) {
				t.Errorf("undo %v: after %d of %d words the clock is %s ahead", undo, cut+1, len(words), ahead)
			}
			if err := fault.Undo(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			if now, err := fault.Fingerprint(t.Context(), call); now != before || err != nil {
				t.Fatalf("undo %v: after %d of %d words the undo left %s, %v; before %s", undo, cut+1, len(words), now, err, before)
			}
		}
	}
}

// cuts are the words that are to be written, one after the other, from where the fault begins or from where it ends.
func cuts(t *testing.T, fault *FaultClockSkew, call chaos.Call, undo bool) []edit {
	t.Helper()
	whole := patched(t, call)
	if undo {
		if err := fault.Inject(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	words, err := whole.words(whole.Pid, undo)
	if err != nil || len(words) < 20 {
		t.Fatalf("%d words, %v", len(words), err)
	}
	return words
}

// patched is the patch of the target itself.
func patched(t *testing.T, call chaos.Call) patch {
	t.Helper()
	kept, err := read[skewed](call)
	if err != nil {
		t.Fatal(err)
	}
	return kept.Patches[0]
}

// TestL4ClockSkewKeepsWhatSomebodyElseHasWritten, and says so.
func TestL4ClockSkewKeepsWhatSomebodyElseHasWritten(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h"})
	// Somebody else's breakpoint, behind the jump, where no thread comes by.
	theirs := patched(t, chaos.Call{Record: record})
	at := len(theirs.Edits) - 1
	was := theirs.Edits[at]
	foreign := edit{was.Address, was.New, append(append([]byte(nil), was.New[:7]...), 0xcc)}
	theirs.Edits = []edit{foreign}
	if err := theirs.writeIn(t.Context(), worker.identity, false); err != nil {
		t.Fatal(err)
	}
	wantError(t, injector.Undo(t.Context(), record), "somebody else has changed the vDSO")
	if ahead, _ := worker.clocks(); !near(ahead, time.Hour) {
		t.Errorf("the undo that refused left the clock %s ahead", ahead)
	}
	theirs.Edits = []edit{{was.Address, foreign.New, was.New}}
	if err := theirs.writeIn(t.Context(), worker.identity, false); err != nil {
		t.Fatal(err)
	}
	undo(t, injector, record)
}

func TestClockSkewRefuses(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	for want, params := range map[string]map[string]any{
		"ahead, behind and drift are all missing":   {},
		"ahead or behind, not both":                 {"ahead": "1s", "behind": "1s"},
		"outside 0 to 1000":                         {"drift": -1},
		`unknown clock "wal"; did you mean "wall"?`: {"ahead": "1s", "clocks": []string{"wal"}},
		"clocks is empty":                           {"ahead": "1s", "clocks": []string{}},
		"behind is before the clocks began":         {"behind": "1000d", "clocks": []string{"monotonic"}},
		`"-90s" is not a duration`:                  {"ahead": "-90s"},
	} {
		_, err := injector.Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: "clock_skew", Target: target, Params: written(params)}, 1)
		wantError(t, err, want)
	}
	strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h"})
	second := jenner.FaultRecord{ID: "g", Fault: "clock_skew", Target: target, Params: written(map[string]any{"ahead": "1h"})}
	_, err := injector.Inject(t.Context(), second, 1)
	wantError(t, err, "is not the kernel's own")
	second.Fault, second.Params = "io_error", written(map[string]any{"path": "data"})
	_, err = injector.Inject(t.Context(), second, 1)
	wantError(t, err, "is not the kernel's own")
	if ahead, _ := worker.clocks(); !near(ahead, time.Hour) {
		t.Errorf("the fault that was refused left the clock %s ahead", ahead)
	}
}

// TestClockSkewIsUndoneInAStoppedTarget, which stays stopped.
func TestClockSkewIsUndoneInAStoppedTarget(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h"})
	halted := func() bool { return strings.Trim(worker.states(), "T") == "" }
	unix.Kill(worker.Pid, unix.SIGSTOP)
	await.True(t, "it is stopped", halted)
	if err := (&FaultClockSkew{}).Undo(t.Context(), chaos.Call{Record: record}); err != nil {
		t.Error(err)
	}
	await.True(t, "it is stopped as before", halted)
	unix.Kill(worker.Pid, unix.SIGCONT)
	if ahead, _ := worker.clocks(); !near(ahead, 0) {
		t.Errorf("after the undo the clock is %s ahead", ahead)
	}
}

func TestClockSkewBehindASeccompFilter(t *testing.T) {
	target, worker := hired(t)
	worker.ask("sandbox")
	injector := laboratory(t)
	_, err := injector.Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: "clock_skew", Target: target,
		Params: written(map[string]any{"ahead": "1h"})}, 1)
	wantError(t, err, "behind a seccomp filter")
	strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h", "sandboxed": true})
	if ahead, _ := worker.clocks(); !near(ahead, time.Hour) {
		t.Errorf("the clock is %s ahead", ahead)
	}
}

// TestClockSkewEndsWithARestart: the fault is a process's own, and its undo finds nothing to do.
func TestClockSkewEndsWithARestart(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	record := strike(t, injector, target, "clock_skew", map[string]any{"ahead": "1h"})
	endPid(t, worker.Pid)
	begin(t, target)
	if armed, err := injector.Armed(t.Context(), record); armed || err != nil {
		t.Errorf("armed %v, %v", armed, err)
	}
	if ahead, _ := worker.clocks(); !near(ahead, 0) {
		t.Errorf("after a restart the clock is %s ahead", ahead)
	}
	undo(t, injector, record)
}

func clockWorld(t *testing.T) faulttest.World {
	target, worker := hired(t)
	return faulttest.World{
		Fault: func() chaos.Fault {
			return &FaultClockSkew{Ahead: jenner.Duration(90 * time.Second), Clocks: []string{"wall"}, Drift: 1}
		},
		Record: jenner.FaultRecord{Fault: "process.clock_skew", Target: target, Params: written(map[string]any{"ahead": "90s"})},
		Absent: server(t),
		Stir:   func(t *testing.T) { worker.ask("time") },
	}
}

func TestClockSkewConforms(t *testing.T) { faulttest.Run(t, clockWorld) }

func TestClockSkewKilled(t *testing.T) { faulttest.Killed(t, clockWorld) }

// TestClockCode holds the code's own numbers against it.
func TestClockCode(t *testing.T) {
	code, err := clockPatch(clockData{Mask: 0x1111111111111111, Rate: 0x2222222222222222, Shift: 0x3333333333333333, Counter: 0x4444444444444444})
	if err != nil || len(clockCode) != 0xe8 || fmt.Sprintf("%x", code[0xe8:0x108]) !=
		strings.Repeat("1", 16)+strings.Repeat("2", 16)+strings.Repeat("3", 16)+strings.Repeat("4", 16) {
		t.Errorf("the data are not where the code looks for them: %x, %v", code, err)
	}
	for name, entry := range clockEntries {
		if first := clockCode[entry]; first != 0x45 && first != 0x48 && first != 0x57 {
			t.Errorf("%s does not begin at %#x", name, entry)
		}
	}
	if rateOf(1) != 0 || rateOf(2) != 1<<32 || rateOf(0) != -1<<32 {
		t.Error("the rate is not in 1/2^32")
	}
}

func TestWriterTellsWhatIsWrong(t *testing.T) {
	p := patch{}
	wantError(t, p.writeIn(t.Context(), identity{Pid: os.Getpid(), Boot: "another"}, false), "the process is gone")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, p.writeIn(ctx, identity{}, false), "context canceled")
}

// BenchmarkClockSkew measures how long it takes to write the patch and to take it back, both with a process of its own.
func BenchmarkClockSkew(b *testing.B) {
	target := jenner.Target{Kind: "process", Name: "shop", Dir: b.TempDir(), Params: written(map[string]any{
		"start": command("pidfile=shop.pid"), "pidfile": "shop.pid", "env": map[string]string{role: "serve"}})}
	if _, err := ensureRunning(b.Context(), target); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ensureGone(context.WithoutCancel(b.Context()), target, 0) })
	faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault, jenner.FaultRecord{Fault: "process.clock_skew", Target: target, Params: written(map[string]any{"ahead": "90s"})})
}
