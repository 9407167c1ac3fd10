package file

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// place is the file that a fault is for.
type place struct {
	name string // as people wrote it; what it ends in tells the format
	real string // without symbolic links
	info os.FileInfo
}

// located finds the file that a fault is for. A target of kind file names it as its path, and a target of another kind,
// such as a file that is kept in Git, as its file.
func located(target jenner.Target) (place, error) {
	key := "file"
	if target.Kind == "file" {
		key = "path"
	}
	var path string
	if err := json.Unmarshal(target.Params[key], &path); err != nil || path == "" {
		return place{}, jenner.Permanent(fmt.Errorf("target %s names no file", target.Ref()),
			"break a target of kind file, or one that has a file of its own")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(target.Dir, path)
	}
	real, exists, err := realPath(path)
	if err == nil && !exists {
		err = fmt.Errorf("file %s is not there", path)
	}
	if err != nil {
		return place{}, jenner.Permanent(err, "")
	}
	info, err := os.Stat(real)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", real)
	}
	if err != nil {
		return place{}, jenner.Permanent(err, "")
	}
	return place{name: path, real: real, info: info}, nil
}

// writable refuses a file that this process may not write, before anything is broken that it could not mend.
func writable(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return jenner.Permanent(fmt.Errorf("%s cannot be written: %w", path, err), "run as its owner, or with CAP_DAC_OVERRIDE (root)")
	}
	return nil
}

// replaceable refuses a file that this process may not replace by one of the same owner.
func (p place) replaceable() error {
	if err := writable(filepath.Dir(p.real)); err != nil {
		return err
	}
	if stat, ok := p.info.Sys().(*syscall.Stat_t); ok && os.Geteuid() != 0 && int(stat.Uid) != os.Geteuid() {
		return jenner.Permanent(fmt.Errorf("%s belongs to user %d, and a new file could not be given to that one", p.real, stat.Uid),
			"needs CAP_CHOWN; run as its owner, or as root")
	}
	return nil
}

// printed names content together with the mode and the owner of its file.
func printed(content []byte, info os.FileInfo) string {
	owner := ""
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = fmt.Sprintf(" %d:%d", stat.Uid, stat.Gid)
	}
	return hashed(content) + " " + info.Mode().String() + owner
}

func hashed(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// brief is the beginning of a hash, for people.
func brief(hash string) string { return hash[:min(12, len(hash))] }

// checkpointed reads what a fault kept of the state before.
func checkpointed[T any](raw json.RawMessage) (kept T, err error) {
	if len(raw) == 0 {
		return kept, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(raw, &kept); err != nil {
		return kept, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return kept, nil
}

// swap puts content in the place of a file in one step, as replace does. The file that it is made from bears the mark,
// so that sweep finds it where this process is killed in between.
func swap(path, mark string, content []byte, read os.FileInfo) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), partOf(path, mark)+"*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	defer func() {
		part.Close()
		if err != nil {
			os.Remove(part.Name())
		}
	}()
	if err := dress(part, read); err != nil {
		return fmt.Errorf("mode and owner of %s cannot be kept: %w", path, err)
	}
	if _, err = part.Write(content); err == nil {
		err = part.Sync()
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !sameFile(read, now) {
		return errMeanwhile
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return fmt.Errorf("%s cannot be replaced: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// sweep removes what a swap with that mark left behind when it was killed.
func sweep(path, mark string) error {
	left, err := filepath.Glob(quoteGlob(filepath.Join(filepath.Dir(path), partOf(path, mark))) + "*")
	for _, part := range left {
		if gone := os.Remove(part); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// partOf is the beginning of the names of the files that a fault makes beside its own.
func partOf(path, mark string) string {
	return "." + filepath.Base(path) + ".jenner-" + jenner.Fingerprint(mark) + "-"
}

// quoteGlob makes a name stand for itself in a pattern of filepath.Match.
func quoteGlob(name string) string {
	var quoted []byte
	for _, c := range []byte(name) {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, c)
	}
	return string(quoted)
}
