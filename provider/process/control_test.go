package process

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/await"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                 {},
		"./shop checkout":                  {"./shop", "checkout"},
		"  a \t b ":                        {"a", "b"},
		`a 'b c' "d e" f\ g`:               {"a", "b c", "d e", "f g"},
		`a "" ''`:                          {"a", "", ""},
		`a 'it is $5 | > "x" \n'`:          {"a", `it is $5 | > "x" \n`},
		`a "say \"hi\" to c:\dir; and \$"`: {"a", `say "hi" to c:\dir; and $`},
		`--url='http://x/?a=1&b=2'/y`:      {"--url=http://x/?a=1&b=2/y"},
	} {
		got, err := words(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, %v; want %q", line, got, err, want)
		}
	}
	for line, part := range map[string]string{
		"a 'b": "' is not closed", `a "b`: `" is not closed`, `a \`: `ends in \`, "a > b": "'>'", "a | b": "'|'",
		"a & b": "'&'", "a; b": "';'", "a $HOME": "'$'", `a "$HOME"`: "'$'", "a `b`": "'`'", "'' a": "name is empty",
	} {
		_, err := words(line)
		wantError(t, err, part)
	}
}

func TestTargetMistakes(t *testing.T) {
	good := server(t)
	for name, test := range map[string]struct {
		target jenner.Target
		parts  []string
	}{
		"unknown key":    {with(good, "pid_file", "x"), []string{"pid_file", "pidfile"}},
		"no unit":        {with(good, "grace", "5"), []string{"duration"}},
		"no pidfile":     {with(good, "pidfile", ""), []string{"pidfile is missing"}},
		"no start":       {with(good, "start", ""), []string{"start is missing"}},
		"shell":          {with(good, "stop", "a | b"), []string{"stop", "needs a shell"}},
		"another kind":   {jenner.Target{Kind: "file", Name: "flags"}, []string{"file/flags", "not a process"}},
		"program a path": {with(good, "program", "/bin/x"), []string{"program", "name alone"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(test.target)
			wantError(t, err, test.parts...)
		})
	}
}

func TestStartWaysToStart(t *testing.T) {
	t.Run("it writes its pidfile and stays", func(t *testing.T) {
		running(t)
	})
	t.Run("it stays and writes none", func(t *testing.T) {
		target := program(t, "serve")
		seen := begin(t, target)
		content, err := os.ReadFile(pidfile(target))
		if err != nil || strings.TrimSpace(string(content)) != strconv.Itoa(seen.Pid) {
			t.Errorf("the pidfile holds %q, %v; want %d", content, err, seen.Pid)
		}
	})
	t.Run("it returns and leaves a daemon", func(t *testing.T) {
		seen := begin(t, program(t, "daemon", "pidfile=run/shop.pid"))
		if !seen.Alive {
			t.Errorf("it is %+v", seen)
		}
	})
	t.Run("a dead process's pidfile lies there", func(t *testing.T) {
		target, first := running(t)
		endPid(t, first.Pid)
		if second := begin(t, target); second.identity == first.identity {
			t.Error("nothing was started")
		}
	})
}

func TestStartThatFails(t *testing.T) {
	t.Run("with its last words", func(t *testing.T) {
		target := program(t, "serve", "fail")
		_, err := ensureRunning(t.Context(), target)
		wantError(t, err, "shop did not start", "exit status 7", "the port is in use", "shop.log")
	})
	t.Run("without a program", func(t *testing.T) {
		_, err := ensureRunning(t.Context(), with(server(t), "start", "./none"))
		wantError(t, err, "shop cannot be started", "./none")
	})
	t.Run("a daemon without a pidfile", func(t *testing.T) {
		target := with(with(server(t), "start", "true"), "start_timeout", "200ms")
		_, err := ensureRunning(t.Context(), target)
		wantError(t, err, "start_timeout, 200ms", "wrote no pidfile")
	})
	t.Run("nothing of it stays", func(t *testing.T) {
		child := filepath.Join(t.TempDir(), "child.pid")
		target := with(server(t), "start", command("pidfile="+child))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := ensureRunning(ctx, target)
			ended <- err
		}()
		var pid int
		await.True(t, "it starts", func() bool {
			pid, _, _, _ = readPidfile(child)
			return pid != 0
		})
		cancel()
		wantError(t, <-ended, "context canceled")
		await.True(t, "it is gone", func() bool { return !alive(t, pid) })
		if looked(t, target).Alive {
			t.Error("the pidfile names a process")
		}
	})
}

