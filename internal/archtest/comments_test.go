package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// saysWhatNot finds the sentence that draws a package's border.
var saysWhatNot = regexp.MustCompile(`(?i)\bnot for\b|\bIt is not\b`)

// TestPackageComments: a package that does not say what it is not for will be given what has no other place.
func TestPackageComments(t *testing.T) {
	byDir := packages(t)
	for _, dir := range sortedKeys(byDir) {
		var comments []string
		var where string
		for _, f := range byDir[dir] {
			if f.tree.Doc != nil {
				comments = append(comments, f.tree.Doc.Text())
				where = f.path
			}
		}
		switch {
		case len(comments) == 0:
			t.Errorf("%s has no package comment; say what it is for and what it is not for", dir)
		case len(comments) > 1:
			t.Errorf("%s has %d package comments; which of them is right?", dir, len(comments))
		case !saysWhatNot.MatchString(strings.Join(strings.Fields(comments[0]), " ")):
			t.Errorf("%s: the package comment does not say what the package is not for", where)
		}
	}
}

// TestExportedThingsAreExplained: what others may use has a comment. One comment may serve a group of constants,
// variables or one-method interfaces; what stands in a group without one needs its own.
func TestExportedThingsAreExplained(t *testing.T) {
	for _, f := range source(t) {
		if strings.HasSuffix(f.name(), "_test.go") || f.tree.Name.Name == "main" {
			continue // nobody can import these
		}
		for _, declaration := range f.tree.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && receiverIsExported(d) {
					t.Errorf("%s: exported %s has no comment", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				unexplained(d, func(name *ast.Ident) { t.Errorf("%s: exported %s has no comment", f.at(name), name.Name) })
			}
		}
	}
}

// receiverIsExported is true for functions too; nobody outside can call a method of an unexported type by name.
func receiverIsExported(function *ast.FuncDecl) bool {
	if function.Recv == nil {
		return true
	}
	receiver := function.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}

func unexplained(group *ast.GenDecl, report func(*ast.Ident)) {
	for _, spec := range group.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (group.Doc == nil || isBareGroup(group)) {
				report(s.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && group.Doc == nil {
					report(name)
				}
			}
		}
	}
}

// isBareGroup is a group of types: each of them is a thing of its own.
func isBareGroup(group *ast.GenDecl) bool { return group.Tok == token.TYPE && group.Lparen.IsValid() }
