package archtest

import (
	"go/ast"
	"testing"
)

const (
	// maxFileLines is what can be read in one sitting.
	maxFileLines = 600
	// maxFunctionLines is what fits on one screen. Tests may be longer: a story is read from top to bottom.
	maxFunctionLines = 60
)

// TestFilesAreShort: a longer file holds two things, of which one is not found under its name.
func TestFilesAreShort(t *testing.T) {
	for _, f := range source(t) {
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, and %d are the most; split it by what it is about", f.path, f.lines, maxFileLines)
		}
	}
}

// TestFunctionsFitOnAScreen counts the lines of the body.
func TestFunctionsFitOnAScreen(t *testing.T) {
	for _, f := range source(t) {
		if f.test {
			continue
		}
		ast.Inspect(f.tree, func(node ast.Node) bool {
			name, body := "a function without a name", (*ast.BlockStmt)(nil)
			switch function := node.(type) {
			case *ast.FuncDecl:
				name, body = function.Name.Name, function.Body
			case *ast.FuncLit:
				body = function.Body
			}
			if body == nil {
				return true
			}
			if lines := f.set.Position(body.Rbrace).Line - f.set.Position(body.Lbrace).Line - 1; lines > maxFunctionLines {
				t.Errorf("%s: the body of %s has %d lines, and %d are the most", f.at(node), name, lines, maxFunctionLines)
			}
			return true
		})
	}
}
