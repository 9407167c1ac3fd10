package shop

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writePidfile puts our process id at path in one step, so that a reader never sees half a number. An empty path
// means no pidfile.
func writePidfile(path string) error {
	if path == "" {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		os.Remove(temporary.Name())
	}
	return err
}

// removePidfile removes path if it still names us. A successor may have started while we finished our last requests;
// the file is its own then.
func removePidfile(path string) error {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(content)) != strconv.Itoa(os.Getpid()) {
		return nil
	}
	return os.Remove(path)
}
