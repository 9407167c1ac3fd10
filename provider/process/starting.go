package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// A start has a moment in which the command runs and no pidfile names its process yet. Whoever dies in that moment must
// not leave the next jenner to start a second one. So each start has a mark: a locked file whose lock the command
// inherits, and with it whatever it starts. While the lock is held and the mark does not say that the start has come to
// its end, the start is under way, whoever began it.

// started is what the mark says once the pidfile names the process.
const started = "started"

func (t *Target) markPath() string { return t.Pidfile + ".starting" }

// mark begins a start. The file is to be handed to the command. A mark that is still locked is that of a start whose
// time is over; it is left to those who hold it and made anew.
func (t *Target) mark() (*os.File, error) {
	for again := range 2 {
		file, err := os.OpenFile(t.markPath(), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, fmt.Errorf("the start of %s cannot be marked: %w", t.name, err)
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, file.Truncate(0)
		}
		file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) || again > 0 {
			return nil, fmt.Errorf("the start of %s cannot be marked: %w", t.name, err)
		}
		if err := os.Remove(t.markPath()); err != nil {
			return nil, fmt.Errorf("the start of %s cannot be marked: %w", t.name, err)
		}
	}
	return nil, errors.New("unreachable")
}

// note writes into a mark which process the command is, or that the start has come to its end.
func note(mark *os.File, text []byte) error {
	if err := mark.Truncate(0); err != nil {
		return err
	}
	_, err := mark.WriteAt(text, 0)
	return err
}

// underWay tells whether somebody's start of the target goes on, since when, and which process its command is, as far as
// that was noted.
func (t *Target) underWay() (since time.Time, command identity, yes bool, err error) {
	file, err := os.Open(t.markPath())
	if errors.Is(err, fs.ErrNotExist) {
		return since, command, false, nil
	}
	if err != nil {
		return since, command, false, fmt.Errorf("the mark of a start of %s cannot be read: %w", t.name, err)
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		return since, command, false, nil // nobody holds it
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return since, command, false, fmt.Errorf("the mark of a start of %s cannot be read: %w", t.name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return since, command, false, err
	}
	text := make([]byte, 256)
	n, _ := file.Read(text)
	if string(text[:n]) == started {
		return since, command, false, nil
	}
	return info.ModTime(), commandIn(text[:n]), time.Since(info.ModTime()) <= t.startLimit, nil
}

// commandIn is the process that a mark names; the zero identity where it was not noted yet, or not whole.
func commandIn(mark []byte) identity {
	var command identity
	if json.Unmarshal(mark, &command) != nil || !command.possible() {
		return identity{}
	}
	return command
}

// takeOver waits for a start that somebody else began and cannot end any more. It gives the living process, or false
// where that start came to nothing, so that a new one may begin.
func (t *Target) takeOver(ctx context.Context) (sight, bool, error) {
	for {
		seen, err := t.look()
		if err != nil || seen.Alive {
			return seen, err == nil, err
		}
		since, command, yes, err := t.underWay()
		if err != nil || !yes {
			return sight{}, false, errors.Join(err, t.abandon(command))
		}
		if command.Pid > 0 && time.Since(since) > adoptAfter {
			if _, err := t.adopt(command.Pid); err != nil {
				return sight{}, false, err
			}
		}
		if !pause(ctx, lookEvery) {
			return sight{}, false, jenner.Retryable(fmt.Errorf("a start of %s goes on: %w", t.name, context.Cause(ctx)), "")
		}
	}
}

// abandon ends the command of a start whose time is over, with the group that was made for it.
func (t *Target) abandon(command identity) error {
	if command.Pid == 0 {
		return nil
	}
	process, err := hold(command)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer process.close()
	unix.Kill(-command.Pid, unix.SIGKILL)
	return nil
}

// adopt writes the pidfile for a command that stays in the foreground and is the program itself.
func (t *Target) adopt(child int) (adopted bool, err error) {
	stat, living, err := readStat(child)
	if err != nil || !living {
		return false, err
	}
	if whose, err := t.foreign(child, stat); err != nil || whose != "" {
		return false, nil // not the program, or not to be told: it is left to write its own
	}
	return true, writePidfile(t.Pidfile, child)
}

// errStarting is why nobody can tell yet what became of a start or a restart.
func (t *Target) errStarting() error {
	_, _, yes, err := t.underWay()
	if err == nil && yes {
		err = jenner.Retryable(fmt.Errorf("a start of %s goes on", t.name), "")
	}
	return err
}
