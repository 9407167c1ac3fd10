package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestLookWithoutAProcess(t *testing.T) {
	target := server(t)
	if seen := looked(t, target); seen.Alive || seen.Why != "pidfile "+pidfile(target)+" is missing" {
		t.Errorf("without a pidfile: %+v", seen)
	}
	seen := begin(t, target)
	endPid(t, seen.Pid)
	now := looked(t, target)
	if want := "pid " + strconv.Itoa(seen.Pid) + " is gone"; now.Alive || now.Why != want {
		t.Errorf("after its death: %+v, want %q", now, want)
	}
}

func TestLookAtAnUnreadablePidfile(t *testing.T) {
	for _, content := range []string{"", "x", "-4", "0", "1", "12 13", "99999999999999999999"} {
		target := server(t)
		if err := os.WriteFile(pidfile(target), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := see(target)
		wantError(t, err, pidfile(target), strconv.Quote(content), "remove it")
		if _, err := ensureRunning(t.Context(), target); err == nil {
			t.Errorf("with a pidfile of %q the process was started; another one may run", content)
		}
		if got := Alive(target).Probe(t.Context(), telemetry.ProbeCall{}); got.Outcome != telemetry.Unknown {
			t.Errorf("with a pidfile of %q the probe says %+v, want unknown", content, got)
		}
	}
}

// A number that was given to a younger process, even of the same program, is not the process that the pidfile meant.
func TestLookAtAReusedPid(t *testing.T) {
	target, seen := running(t)
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(pidfile(target), long, long); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endPid(t, seen.Pid) })
	now := looked(t, target)
	if now.Alive {
		t.Fatalf("a process younger than the pidfile is taken for the target's: %+v", now)
	}
	if _, err := ensureGone(t.Context(), target, 0); err != nil {
		t.Fatal(err)
	}
	if !alive(t, seen.Pid) {
		t.Error("a process that got a reused number was ended")
	}
	// A stale pidfile does not keep the target from being started.
	if started := begin(t, target); started.identity == seen.identity {
		t.Error("nothing was started")
	}
}

// Whatever is done to a target whose pidfile names somebody else's process, that process is never touched.
func TestNothingTouchesSomebodyElsesProcess(t *testing.T) {
	target, seen := running(t)
	checkpoint := jenner.Raw(seen)
	endNow(t, target)
	pid := stranger(t)
	writePid(t, target, pid)
	call := act.Call{Target: target, Checkpoint: checkpoint}
	record := chaos.Call{Record: jenner.FaultRecord{Target: target, Checkpoint: checkpoint}}
	ctx := t.Context()
	deeds := map[string]func() error{
		"start":           func() error { _, err := (&Start{}).Do(ctx, call); return err },
		"stop":            func() error { _, err := (&Stop{}).Do(ctx, call); return err },
		"restart":         func() error { _, err := (&Restart{}).Do(ctx, call); return err },
		"signal":          func() error { _, err := (&Signal{Signal: "SIGKILL"}).Do(ctx, call); return err },
		"check":           func() error { return (&Restart{}).Check(ctx, call) },
		"checkpoint":      func() error { _, err := (&Restart{}).Checkpoint(ctx, call); return err },
		"undo of stop":    func() error { _, err := (&Stop{}).Undo(ctx, call); return err },
		"kill checkpoint": func() error { _, err := (&FaultKill{}).Checkpoint(ctx, record); return err },
		"undo of kill":    func() error { return (&FaultKill{}).Undo(ctx, record) },
		"hang checkpoint": func() error { _, err := (&FaultHang{}).Checkpoint(ctx, record); return err },
	}
	for name, deed := range deeds {
		err := deed()
		wantForeign(t, err)
		wantError(t, err, pidfile(target), strconv.Itoa(pid), "sleep 60")
		if next := jenner.NextAfter(err); next != jenner.TellHuman {
			t.Errorf("%s: after the error comes %q, want a human", name, next)
		}
	}
	// The faults that act on the checkpoint alone have nothing to act on.
	if err := (&FaultKill{}).Inject(ctx, record); err != nil {
		t.Error(err)
	}
	if err := (&FaultHang{}).Inject(ctx, record); err == nil {
		t.Error("a process that is gone was made to hang")
	}
	if stat, living, err := readStat(pid); err != nil || !living || stopped(stat) {
		t.Errorf("somebody else's process is %+v, living %v, error %v", stat.State, living, err)
	}
	if got := Alive(target).Probe(ctx, telemetry.ProbeCall{}); got.Outcome != telemetry.Failed || got.Message == "" {
		t.Errorf("the probe says %+v, want failed with whose process it is", got)
	}
}

