package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

func TestIOErrorHitsTheCallsAndFilesThatAreMeant(t *testing.T) {
	for _, c := range []struct {
		params map[string]any
		want   string // of: write to data/log, read it, write to other/log, remove data/log
	}{
		{map[string]any{"path": "data", "calls": []string{"write"}}, "write EIO, ok, ok, ok"},
		{map[string]any{"path": "data", "calls": []string{"write"}, "errno": "ENOSPC"}, "write ENOSPC, ok, ok, ok"},
		{map[string]any{"path": "data/log", "calls": []string{"fsync"}}, "EIO, ok, ok, ok"},
		{map[string]any{"path": "data/log", "calls": []string{"read"}}, "ok, EIO, ok, ok"},
		{map[string]any{"path": "data"}, "write EIO, EIO, ok, ok"},
		{map[string]any{"path": "dat"}, "ok, ok, ok, ok"},
		{map[string]any{"path": "data/log", "calls": []string{"open"}, "errno": "EMFILE"}, "open EMFILE, EMFILE, ok, ok"},
		{map[string]any{"path": "data", "calls": []string{"remove"}, "errno": "EACCES"}, "ok, ok, ok, EACCES"},
		{map[string]any{"path": "link", "calls": []string{"write"}}, "write EIO, ok, ok, ok"},
	} {
		t.Run(fmt.Sprint(c.params), func(t *testing.T) {
			target, worker := hired(t)
			folders(t, worker)
			injector := laboratory(t)
			record := strike(t, injector, target, "io_error", c.params)
			if got := tour(worker); got != c.want {
				t.Errorf("under the fault: %s, want %s", got, c.want)
			}
			witness := bitten(t, injector, record, c.want != "ok, ok, ok, ok")
			undo(t, injector, record)
			if got := tour(worker); got != "ok, ok, ok, ok" || !worker.free() {
				t.Errorf("after the undo: %s, threads %s; the witness saw %s", got, worker.states(), witness.Saw)
			}
		})
	}
}

