package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

const (
	// adoptAfter is how long a command that stays in the foreground may take to write its own pidfile.
	adoptAfter = time.Second
	// lookEvery is how often the pidfile is looked at while a process starts.
	lookEvery = 5 * time.Millisecond
)

// lock keeps other jenners, such as the one that takes faults back, from starting or ending the target meanwhile.
func (t *Target) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(t.Pidfile), 0o755); err != nil {
		return nil, fmt.Errorf("the folder of pidfile %s cannot be made: %w", t.Pidfile, err)
	}
	file, err := os.OpenFile(t.Pidfile+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be locked: %w", t.name, err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("%s cannot be locked: %w", t.name, err)
		}
		if !pause(ctx, 20*time.Millisecond) {
			file.Close()
			return nil, jenner.Retryable(fmt.Errorf("another jenner is starting or ending %s: %w", t.name, context.Cause(ctx)), "")
		}
	}
}

// errUnnamed says that the command returned as if it had started the process, and no pidfile names one. There is then
// no safe way to find what it started: by now its number may be another process's.
var errUnnamed = errors.New("its command returned well, and what it started, if anything, wrote no pidfile and is left alone")

// launch starts the target and returns once its pidfile names a living process. Where that fails, nothing of what was
// started stays, but for errUnnamed. The caller has seen that nothing lives and holds the lock.
func (t *Target) launch(ctx context.Context) (sight, error) {
	if seen, over, err := t.takeOver(ctx); over || err != nil {
		return seen, err
	}
	mark, err := t.mark()
	if err != nil {
		return sight{}, err
	}
	defer mark.Close()
	log, logged, err := t.openLog()
	if err != nil {
		return sight{}, jenner.Permanent(err, "")
	}
	defer log.Close()
	command := t.command(t.start)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives us and our terminal
	command.ExtraFiles = []*os.File{mark}
	if err := command.Start(); err != nil {
		return sight{}, jenner.Permanent(fmt.Errorf("%s cannot be started: %w", t.name, err), "see the target's start and the folder it starts in")
	}
	if id, err := identityOf(command.Process.Pid); err == nil {
		_ = note(mark, jenner.Raw(id)) // not being able to only costs another jenner some waiting
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }() // also what keeps a dead child from staying a zombie
	ctx, cancel := context.WithTimeoutCause(ctx, t.startLimit, fmt.Errorf("it took longer than start_timeout, %s", t.StartTimeout))
	defer cancel()
	seen, err := t.await(ctx, command.Process.Pid, exited)
	if err != nil {
		if !errors.Is(err, errUnnamed) {
			unix.Kill(-command.Process.Pid, unix.SIGKILL) // the group of the session that we made
		}
		if said := t.tail(logged); said != "" {
			err = fmt.Errorf("%w; its last words: %s", err, said)
		}
		return sight{}, jenner.Retryable(fmt.Errorf("%s did not start: %w", t.name, err), "see "+t.Log)
	}
	_ = note(mark, []byte(started))
	return seen, nil
}

// await waits until the pidfile names a living process, and writes it for a child that stays in the foreground.
func (t *Target) await(ctx context.Context, child int, exited <-chan error) (sight, error) {
	began := time.Now()
	adopted, daemon := false, false
	for {
		seen, lookErr := t.look()
		if lookErr == nil && seen.Alive {
			return seen, nil
		}
		if !adopted && !daemon && time.Since(began) > adoptAfter {
			var err error
			if adopted, err = t.adopt(child); err != nil {
				return sight{}, err
			}
			if adopted {
				continue
			}
		}
		select {
		case err := <-exited:
			if err != nil {
				return sight{}, fmt.Errorf("its command ended with %w", err)
			}
			daemon, exited = true, nil
		case <-ctx.Done():
			if lookErr == nil {
				lookErr = errors.New(seen.Why)
			}
			if daemon {
				return sight{}, fmt.Errorf("%w: %w (%w)", errUnnamed, context.Cause(ctx), lookErr)
			}
			return sight{}, fmt.Errorf("%w (%w)", context.Cause(ctx), lookErr)
		case <-time.After(lookEvery):
		}
	}
}