func TestLookAtOurselves(t *testing.T) {
	target := server(t) // of the very program that this test is
	writePid(t, target, os.Getpid())
	_, _, err := see(target)
	wantForeign(t, err)
	wantError(t, err, "this jenner itself")
}

func TestLookAtAThread(t *testing.T) {
	target, seen := running(t)
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(seen.Pid) + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if id, _ := strconv.Atoi(thread.Name()); id != seen.Pid {
			writePid(t, target, id)
			_, _, err := see(target)
			wantForeign(t, err)
			wantError(t, err, "a thread of process "+strconv.Itoa(seen.Pid))
			writePid(t, target, seen.Pid)
			return
		}
	}
	t.Fatal("the Go program has one thread only")
}

// A dead process that its parent did not fetch yet still has its number. It does not live.
func TestZombieIsGone(t *testing.T) {
	target := server(t)
	command := exec.Command(os.Args[0], "pidfile="+pidfile(target))
	command.Env = append(os.Environ(), role+"=serve")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	defer command.Process.Kill()
	await.True(t, "it lives", func() bool {
		_, seen, err := see(target)
		return err == nil && seen.Alive
	})
	seen := looked(t, target)
	if err := command.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.True(t, "it has ended", func() bool {
		stat, _, err := readStat(seen.Pid)
		return err == nil && stat.State == "Z"
	})
	if now := looked(t, target); now.Alive {
		t.Errorf("a zombie lives: %+v", now)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(seen.Pid)); err != nil {
		t.Errorf("it is no zombie, and this test shows nothing: %v", err)
	}
	if _, err := hold(seen.identity); err != errGone {
		t.Errorf("a zombie can be held: %v", err)
	}
}

func TestProgramOfAnotherName(t *testing.T) {
	target := with(server(t), "start", "sh -c 'exec \"$0\" pidfile=run/shop.pid' "+os.Args[0])
	named := with(target, "program", filepath.Base(os.Args[0]))
	if seen := begin(t, named); !seen.Alive {
		t.Errorf("with its program's name it is %+v", seen)
	}
	_, _, err := see(target)
	wantForeign(t, err)
	wantError(t, err, `not "sh"`, "write program: "+filepath.Base(os.Args[0]))
	endNow(t, named)
}

func TestAliveProbe(t *testing.T) {
	target, seen := running(t)
	probe := &ProbeAlive{}
	call := telemetry.ProbeCall{Target: target}
	if got := probe.Probe(t.Context(), call); got.Outcome != telemetry.OK {
		t.Errorf("while it lives: %+v", got)
	}
	watched, before := make(chan error, 1), pidfds(t)
	go func() { watched <- probe.Watch(t.Context(), call) }()
	await.True(t, "it watches", func() bool { return pidfds(t) > before })
	if err := deliver(t.Context(), seen.identity, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if got := probe.Probe(t.Context(), call); got.Outcome != telemetry.OK {
		t.Errorf("a stopped process lives, but the probe says %+v", got)
	}
	select {
	case err := <-watched:
		t.Fatalf("Watch ended with %v while the process lives", err)
	default:
	}
	endPid(t, seen.Pid)
	if err := <-watched; err != nil {
		t.Errorf("Watch: %v", err)
	}
	got := probe.Probe(t.Context(), call)
	if want := "pid " + strconv.Itoa(seen.Pid) + " is gone"; got.Outcome != telemetry.Failed || got.Message != want {
		t.Errorf("after its death: %+v, want %q", got, want)
	}
	wantError(t, probe.Watch(t.Context(), call), "is gone")
}

// pidfds is how many processes this one has a handle on.
func pidfds(t *testing.T) (n int) {
	t.Helper()
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if link, err := os.Readlink(fd); err == nil && strings.Contains(link, "pidfd") {
			n++
		}
	}
	return n
}

func TestPidfdOfAReusedNumber(t *testing.T) {
	_, seen := running(t)
	older := seen.identity
	older.Start--
	if _, err := hold(older); err != errGone {
		t.Errorf("another process of the same number can be held: %v", err)
	}
	otherBoot := seen.identity
	otherBoot.Boot = "another"
	if _, err := hold(otherBoot); err != errGone {
		t.Errorf("a process of another boot can be held: %v", err)
	}
	process, err := hold(seen.identity)
	if err != nil {
		t.Fatal(err)
	}
	defer process.close()
	endPid(t, seen.Pid)
	await.True(t, "its parent has fetched it", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(seen.Pid))
		return err != nil
	})
	if err := process.signal(unix.SIGTERM); err != errGone {
		t.Errorf("a signal to a dead process gives %v", err)
	}
}
