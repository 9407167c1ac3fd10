package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/strict"
)

// calls says which system calls are meant: those of some families on some files. It serves one OS thread.
type calls struct {
	paths      []string // each itself, and all below it; none: whatever the descriptor is open on
	descriptor int      // none: whatever its number is
	arguments  map[uint64][]argument
}

// families gives the calls that the words stand for.
func families(words []string) (map[uint64][]argument, error) {
	merged := map[uint64][]argument{}
	for _, word := range words {
		family, known := callFamilies[word]
		if !known {
			return nil, fmt.Errorf("unknown calls %q%s", word, strict.Hint(word, slices.Sorted(maps.Keys(callFamilies))))
		}
		for number, arguments := range family {
			merged[number] = append(merged[number], arguments...)
		}
	}
	return merged, nil
}

// meant tells whether a call at its entry is one of these. It costs a look into a map for all calls of other families.
func (c *calls) meant(tid int, call *syscallInfo) bool {
	for _, argument := range c.arguments[call.Number] {
		if argument.path == none {
			if c.meansDescriptor(tid, int32(call.Args[argument.descriptor])) {
				return true
			}
			continue
		}
		if c.descriptor != none {
			continue // what is not open yet has no descriptor
		}
		folder := int32(unix.AT_FDCWD)
		if argument.folder != none {
			folder = int32(call.Args[argument.folder])
		}
		if c.meansPath(tid, folder, call.Args[argument.path]) {
			return true
		}
	}
	return false
}

func (c *calls) meansDescriptor(tid int, number int32) bool {
	if c.descriptor != none && int(number) != c.descriptor {
		return false
	}
	if len(c.paths) == 0 {
		return true
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, number))
	return err == nil && c.below(strings.TrimSuffix(path, " (deleted)"))
}

// meansPath takes the path as the program wrote it, and as it is without symbolic links.
func (c *calls) meansPath(tid int, folder int32, address uint64) bool {
	path, err := readText(tid, address)
	if err != nil {
		return false // the kernel will find so too
	}
	if path == "" {
		return c.meansDescriptor(tid, folder) // AT_EMPTY_PATH
	}
	if !filepath.IsAbs(path) {
		from := fmt.Sprintf("/proc/%d/fd/%d", tid, folder)
		if folder == unix.AT_FDCWD {
			from = fmt.Sprintf("/proc/%d/cwd", tid)
		}
		start, err := os.Readlink(from)
		if err != nil {
			return false
		}
		path = filepath.Join(start, path)
	}
	path = filepath.Clean(path)
	if c.below(path) {
		return true
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(path))
	return err == nil && c.below(filepath.Join(real, filepath.Base(path)))
}

// below tells whether a path is one of those that are meant, or in a folder that is meant.
func (c *calls) below(path string) bool {
	for _, meant := range c.paths {
		if rest, ok := strings.CutPrefix(path, meant); ok && (rest == "" || rest[0] == '/' || meant == "/") {
			return true
		}
	}
	return false
}

// readText reads a path from a thread's memory.
func readText(tid int, address uint64) (string, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return "", err
	}
	defer memory.Close()
	text := make([]byte, unix.PathMax)
	count, err := memory.ReadAt(text, int64(address))
	if end := slices.Index(text[:count], 0); end >= 0 {
		return string(text[:end]), nil
	}
	return "", errors.Join(errors.New("a path does not end"), err)
}
