package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile is the size beyond which a file is refused; people do not write more by hand.
const maxFile = 4 << 20

// found are the files below some paths, each once.
type found struct {
	files    []string
	folders  []string
	seen     map[string]bool // by real path, so that symbolic links cannot lead in circles
	met      int             // files and problems met, those that were met before included
	problems Problems
}

// find lists the YAML files below the paths, sorted within each path. A path that is a file is taken whatever its name.
func find(paths []string) *found {
	list := &found{seen: map[string]bool{}}
	for _, path := range paths {
		list.path(path, true)
	}
	if len(paths) == 0 {
		list.problems = append(list.problems, Problem{Message: "no folder was named; say where the files are"})
	}
	return list
}

func (f *found) path(path string, named bool) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !named && !isYAML(path) {
		return
	}
	real := path
	if err == nil {
		real, err = filepath.EvalSymlinks(path)
	}
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		if named || isYAML(path) {
			f.problems = append(f.problems, Problem{File: path, Message: "cannot be read: " + cause(err)})
		}
		return
	}
	if !info.IsDir() {
		f.met++
	}
	switch {
	case f.seen[real]:
	case info.IsDir():
		f.seen[real] = true
		before := f.met + len(f.problems)
		f.folder(path)
		if named && f.met+len(f.problems) == before {
			f.problems = append(f.problems, Problem{File: path, Message: "there is no .yaml or .yml file in this folder"})
		}
	default:
		f.seen[real] = true
		f.files = append(f.files, path)
	}
}

func (f *found) folder(path string) {
	f.folders = append(f.folders, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		f.problems = append(f.problems, Problem{File: path, Message: "cannot be read: " + cause(err)})
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			f.path(filepath.Join(path, entry.Name()), false)
		}
	}
}

func isYAML(path string) bool {
	extension := filepath.Ext(path)
	return extension == ".yaml" || extension == ".yml"
}

// read reads one file, which may not be huge and may not be a device or a pipe that never ends.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("it has %d bytes; more than %d are refused", info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// cause is an error without the path, which the problem already names.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
