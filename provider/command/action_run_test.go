package command

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/await"
)

// sleeper is a command that tells its own id and its child's in a file and then waits for long.
func sleeper(file string) []string {
	return []string{"sh", "-c", `sleep 60 & echo "$$ $!" > "$0.new"; mv "$0.new" "$0"; wait`, file}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestRunConforms(t *testing.T) {
	for name, test := range map[string]struct {
		idempotent bool
		known      act.Happened
	}{"idempotent": {true, act.HappenedNot}, "not": {false, act.HappenedUnknown}} {
		t.Run(name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				argv := []string{"true"}
				return actiontest.World{
					Action:      func() act.Action { return &Run{Argv: argv, Idempotent: test.idempotent} },
					KnownBefore: test.known, KnownAfter: test.known,
					Block: func(t *testing.T) func() bool {
						file := filepath.Join(t.TempDir(), "pids")
						argv = sleeper(file)
						return func() bool { return exists(file) }
					},
				}
			})
		})
	}
}

func TestRunGivesItsArgumentsAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	run := &Run{Argv: []string{"sh", "-c", `printf '%s|' "$PWD" "$NAME" "$@"`, "sh", "$HOME", "a b", "*", ">x"}, Dir: ".", Env: map[string]string{"NAME": "v"}}
	result, err := run.Do(t.Context(), act.Call{Target: jenner.Target{Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	real, _ := filepath.EvalSymlinks(dir)
	if got, want := result.Output.(ran), (ran{Output: real + "|v|$HOME|a b|*|>x|"}); got != want {
		t.Errorf("output %+v, want %+v", got, want)
	}
}

func TestRunThatFails(t *testing.T) {
	run := &Run{Argv: []string{"sh", "-c", "echo out; echo why >&2; exit 3"}}
	result, err := run.Do(t.Context(), act.Call{})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: why") || jenner.NextAfter(err) != jenner.NeverMind {
		t.Errorf("error %v, after which comes %q", err, jenner.NextAfter(err))
	}
	if got, want := result.Output.(ran), (ran{ExitCode: 3, Output: "out\nwhy\n"}); got != want {
		t.Errorf("output %+v, want %+v", got, want)
	}
	run.Idempotent = true
	if _, err := run.Do(t.Context(), act.Call{}); jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("an idempotent one: %v", err)
	}
	if _, err := (&Run{Argv: []string{"./none"}}).Do(t.Context(), act.Call{}); err == nil || !strings.Contains(err.Error(), "./none cannot be run") {
		t.Errorf("without a program: %v", err)
	}
	if (&Run{}).Validate() == nil || (&Run{Argv: []string{""}}).Validate() == nil {
		t.Error("a command without a program is accepted")
	}
}

func TestRunKeepsTheEndOfTheOutput(t *testing.T) {
	result, err := (&Run{Argv: []string{"sh", "-c", `head -c 100000 /dev/zero | tr '\0' x; printf 'ä the end'`}}).Do(t.Context(), act.Call{})
	if err != nil {
		t.Fatal(err)
	}
	got := result.Output.(ran)
	if len(got.Output) != maxOutput || !got.Cut || !strings.HasSuffix(got.Output, "xä the end") {
		t.Errorf("%d bytes, cut %v, ending in %q", len(got.Output), got.Cut, got.Output[len(got.Output)-20:])
	}
	var half lastBytes
	half.Write([]byte("ä" + strings.Repeat("x", maxOutput-1)))
	if text := half.String(); text != strings.Repeat("x", maxOutput-1) {
		t.Errorf("half a character is left at the cut: %q", text[:4])
	}
}

// When its time is over, the command ends with all its children.
func TestRunEndsItsWholeGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := (&Run{Argv: sleeper(file)}).Do(ctx, act.Call{})
		ended <- err
	}()
	await.True(t, "it runs", func() bool { return exists(file) })
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "was killed: context canceled") {
		t.Errorf("error %v", err)
	}
	for _, word := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(word)
		await.True(t, "process "+word+" is gone", func() bool {
			stat, err := os.ReadFile("/proc/" + word + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil
		})
	}
}
