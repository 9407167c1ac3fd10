package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/jenner-heal/jenner"

// root is the folder of the module, as seen from this package's tests.
const root = "../.."

// file is one Go file.
type file struct {
	path  string // relative to the module's root: decide/guard_mode.go
	test  bool   // a test, or a suite that only tests use
	lines int
	tree  *ast.File
	set   *token.FileSet
}

// at is `path:line` of a node.
func (f *file) at(node ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(node.Pos()).Line)
}

// dir is the package's folder, "." for the root.
func (f *file) dir() string { return filepath.ToSlash(filepath.Dir(f.path)) }

// name is the file's name without folder.
func (f *file) name() string { return filepath.Base(f.path) }

// imports are the paths that the file imports.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.tree.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// ours turns an import path into a folder of this module; false for other modules and the standard library.
func ours(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// isStandard tells whether an import path belongs to the standard library, whose first part never has a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

var read = sync.OnceValues(func() ([]*file, error) {
	var files []*file
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		// testdata is no part of the program; tools has a module of its own; bin is what was built.
		case entry.IsDir() && rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || rel == "tools" || rel == "bin"):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		files = append(files, &file{path: rel, tree: tree, set: set, lines: set.File(tree.Pos()).LineCount() - 1,
			test: strings.HasSuffix(name, "_test.go") || strings.HasPrefix(rel, "conformance/")})
		return nil
	})
	return files, err
})

// source is every Go file of the module.
func source(t *testing.T) []*file {
	t.Helper()
	files, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files were found, so that nothing here would prove anything", len(files))
	}
	return files
}

// packages are the files by folder.
func packages(t *testing.T) map[string][]*file {
	t.Helper()
	byDir := map[string][]*file{}
	for _, f := range source(t) {
		byDir[f.dir()] = append(byDir[f.dir()], f)
	}
	return byDir
}

// sortedKeys are the keys of a map, sorted, so that failures come in a steady order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
