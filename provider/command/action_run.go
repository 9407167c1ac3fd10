package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("run", "Run a command with a fixed list of arguments", func() act.Action { return &Run{} })
}

// Run runs one command to its end. There is no shell: each argument reaches the program as it is written. The command is
// the leader of a process group, and the whole group is killed when the step's time is over; what leaves the group is
// out of reach.
type Run struct {
	// Argv is the program and its arguments. A program without a slash is looked for in PATH.
	Argv []string `json:"argv"`
	// Dir is where it runs; the folder of the file that declares the target, where there is one, if not said.
	Dir string `json:"dir,omitempty"`
	// Env are variables of the environment, beside those that Jenner itself has.
	Env map[string]string `json:"env,omitempty"`
	// Idempotent says that running it twice is as running it once: then it may run again after a failure, and after a
	// crash of Jenner.
	Idempotent bool `json:"idempotent,omitempty"`
}

// ran is the output.
type ran struct {
	ExitCode int    `json:"exit_code"`        // -1 where a signal ended it
	Output   string `json:"output,omitempty"` // the last 16 KiB of standard output and error together
	Cut      bool   `json:"cut,omitempty"`    // there was more
}

// maxOutput is how much of what a command writes is kept, in bytes.
const maxOutput = 16 << 10

// Validate checks the parameters.
func (r *Run) Validate() error {
	if len(r.Argv) == 0 || r.Argv[0] == "" {
		return errors.New("argv is missing; write the program and its arguments as a list")
	}
	return nil
}

// Do runs the command. An exit code other than 0 is an error.
func (r *Run) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if err := r.Validate(); err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	var output lastBytes
	command := exec.CommandContext(ctx, r.Argv[0], r.Argv[1:]...)
	command.Dir = r.folder(call.Target)
	command.Env = os.Environ()
	for name, value := range r.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = time.Second // for what left the group and still holds the output open
	err := command.Run()
	var exit *exec.ExitError
	if command.ProcessState == nil {
		return act.Result{}, jenner.Permanent(fmt.Errorf("%s cannot be run: %w", r.Argv[0], err), "")
	}
	did := ran{command.ProcessState.ExitCode(), output.String(), output.cut}
	result := act.Result{Summary: fmt.Sprintf("%s ended with %s", r.Argv[0], command.ProcessState), Changed: true, Output: did}
	switch {
	case ctx.Err() != nil:
		return result, r.failed(fmt.Errorf("%s was killed: %w", r.Argv[0], context.Cause(ctx)))
	case errors.As(err, &exit):
		return result, r.failed(fmt.Errorf("%s: %s", result.Summary, lastLine(did.Output)))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return result, r.failed(fmt.Errorf("%s: %w", r.Argv[0], err))
	}
	return result, nil
}

func (r *Run) failed(err error) error {
	if r.Idempotent {
		return jenner.Retryable(err, "")
	}
	return jenner.Permanent(err, "")
}

// Happened cannot be known of a command that was running. An idempotent one counts as not done and runs again.
func (r *Run) Happened(context.Context, act.Call) (act.Happened, error) {
	if r.Idempotent {
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

func (r *Run) folder(target jenner.Target) string {
	if filepath.IsAbs(r.Dir) {
		return r.Dir
	}
	return filepath.Join(target.Dir, r.Dir)
}

// lastBytes keeps the last maxOutput bytes of what is written to it.
type lastBytes struct {
	kept []byte
	cut  bool
}

// Write never fails.
func (t *lastBytes) Write(more []byte) (int, error) {
	t.kept = append(t.kept, more...)
	if over := len(t.kept) - maxOutput; over > 0 {
		t.kept, t.cut = append([]byte(nil), t.kept[over:]...), true
	}
	return len(more), nil
}

// String drops the half of a character that the cut left.
func (t *lastBytes) String() string { return strings.ToValidUTF8(string(t.kept), "") }

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
