package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/telemetry"
)

func run(argv ...string) probetest.Setup {
	return func(*testing.T) (telemetry.Probe, telemetry.ProbeCall) {
		return &ProbeCommand{Argv: argv}, telemetry.ProbeCall{}
	}
}

func TestProbeCommand(t *testing.T) {
	probetest.Run(t, probetest.Suite{
		OK:      run("true"),
		Failing: run("sh", "-c", "echo the disk is on fire >&2; exit 3"),
		Hanging: run("sleep", "3600"),
		Wrong: map[string]telemetry.Probe{
			"empty":            &ProbeCommand{},
			"empty program":    &ProbeCommand{Argv: []string{""}},
			"relative program": &ProbeCommand{Argv: []string{"./check"}},
			"relative dir":     &ProbeCommand{Argv: []string{"true"}, Dir: "run"},
			"zero byte":        &ProbeCommand{Argv: []string{"echo", "a\x00b"}},
		},
	})
}

func TestProbeCommandAnswers(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name  string
		probe ProbeCommand
		want  telemetry.Outcome
		says  string
	}{
		{"what it printed is in the message", ProbeCommand{Argv: []string{"sh", "-c", "echo the disk is on fire; exit 3"}}, telemetry.Failed, "exit status 3: the disk is on fire"},
		{"only the end of a long output", ProbeCommand{Argv: []string{"sh", "-c", "yes x | head -c 9000; echo END; exit 1"}}, telemetry.Failed, "END"},
		{"a signal", ProbeCommand{Argv: []string{"sh", "-c", "kill -9 $$"}}, telemetry.Failed, "signal: killed"},
		{"a program that is not there", ProbeCommand{Argv: []string{"no-such-program-here"}}, telemetry.Unknown, "no-such-program-here"},
		{"a folder that is not there", ProbeCommand{Argv: []string{"true"}, Dir: dir + "/gone"}, telemetry.Unknown, "gone"},
		{"nothing is expanded", ProbeCommand{Argv: []string{"test", "$HOME", "=", "$" + "HOME"}}, telemetry.OK, ""},
		{"it runs in its folder", ProbeCommand{Argv: []string{"sh", "-c", `test "$PWD" = "` + dir + `"`}, Dir: dir}, telemetry.OK, ""},
		{"and in / where none is said", ProbeCommand{Argv: []string{"sh", "-c", `test "$PWD" = /`}}, telemetry.OK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			got := tc.probe.Probe(ctx, telemetry.ProbeCall{})
			if got.Outcome != tc.want || !strings.Contains(got.Message, tc.says) {
				t.Errorf("got %+v, want %s with %q", got, tc.want, tc.says)
			}
			if len(got.Message) > 500 {
				t.Errorf("the message has %d bytes", len(got.Message))
			}
		})
	}
}

// What a command writes to its standard output is its answer; of a long one a checksum, so that two can be compared.
func TestProbeCommandGivesAnAnswer(t *testing.T) {
	ask := func(script string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		result := (&ProbeCommand{Argv: []string{"sh", "-c", script}}).Probe(ctx, telemetry.ProbeCall{})
		if result.Outcome != telemetry.OK {
			t.Fatalf("%s: %+v", script, result)
		}
		return result.Answer
	}
	for script, want := range map[string]string{"echo ' 4711 '": "4711", "echo out; echo err >&2": "out", "true": "", "printf 'a\\nb'": "a\nb"} {
		if got := ask(script); got != want {
			t.Errorf("%s: the answer is %q, want %q", script, got, want)
		}
	}
	long := ask("yes x | head -c 100000")
	if !strings.HasPrefix(long, "sha256:") || !strings.HasSuffix(long, " of 100000 bytes") || long == ask("yes x | head -c 99999; printf y") {
		t.Errorf("a long answer is %q", long)
	}
}

// A command's children are of its process group and die with it, at the timeout as well as when it leaves them behind
// with its output open.
func TestProbeCommandLeavesNoProcess(t *testing.T) {
	for name, script := range map[string]string{
		"at the timeout":  `sleep 3600 & echo $! > "$1"; wait`,
		"after a success": `sleep 3600 & echo $! > "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			pidfile := filepath.Join(t.TempDir(), "child.pid")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				(&ProbeCommand{Argv: []string{"sh", "-c", script, "sh", pidfile}}).Probe(ctx, telemetry.ProbeCall{})
			}()
			child := 0
			await.True(t, "the child to start", func() bool {
				text, _ := os.ReadFile(pidfile) //nolint:errcheck // not there yet
				child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
				return child > 0
			})
			if name == "at the timeout" {
				cancel()
			}
			<-done
			await.True(t, "the child to die", func() bool { return !lives(child) })
		})
	}
}

// lives is false for a zombie: where the tests run in a container, nobody may collect it.
func lives(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
