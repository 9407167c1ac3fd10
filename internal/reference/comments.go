package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// comments reads what the source says of types and their fields.
type comments struct {
	source   string
	packages map[string]map[string]structComments // import path, then name of the type
	errs     []error
}

// structComments are the comments of one type.
type structComments struct {
	doc    string
	fields map[string]string // by name of the Go field
	file   string            // relative to the source
}

// of are the comments of a type. What cannot be found is an error of the whole run, for a page without its words would
// look as if there was nothing to say.
func (c *comments) of(t reflect.Type) structComments {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	types, read := c.packages[t.PkgPath()]
	if !read {
		types = c.read(t.PkgPath())
		c.packages[t.PkgPath()] = types
	}
	found, ok := types[t.Name()]
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("type %s is not in the source below %s", t, c.source))
	}
	return found
}

func (c *comments) read(path string) map[string]structComments {
	types := map[string]structComments{}
	folder := strings.TrimPrefix(strings.TrimPrefix(path, modulePath), "/")
	dir := filepath.Join(c.source, filepath.FromSlash(folder))
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("the source of %s cannot be read: %w", path, err))
		return types
	}
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		collect(tree, filepath.ToSlash(filepath.Join(folder, name)), types)
	}
	return types
}

const modulePath = "github.com/jenner-heal/jenner"

func collect(tree *ast.File, file string, types map[string]structComments) {
	for _, declaration := range tree.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		for _, spec := range group.Specs {
			declared := spec.(*ast.TypeSpec)
			doc := declared.Doc
			if doc == nil && !group.Lparen.IsValid() {
				doc = group.Doc
			}
			found := structComments{doc: line(doc.Text()), fields: map[string]string{}, file: file}
			if structure, ok := declared.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					for _, name := range field.Names {
						found.fields[name.Name] = line(field.Doc.Text() + " " + field.Comment.Text())
					}
				}
			}
			types[declared.Name.Name] = found
		}
	}
}

// line puts a comment on one line.
func line(comment string) string { return strings.Join(strings.Fields(comment), " ") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