func folders(t testing.TB, worker *client) {
	t.Helper()
	for _, name := range []string{"data", "other"} {
		if err := os.Mkdir(worker.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(worker.path(name+"/log"), []byte("old\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("data", worker.path("link")); err != nil {
		t.Fatal(err)
	}
}

// tour does one of each.
func tour(worker *client) string {
	worker.t.Helper()
	return strings.Join([]string{worker.ask("write data/log"), worker.ask("read data/log"), worker.ask("write other/log"),
		worker.ask("remove data/log")}, ", ")
}

func bitten(t *testing.T, injector *chaos.Injector, record jenner.FaultRecord, want bool) (witness chaos.Witness) {
	t.Helper()
	look := func() bool {
		var err error
		if witness, err = injector.Bite(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		return witness.Bit
	}
	if !want {
		if look() {
			t.Errorf("it bit: %s", witness.Saw)
		}
		return witness
	}
	await.True(t, "the fault bites", look)
	return witness
}

// TestL21IOErrorEndsWithTheTracerAndHarmsNothing kills the process that stands between the target and the kernel, again
// and again, while three threads write.
func TestL21IOErrorEndsWithTheTracerAndHarmsNothing(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	worker.ask("hammer data/log")
	worker.ask("churn")
	for round := range 5 {
		injector := laboratory(t)
		record := strike(t, injector, target, "io_error", map[string]any{"path": "data", "calls": []string{"write"}, "share": "50%"})
		bitten(t, injector, record, true)
		if err := unix.Kill(injector.Holders.Held(record.ID).Pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await.True(t, "nobody traces the target, and no thread is stopped", worker.free)
		await.True(t, "the fault is not armed any more", func() bool {
			armed, err := injector.Armed(t.Context(), record)
			return err == nil && !armed
		})
		goesOn := func() {
			before := worker.results().Gave["ok"]
			await.True(t, "the threads go on", func() bool { return worker.results().Gave["ok"] > before+1000 })
		}
		goesOn() // and count what failed at the last moment
		failed := worker.results().Gave["EIO"]
		goesOn()
		if now := worker.results().Gave["EIO"]; now != failed {
			t.Errorf("round %d: %d more writes failed after the fault's end", round, now-failed)
		}
		undo(t, injector, record)
	}
	unix.Kill(worker.Pid, unix.SIGSTOP)
	await.True(t, "it is stopped", func() bool { return strings.Trim(worker.states(), "T") == "" })
	unix.Kill(worker.Pid, unix.SIGCONT)
	results := worker.results()
	if len(results.Gave) != 2 || results.Gave["EIO"] == 0 {
		t.Errorf("the writes gave %v, want ok and EIO alone", results.Gave)
	}
	info, err := os.Stat(worker.path("data/log"))
	if err != nil {
		t.Fatal(err)
	}
	// The writers go on; what they were told before is in the file by now.
	if said, is := results.Written, info.Size()-int64(len("old\n")); is < said || worker.results().Written < is-3*8 {
		t.Errorf("the program was told that %d bytes were written, and the file has %d", said, is)
	}
}

func TestIOErrorPassesSignalsOn(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	injector := laboratory(t)
	record := strike(t, injector, target, "io_error", map[string]any{"path": "data"})
	worker.ask("hammer data/log")
	for sent := 1; sent <= 20; sent++ {
		if err := unix.Kill(worker.Pid, unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		await.True(t, "the signal arrives", func() bool { return worker.ask("usr1") == fmt.Sprint(sent) })
	}
	for range 3 {
		unix.Kill(worker.Pid, unix.SIGSTOP)
		await.True(t, "all threads are stopped", func() bool { return strings.Trim(worker.states(), "tT") == "" })
		calls := tallied(t, injector, record).Calls
		if again := tallied(t, injector, record).Calls; again < calls {
			t.Errorf("%d calls, and then %d", calls, again)
		}
		unix.Kill(worker.Pid, unix.SIGCONT)
		if got := worker.ask("read other/log"); got != "ok" {
			t.Errorf("after SIGCONT: %s", got)
		}
	}
	// A target that stands still when the fault ends stands still afterwards.
	unix.Kill(worker.Pid, unix.SIGSTOP)
	await.True(t, "all threads are stopped", func() bool { return strings.Trim(worker.states(), "tT") == "" })
	if err := injector.Holders.End(t.Context(), record.ID); err != nil {
		t.Fatal(err)
	}
	await.True(t, "it is stopped, and not by a tracer", func() bool { return strings.Trim(worker.states(), "T") == "" })
	unix.Kill(worker.Pid, unix.SIGCONT)
	if got := worker.ask("write data/log"); got != "ok" {
		t.Errorf("after the end of the fault: %s", got)
	}
}

func tallied(t *testing.T, injector *chaos.Injector, record jenner.FaultRecord) (counted tally) {
	t.Helper()
	if err := json.Unmarshal(injector.Holders.Held(record.ID).Report, &counted); err != nil {
		t.Fatal(err)
	}
	return counted
}

func TestIOErrorEndsWithItsTarget(t *testing.T) {
	target, worker := hired(t)
	injector := laboratory(t)
	record := strike(t, injector, target, "io_error", map[string]any{"path": "data"})
	endPid(t, worker.Pid)
	await.True(t, "the fault is over", func() bool {
		armed, err := injector.Armed(t.Context(), record)
		return err == nil && !armed
	})
	begin(t, target)
	undo(t, injector, record)
}

func TestIOErrorByDescriptor(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	injector := laboratory(t)
	worker.ask("hammer data/log")
	descriptor := -1
	await.True(t, "it has the file open", func() bool {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", worker.Pid))
		for _, link := range links {
			if path, _ := os.Readlink(link); path == worker.path("data/log") {
				fmt.Sscan(filepath.Base(link), &descriptor)
			}
		}
		return descriptor >= 0
	})
	record := strike(t, injector, target, "io_error", map[string]any{"descriptor": descriptor, "calls": []string{"write"}})
	bitten(t, injector, record, true)
	if got := tour(worker); got != "ok, ok, ok, ok" {
		t.Errorf("other descriptors: %s", got)
	}
}

func TestIOErrorReachesChildrenWhereTheyAreMeant(t *testing.T) {
	for _, children := range []bool{false, true} {
		target, _ := forking(t, "yes")
		injector := laboratory(t)
		record := strike(t, injector, target, "io_error", map[string]any{"path": "data", "children": children})
		want := map[string]string{"parent": "EIO", "child": "ok"}
		if children {
			want["child"] = "EIO"
		}
		for name, gave := range want {
			await.True(t, fmt.Sprintf("children %v: writes of the %s give %s", children, name, gave), func() bool {
				_, wrote := told(t, target, name)
				return wrote == gave
			})
		}
		undo(t, injector, record)
		for name := range want {
			await.True(t, "writes of the "+name+" work again", func() bool {
				_, wrote := told(t, target, name)
				return wrote == "ok"
			})
		}
	}
}

// TestIOErrorFollowsAnotherProgram: any thread may execute one, and the process stays what it is.
func TestIOErrorFollowsAnotherProgram(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	injector := laboratory(t)
	record := strike(t, injector, target, "io_error", map[string]any{"path": "data", "calls": []string{"write"}})
	worker.ask("churn")
	worker.ask("exec")
	await.True(t, "the new program is there", func() bool {
		info, err := os.Stat(worker.path("run/address"))
		return err == nil && info.Size() > 0
	})
	if got := worker.ask("write data/log"); got != "write EIO" {
		t.Errorf("the new program's write gave %s", got)
	}
	undo(t, injector, record)
	if got := worker.ask("write data/log"); got != "ok" || !worker.free() {
		t.Errorf("after the undo: %s, threads %s", got, worker.states())
	}
}

func TestIOErrorBehindASeccompFilter(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	if got := worker.ask("sandbox"); got != "ok" {
		t.Fatal(got)
	}
	injector := laboratory(t)
	record := jenner.FaultRecord{ID: "f", Fault: "io_error", Target: target, Params: written(map[string]any{"path": "data"})}
	_, err := injector.Inject(t.Context(), record, 1)
	wantError(t, err, "behind a seccomp filter", "write sandboxed: true")
	record = strike(t, injector, target, "io_error", map[string]any{"path": "data", "sandboxed": true})
	if got := tour(worker); got != "write EIO, EIO, ok, ok" {
		t.Errorf("%s; the filter's own answer is EPERM", got)
	}
	undo(t, injector, record)
}

func TestIOErrorNamesTheMissingCapability(t *testing.T) {
	_, worker := hired(t)
	command := exec.Command("/proc/self/exe", fmt.Sprint(worker.Pid))
	command.Env = append(os.Environ(), role+"=nobody")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "needs CAP_SYS_PTRACE") || !strings.Contains(string(said), "run as root") {
		t.Errorf("nobody is told %q, %v", said, err)
	}
}

func TestIOErrorRefuses(t *testing.T) {
	_, worker := hired(t)
	for want, params := range map[string]map[string]any{
		"neither path nor descriptor":             {},
		`unknown calls "wirte"; did you mean`:     {"path": "data", "calls": []string{"wirte"}},
		`unknown errno "EOI"; did you mean "EIO"`: {"path": "data", "errno": "EOI"},
		"share is 0%":              {"path": "data", "share": "0%"},
		`calls "open" take a path`: {"descriptor": 3, "calls": []string{"open"}},
		"calls is empty":           {"path": "data", "calls": []string{}},
		"descriptor -1 is none":    {"descriptor": -1},
	} {
		record := jenner.FaultRecord{ID: "f", Fault: "io_error", Target: worker.target, Params: written(params)}
		_, err := laboratory(t).Inject(t.Context(), record, 1)
		wantError(t, err, want)
	}
	injector := laboratory(t)
	strike(t, injector, worker.target, "io_error", map[string]any{"path": "data"})
	_, err := laboratory(t).Inject(t.Context(), jenner.FaultRecord{ID: "g", Fault: "io_delay", Target: worker.target,
		Params: written(map[string]any{"path": "data", "delay": "1s"})}, 1)
	wantError(t, err, "is traced by pid", "end the debugger or the other fault first")
}

func TestIOErrorConforms(t *testing.T) { faulttest.Run(t, ioWorld("io_error", nil)) }

func TestIOErrorKilled(t *testing.T) { faulttest.Killed(t, ioWorld("io_error", nil)) }

func ioWorld(name string, more map[string]any) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		target, worker := hired(t)
		folders(t, worker)
		params := map[string]any{"path": "data"}
		for key, value := range more {
			params[key] = value
		}
		injector := laboratory(t)
		return faulttest.World{
			Fault: func() chaos.Fault {
				_, fault, err := injector.Build(name, "process", written(params))
				if err != nil {
					t.Fatal(err)
				}
				return fault
			},
			Record: jenner.FaultRecord{Fault: "process." + name, Target: target, Params: written(params)},
			Absent: server(t),
			Stir:   func(t *testing.T) { worker.ask("write data/log") },
		}
	}
}

// BenchmarkIOErrorArmed measures what a call costs the target while an I/O fault is armed that is for other calls or files.
func BenchmarkIOErrorArmed(b *testing.B) {
	for _, c := range []struct {
		name  string
		calls []string
	}{{"no fault", nil}, {"other calls", []string{"fsync"}}, {"other files", []string{"write"}}} {
		b.Run(c.name, func(b *testing.B) {
			target := jenner.Target{Kind: "process", Name: "shop", Dir: b.TempDir(), Params: written(map[string]any{
				"start": command("pidfile=run/shop.pid"), "pidfile": "run/shop.pid", "env": map[string]string{role: "traced"}})}
			if _, err := ensureRunning(b.Context(), target); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { ensureGone(context.WithoutCancel(b.Context()), target, 0) })
			worker := &client{t: b, target: target}
			folders(b, worker)
			if c.calls != nil {
				strike(b, laboratory(b), target, "io_error", map[string]any{"path": "other", "calls": c.calls})
			}
			b.ResetTimer()
			if got := worker.ask(fmt.Sprintf("writes %d", b.N)); got != "ok" {
				b.Fatal(got)
			}
		})
	}
}