// end makes the process end: asks it, and after grace ends it. how says what was needed.
func (t *Target) end(ctx context.Context, id identity, grace time.Duration) (how string, err error) {
	process, err := hold(id)
	if errors.Is(err, errGone) {
		return "it was gone", nil
	}
	if err != nil {
		return "", err
	}
	defer process.close()
	stopped, err := process.stopped()
	if err != nil && !errors.Is(err, errGone) {
		return "", err
	}
	how = "SIGKILL, for it was stopped and could not handle SIGTERM"
	if !stopped {
		asked, askErr := t.ask(ctx, process, grace)
		if errors.Is(askErr, errGone) {
			return asked, nil
		}
		if askErr != nil {
			return "", askErr
		}
		how = fmt.Sprintf("SIGKILL, for it did not end within %s of %s", grace, asked)
	}
	if err := process.signal(unix.SIGKILL); err != nil && !errors.Is(err, errGone) {
		return "", err
	}
	if err := process.wait(ctx); err != nil {
		return "", jenner.Retryable(fmt.Errorf("pid %d of %s was sent SIGKILL and still lives: %w", id.Pid, t.name, err), "a process in an uninterruptible wait ends when the wait does")
	}
	return how, nil
}

// ask asks the process to end and waits for grace: errGone where it did.
func (t *Target) ask(ctx context.Context, process *handle, grace time.Duration) (asked string, err error) {
	patience, cancel := context.WithTimeoutCause(ctx, grace, errors.New("it took longer than that"))
	defer cancel()
	asked = "SIGTERM"
	if len(t.stop) > 0 {
		asked = "its stop command"
		if err := t.runStop(patience); err != nil {
			asked = fmt.Sprintf("its stop command, which failed (%v)", err)
		}
	} else if err := process.signal(unix.SIGTERM); err != nil {
		return asked, err
	}
	switch err := process.wait(patience); {
	case err == nil:
		return asked, errGone
	case ctx.Err() != nil:
		return asked, jenner.Retryable(fmt.Errorf("%s was asked to end by %s and had not yet: %w", t.name, asked, context.Cause(ctx)), "")
	case patience.Err() == nil:
		return asked, err
	}
	return asked, nil
}

func (t *Target) runStop(ctx context.Context) error {
	log, _, err := t.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	command := t.command(t.stop)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
		unix.Kill(-command.Process.Pid, unix.SIGKILL)
		<-exited
		return context.Cause(ctx)
	}
}

func (t *Target) command(argv []string) *exec.Cmd {
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = t.dir
	command.Env = os.Environ()
	for name, value := range t.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	return command
}

// openLog opens the log for appending and tells how long it was.
func (t *Target) openLog() (*os.File, int64, error) {
	if err := os.MkdirAll(filepath.Dir(t.Log), 0o755); err != nil {
		return nil, 0, fmt.Errorf("the folder of log %s cannot be made: %w", t.Log, err)
	}
	log, err := os.OpenFile(t.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, 0, fmt.Errorf("the log of %s cannot be opened: %w", t.name, err)
	}
	info, err := log.Stat()
	if err != nil {
		log.Close()
		return nil, 0, fmt.Errorf("the log of %s cannot be opened: %w", t.name, err)
	}
	return log, info.Size(), nil
}

// tail is the last line that was logged after the log was that long.
func (t *Target) tail(from int64) string {
	log, err := os.Open(t.Log)
	if err != nil {
		return ""
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil || info.Size() <= from {
		return ""
	}
	const most = 500
	content := make([]byte, min(most, info.Size()-from))
	n, _ := log.ReadAt(content, info.Size()-int64(len(content)))
	lines := strings.Split(strings.TrimSpace(string(content[:n])), "\n")
	return lines[len(lines)-1]
}

// writePidfile writes a process id in one step, so that nobody reads half a number.
func writePidfile(path string, pid int) error {
	temporary := path + ".jenner"
	err := os.WriteFile(temporary, []byte(strconv.Itoa(pid)+"\n"), 0o644)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
		return fmt.Errorf("pidfile %s cannot be written: %w", path, err)
	}
	return nil
}

// pause lets d pass and tells whether it passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
