package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// realPath follows symbolic links to the file that is meant; exists is false where there is none.
func realPath(path string) (real string, exists bool, err error) {
	real, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, linkErr := os.Lstat(path); linkErr == nil {
			return "", false, fmt.Errorf("%s is a symbolic link to a file that is not there", path)
		}
		return path, false, nil
	}
	return real, err == nil, err
}

// errMeanwhile says that somebody else wrote the file after it was read.
var errMeanwhile = errors.New("somebody else changed the file meanwhile")

// replace puts content in the place of a file in one step: a reader sees the old file or the new one, also after a
// crash. Mode and owner stay; read is the file as it was when it was read, nil where there was none.
func replace(path string, content []byte, read os.FileInfo) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	defer func() {
		temporary.Close()
		if err != nil {
			os.Remove(temporary.Name())
		}
	}()
	if err := dress(temporary, read); err != nil {
		return fmt.Errorf("mode and owner of %s cannot be kept: %w", path, err)
	}
	if _, err := temporary.Write(content); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if err := temporary.Sync(); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = nil, nil
	}
	if err != nil {
		return err
	}
	if !sameFile(read, now) {
		return errMeanwhile
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return fmt.Errorf("%s cannot be replaced: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

func sameFile(read, now os.FileInfo) bool {
	if read == nil || now == nil {
		return read == nil && now == nil
	}
	return os.SameFile(read, now) && read.Size() == now.Size() && read.ModTime().Equal(now.ModTime())
}

// dress gives the new file the mode and the owner of the old one.
func dress(file *os.File, like os.FileInfo) error {
	if like == nil {
		return file.Chmod(0o644)
	}
	if err := file.Chmod(like.Mode().Perm()); err != nil {
		return err
	}
	own, err := file.Stat()
	if err != nil {
		return err
	}
	want, wantOK := like.Sys().(*syscall.Stat_t)
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
