package command

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
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
// be started is unknown. What it writes to its standard output is its answer, without blanks around it; of more than 16 KiB
// a checksum. At the timeout the whole process group is killed; it is also killed when Jenner itself dies,
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
	var answer whole
	cmd := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...)
	cmd.Dir = p.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&answer, &output), &output
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
		return telemetry.Result{Outcome: telemetry.OK, Answer: answer.said()}
	}
	return telemetry.ResultOf(ctx, fmt.Errorf("%s: %s%s", p.Argv[0], cmd.ProcessState, output.said()))
}

func killGroup(leader int) error {
	if err := syscall.Kill(-leader, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing process group %d: %w", leader, err)
	}
	return nil
}

// whole keeps what is written to it, and of more than answerBytes a checksum, so that two answers can still be compared.
type whole struct {
	kept []byte
	size int64
	sum  hash.Hash
}

const answerBytes = 16 << 10

// Write never fails.
func (w *whole) Write(p []byte) (int, error) {
	if w.sum == nil {
		w.sum = sha256.New()
	}
	w.sum.Write(p)
	w.size += int64(len(p))
	w.kept = append(w.kept, p[:min(len(p), max(0, answerBytes-len(w.kept)))]...)
	return len(p), nil
}

func (w *whole) said() string {
	if w.size > answerBytes {
		return fmt.Sprintf("sha256:%x of %d bytes", w.sum.Sum(nil), w.size)
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(w.kept), ""))
}

// tail keeps the end of what is written to it. The goroutines of os/exec write, one for each stream.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 300

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailBytes; extra > 0 {
		t.kept = slices.Clone(t.kept[extra:])
	}
	return len(p), nil
}

func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.kept), ""))
	if text == "" {
		return ""
	}
	return ": " + text
}