// Two jenners, or one and its reaper, may want the same process started at the same moment.
func TestStartedAtOnceIsStartedOnce(t *testing.T) {
	target := server(t)
	var group sync.WaitGroup
	results := make([]act.Result, 4)
	for i := range results {
		group.Go(func() {
			result, err := ensureRunning(t.Context(), target)
			if err != nil {
				t.Error(err)
			}
			results[i] = result
		})
	}
	group.Wait()
	changed := 0
	for _, result := range results {
		if result.Changed {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("it was started %d times: %+v", changed, results)
	}
}

func TestRestartEndsWhatDoesNotWantTo(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		stop  bool
		extra map[string]any
		how   string
	}{
		"it ends by SIGTERM":       {nil, false, nil, "SIGTERM"},
		"it ignores SIGTERM":       {[]string{"deaf"}, false, map[string]any{"grace": "100ms"}, "SIGKILL, for it did not end within 100ms of SIGTERM"},
		"it is stopped":            {nil, true, nil, "SIGKILL, for it was stopped and could not handle SIGTERM"},
		"stopped, and ignores it":  {[]string{"deaf"}, true, nil, "SIGKILL, for it was stopped"},
		"its stop command does it": {nil, false, map[string]any{"stop": "sh -c 'kill $(cat run/shop.pid)'"}, "its stop command"},
		"its stop command fails":   {nil, false, map[string]any{"stop": "false", "grace": "100ms"}, "SIGKILL, for it did not end within 100ms of its stop command, which failed (exit status 1)"},
		"its stop command hangs":   {nil, false, map[string]any{"stop": "sleep 60", "grace": "100ms"}, "SIGKILL, for it did not end within 100ms of its stop command, which failed (it took longer than that)"},
	} {
		t.Run(name, func(t *testing.T) {
			target, first := running(t, test.flags...)
			for key, value := range test.extra {
				target = with(target, key, value)
			}
			if test.stop {
				if err := deliver(t.Context(), first.identity, unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			result, err := (&Restart{}).Do(t.Context(), act.Call{Target: target})
			if err != nil {
				t.Fatal(err)
			}
			now := looked(t, target)
			did := result.Output.(pids)
			if !now.Alive || now.identity == first.identity || did.Before != first.Pid || did.Now != now.Pid {
				t.Errorf("before %+v, now %+v, output %+v", first, now, did)
			}
			if !strings.HasPrefix(did.How, test.how) || !strings.Contains(result.Summary, "restarted, pid ") {
				t.Errorf("summary %q, how %q; want %q", result.Summary, did.How, test.how)
			}
			await.True(t, "the old one left no zombie", func() bool {
				_, err := os.Stat("/proc/" + strconv.Itoa(first.Pid))
				return err != nil
			})
		})
	}
}

func TestGraceOfTheStepGoesFirst(t *testing.T) {
	target, _ := running(t, "deaf")
	result, err := (&Stop{Grace: jenner.Duration(20 * time.Millisecond)}).Do(t.Context(), act.Call{Target: target})
	if err != nil || !strings.Contains(result.Summary, "within 20ms") {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestRestartHappened(t *testing.T) {
	target, first := running(t)
	call := act.Call{Target: target, Checkpoint: jenner.Raw(looked(t, target))}
	ask := func(want act.Happened) {
		t.Helper()
		if got, err := (&Restart{}).Happened(t.Context(), call); err != nil || got != want {
			t.Errorf("Happened is %q, %v; want %q", got, err, want)
		}
	}
	ask(act.HappenedNot) // the same process
	endPid(t, first.Pid)
	ask(act.HappenedNot) // killed, not yet started
	begin(t, target)
	ask(act.HappenedDone)
	// A process that was there before the intent is no restart's work, whatever the pidfile says.
	late := looked(t, target)
	late.identity, late.At = first.identity, late.At+100
	call.Checkpoint = jenner.Raw(late)
	ask(act.HappenedUnknown)
	late.AtBoot = "the boot before"
	call.Checkpoint = jenner.Raw(late)
	ask(act.HappenedDone)
	call.Checkpoint = nil
	if got, err := (&Restart{}).Happened(t.Context(), call); err == nil || got != act.HappenedUnknown {
		t.Errorf("without a checkpoint: %q, %v", got, err)
	}
}

func TestSignalNames(t *testing.T) {
	for name, want := range map[string]unix.Signal{"SIGHUP": unix.SIGHUP, "USR1": unix.SIGUSR1, "SIGTERM": unix.SIGTERM} {
		if got, err := signalNamed(name); err != nil || got != want {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	for name, part := range map[string]string{"SIGTERN": "SIGTERM", "HUPP": "SIGHUP", "": "missing", "9": "unknown signal", "sigterm": "unknown signal"} {
		wantError(t, (&Signal{Signal: name}).Validate(), part)
	}
}

func TestSignalHappened(t *testing.T) {
	for name, want := range map[string]struct{ before, after act.Happened }{
		"SIGSTOP":  {act.HappenedNot, act.HappenedDone},
		"SIGKILL":  {act.HappenedNot, act.HappenedDone},
		"SIGTERM":  {act.HappenedUnknown, act.HappenedDone},
		"SIGWINCH": {act.HappenedUnknown, act.HappenedUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			target, seen := running(t)
			call := act.Call{Target: target, Checkpoint: jenner.Raw(seen)}
			if got, err := (&Signal{Signal: name}).Happened(t.Context(), call); err != nil || got != want.before {
				t.Errorf("before: %q, %v; want %q", got, err, want.before)
			}
			if _, err := (&Signal{Signal: name}).Do(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			if name == "SIGTERM" {
				await.True(t, "it ends", func() bool { return !looked(t, target).Alive })
			}
			if got, err := (&Signal{Signal: name}).Happened(t.Context(), call); err != nil || got != want.after {
				t.Errorf("after: %q, %v; want %q", got, err, want.after)
			}
		})
	}
}

// What Jenner starts goes on when Jenner is killed, in a session of its own.
func TestStartedProcessOutlivesItsStarter(t *testing.T) {
	target := server(t)
	starter := startAs(t, "starter", target)
	await.True(t, "it was started", func() bool {
		_, seen, err := see(target)
		return err == nil && seen.Alive
	})
	seen := looked(t, target)
	endPid(t, starter)
	stat, living, err := readStat(seen.Pid)
	if err != nil || !living || stat.Session != seen.Pid {
		t.Errorf("after its starter's death: living %v, session %d of pid %d, %v", living, stat.Session, seen.Pid, err)
	}
	if now := looked(t, target); now.identity != seen.identity {
		t.Errorf("it is %+v, was %+v", now, seen)
	}
}
