package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// blind are the stages that must not know that they are being tested.
var blind = []string{"telemetry", "detect", "diagnose", "decide"}

// telling are the words by which they could know. `default` is another word than `fault`.
var telling = []string{"drill", "drills", "experiment", "experiments", "fault", "faults", "chaos", "injected", "injection"}

// mayTell are the files in which such a word is right, with the reason.
var mayTell = map[string]map[string]string{
	"decide/guard_proof.go": {
		"drill": "it reads proofs, which earlier drills left behind; of one that is going on it knows nothing",
	},
	"decide/guard_blast.go": {
		"fault": "the ledger counts what a fault has taken away (LedgerFault), so that both together stay within the limits",
	},
}

// TestTheLineDoesNotKnowThatItIsTested: a stage that could tell a drill from real trouble could behave better in drills,
// and then they would prove nothing.
func TestTheLineDoesNotKnowThatItIsTested(t *testing.T) {
	for _, f := range source(t) {
		if f.test || !slices.Contains(blind, f.dir()) {
			continue
		}
		ast.Inspect(f.tree, func(node ast.Node) bool {
			text := ""
			switch n := node.(type) {
			case *ast.Ident:
				text = n.Name
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					text, _ = strconv.Unquote(n.Value)
				}
			}
			for _, word := range words(text) {
				if slices.Contains(telling, word) && mayTell[f.path][word] == "" {
					t.Errorf("%s: %q; %s must not know that it is being tested", f.at(node), text, f.dir())
				}
			}
			return true
		})
	}
}

// words splits `LedgerFault`, `fault_error` and `a fault holds` into lower-case words.
func words(text string) []string {
	var parted strings.Builder
	previous := ' '
	for _, r := range text {
		if unicode.IsUpper(r) && unicode.IsLower(previous) || !unicode.IsLetter(r) {
			parted.WriteByte(' ')
		}
		if unicode.IsLetter(r) {
			parted.WriteRune(unicode.ToLower(r))
		}
		previous = r
	}
	return strings.Fields(parted.String())
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"LedgerFault": "ledger fault", "DefaultAttempts": "default attempts", "since drill ": "since drill",
		"fault_error": "fault error", "isMyDrill2": "is my drill", "": "",
	} {
		if got := strings.Join(words(text), " "); got != want {
			t.Errorf("words(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestTestsDoNotSleep: a test that sleeps is slow on a good day and wrong on a bad one. In the bubble of testing/synctest
// sleeping takes no time and is exact, so that files which use it may.
func TestTestsDoNotSleep(t *testing.T) {
	for _, f := range source(t) {
		if !f.test || slices.Contains(f.imports(), "testing/synctest") {
			continue
		}
		calls(f, func(call *ast.CallExpr, of, name string) {
			if of == "time" && name == "Sleep" {
				t.Errorf("%s: a test sleeps; poll a condition with a deadline, or use testing/synctest", f.at(call))
			}
		})
	}
}

// TestNothingIsSkipped: a skipped test looks like one that passed.
func TestNothingIsSkipped(t *testing.T) {
	for _, f := range source(t) {
		if !f.test {
			continue
		}
		calls(f, func(call *ast.CallExpr, of, name string) {
			skips := of != "" && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name)
			if skips || of == "testing" && name == "Short" {
				t.Errorf("%s: %s.%s; a test that cannot run here must say so by failing", f.at(call), of, name)
			}
		})
	}
}

// calls visits every call of the form of.name(...).
func calls(f *file, visit func(call *ast.CallExpr, of, name string)) {
	ast.Inspect(f.tree, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
			if of, ok := selector.X.(*ast.Ident); ok {
				visit(call, of.Name, selector.Sel.Name)
			}
		}
		return true
	})
}
