package command

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("command", "Does a command end with exit code 0?", func() telemetry.Probe { return &ProbeCommand{} })
}

// drain is how long the output is still read after the command has ended or was killed.
const drain = 100 * time.Millisecond

// ProbeCommand runs a command. Exit code 0 is OK, any other and a death by signal are failed, and a command that cannot
// be started is unknown. At the timeout the whole process group is killed; it is also killed when Jenner itself dies,
// as far as the command's first process goes.
type ProbeCommand struct {
	// Argv is the program and its arguments, each as it stands: nothing is expanded. A program without a slash is
	// looked up in PATH.
	Argv []string `json:"argv"`
	// Dir is the folder the command runs in, an absolute path; / where not said, so that a probe does not depend on
	// where Jenner was started.
	Dir string `json:"dir,omitempty"`
}

// Validate checks the parameters without running anything.
func (p *ProbeCommand) Validate() error {
	switch {
	case len(p.Argv) == 0 || p.Argv[0] == "":
		return errors.New(`argv is empty; write the program and its arguments as a list, such as ["pg_isready", "-q"]`)
	case p.Dir != "" && !filepath.IsAbs(p.Dir):
		return fmt.Errorf("dir %q is relative; write an absolute path", p.Dir)
	case p.Dir == "" && strings.Contains(p.Argv[0], "/") && !filepath.IsAbs(p.Argv[0]):
		return fmt.Errorf("argv: the program %q is relative; write an absolute path, or say dir", p.Argv[0])
	case slices.ContainsFunc(p.Argv, func(word string) bool { return strings.Contains(word, "\x00") }):
		return errors.New("argv holds a zero byte, which no command can take")
	}
	return nil
}

// Probe runs the command once.
func (p *ProbeCommand) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	var output tail
	cmd := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...)
	cmd.Dir = p.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = drain
	// The kernel sends the death signal when the thread that started the command ends, so that thread is held.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		if stopped := telemetry.ResultOf(ctx, err); ctx.Err() != nil {
			return stopped
		}
		return telemetry.Result{Outcome: telemetry.Unknown, Message: fmt.Sprintf("cannot run %s in %s: %v", p.Argv[0], cmd.Dir, err)}
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		// The command has ended, but something it left behind still holds its output: the group lives.
		err = killGroup(cmd.Process.Pid)
	}
	if err == nil && cmd.ProcessState.Success() {
		return telemetry.Result{Outcome: telemetry.OK}
	}
	return telemetry.ResultOf(ctx, fmt.Errorf("%s: %s%s", p.Argv[0], cmd.ProcessState, output.said()))
}

func killGroup(leader int) error {
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing process group %d: %w", leader, err)
	}
	return nil
}

// tail keeps the end of what is written to it. One goroutine of os/exec writes, and reads after that has ended.
type tail struct{ kept []byte }

const tailBytes = 300

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = slices.Clone(t.kept[extra:])
	}
	return len(p), nil
}

func (t *tail) said() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.kept), ""))
	if text == "" {
		return ""
	}
	return ": " + text
}
