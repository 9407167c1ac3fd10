package git

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jenner-heal/jenner"
)

// maxLive is how large a live file may be: more is no configuration.
const maxLive = 4 << 20

// live is the live file at one moment.
type live struct {
	path    string // without symbolic links
	exists  bool
	content []byte
	info    os.FileInfo
}

func readLive(path string) (live, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, linkErr := os.Lstat(path); linkErr == nil {
			return live{}, jenner.Permanent(fmt.Errorf("%s is a symbolic link to a file that is not there", path), "")
		}
		return live{path: path}, nil
	}
	if err != nil {
		return live{}, err
	}
	now := live{path: real, exists: true}
	now.info, err = os.Stat(real)
	switch {
	case err != nil:
		return now, err
	case !now.info.Mode().IsRegular():
		return now, jenner.Permanent(fmt.Errorf("%s is no regular file", real), "")
	case now.info.Size() > maxLive:
		return now, jenner.Permanent(fmt.Errorf("%s has %d bytes, and at most %d are compared", real, now.info.Size(), maxLive), "")
	}
	now.content, err = os.ReadFile(real)
	return now, err
}

// fingerprint names the content and the mode.
func (l live) fingerprint() string {
	if !l.exists {
		return "absent"
	}
	return l.hash() + " " + l.info.Mode().String()
}

func (l live) hash() string {
	sum := sha256.Sum256(l.content)
	return hex.EncodeToString(sum[:])
}

// put puts content in the live file's place in one step, if the file is still the one that was read: a reader sees the
// old file or the new one, also after a crash. Mode and owner stay; a new file gets the mode.
func (l live) put(content []byte, mode os.FileMode) (err error) {
	part, err := os.CreateTemp(filepath.Dir(l.path), "."+filepath.Base(l.path)+".*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", l.path, err)
	}
	defer func() {
		part.Close()
		if err != nil {
			os.Remove(part.Name())
		}
	}()
	if err := l.dress(part, mode); err != nil {
		return fmt.Errorf("mode and owner of %s cannot be kept: %w", l.path, err)
	}
	if _, err = part.Write(content); err == nil {
		err = part.Sync()
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", l.path, err)
	}
	if err := l.same(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), l.path); err != nil {
		return fmt.Errorf("%s cannot be replaced: %w", l.path, err)
	}
	return syncFolder(filepath.Dir(l.path))
}

// remove takes the live file away, if it is still the one that was read.
func (l live) remove() error {
	if err := l.same(); err != nil {
		return err
	}
	if err := os.Remove(l.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(l.path))
}

// same is errMeanwhile where the file is not any more the one that was read.
func (l live) same() error {
	now, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) && !l.exists {
		return nil
	}
	if err == nil && l.exists && os.SameFile(l.info, now) && l.info.Size() == now.Size() && l.info.ModTime().Equal(now.ModTime()) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errMeanwhile
}

// dress gives the new file the mode and the owner of the old one.
func (l live) dress(file *os.File, mode os.FileMode) error {
	if !l.exists {
		return file.Chmod(mode)
	}
	if err := file.Chmod(l.info.Mode().Perm()); err != nil {
		return err
	}
	own, err := file.Stat()
	if err != nil {
		return err
	}
	want, wantOK := l.info.Sys().(*syscall.Stat_t)
	have, haveOK := own.Sys().(*syscall.Stat_t)
	if !wantOK || !haveOK || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}

// syncFolder makes a rename or a removal last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
