package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"golang.org/x/sys/unix"
)

// LockFile says in the data directory which process holds the lock. The lock itself is the kernel's: it ends with the
// process, so that a file left behind by a killed one keeps nobody out.
const LockFile = "lock"

func makeDir(dir string) error {
	_, err := os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if errors.Is(err, unix.ENOTDIR) {
			return jenner.Permanent(fmt.Errorf("the data directory %s cannot be made, for there is a file in its place: %w", dir, err),
				"choose another data directory with --data")
		}
		return jenner.Permanent(fmt.Errorf("the data directory %s cannot be made: %w", dir, err),
			"let the user that runs jenner write there, or choose another data directory with --data")
	}
	if !fresh {
		return nil
	}
	// What is in a directory survives a power cut only where the directory's own name does.
	above, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return fmt.Errorf("the data directory %s: %w", dir, err)
	}
	return errors.Join(above.Sync(), above.Close())
}

// takeLock takes the lock of a data directory for as long as the file is open.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, LockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("the lock of the data directory: %w", err),
			"let the user that runs jenner write there, or choose another data directory with --data")
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		held := inUse(file, err)
		return nil, errors.Join(held, file.Close())
	}
	text := fmt.Sprintf("pid %d since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	_, err = file.WriteAt([]byte(text), 0)
	if err := errors.Join(err, file.Truncate(int64(len(text)))); err != nil {
		return nil, errors.Join(fmt.Errorf("the lock %s cannot be written: %w", path, err), file.Close())
	}
	return file, nil
}

// inUse is the error of a lock that another process holds, with what that one has written down.
func inUse(file *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("the lock %s: %w; the data directory must be on a local file system", file.Name(), err)
	}
	holder, err := io.ReadAll(file)
	who := strings.TrimSpace(string(holder))
	if err != nil || who == "" {
		who = "it has not yet said which" // between taking the lock and writing it down
	}
	return jenner.ForHuman(fmt.Errorf("%s: %w (%s)", filepath.Dir(file.Name()), jenner.ErrInUse, who),
		"stop that process, or choose another data directory with --data")
}

func giveLockBack(file *os.File) error {
	return errors.Join(file.Truncate(0), file.Close())
}

// alone waits until no other process opens the same data directory, and keeps the next one waiting until release.
func alone(dir string) (release func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("the data directory: %w", err),
			"let the user that runs jenner read and write it, or choose another one with --data")
	}
	for {
		err := unix.Flock(int(folder.Fd()), unix.LOCK_EX)
		if err == nil {
			return func() { _ = folder.Close() }, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("the data directory %s cannot be locked: %w; use a local file system", dir, err), folder.Close())
		}
	}
}
