package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// capability is what one method of a provider's table registers, and how its file and its type are called.
type capability struct {
	file     string // in front of the name in the file's name
	typeName string // in front of the name in the type's name
}

var capabilities = map[string]capability{
	"Action":   {"action_", ""},
	"Fault":    {"fault_", "Fault"},
	"Probe":    {"probe_", "Probe"},
	"Source":   {"source_", "Source"},
	"Observer": {"observer_", "Observer"},
	"Notifier": {"notifier_", "Notifier"},
	"Target":   {"target_", "Target"},
}

// registration is one call such as Provider.Action("restart", …).
type registration struct {
	kind, name string
	call       *ast.CallExpr
}

// TestTheGuessingRule: who reads `process.restart` in a runbook finds it, without a search, as type Restart in
// provider/process/action_restart.go. Faults are FaultX in fault_x.go; probes, notifiers and kinds of targets likewise. A
// kind that has its provider's name is Target in target.go.
func TestTheGuessingRule(t *testing.T) {
	found := 0
	for _, f := range source(t) {
		if f.test || !strings.HasPrefix(f.path, "provider/") {
			continue
		}
		all := registrations(f)
		found += len(all)
		if len(all) > 1 {
			t.Errorf("%s registers %d things; each has a file of its own", f.path, len(all))
		}
		for _, one := range all {
			wantFile, wantType := guessed(filepath.Base(f.dir()), one)
			if f.name() != wantFile {
				t.Errorf("%s: %s %q belongs into %s", f.at(one.call), one.kind, one.name, wantFile)
			}
			if !declares(f.tree, wantType) || !mentions(one.call, wantType) {
				t.Errorf("%s: %s %q is to be type %s, declared in this file and made by the function here", f.at(one.call),
					one.kind, one.name, wantType)
			}
		}
		if len(all) == 0 && looksLikeOne(f.name()) {
			t.Errorf("%s is named like a capability and registers none", f.path)
		}
	}
	if found < 20 {
		t.Errorf("only %d registrations were found; the tables are filled in another way than this test knows", found)
	}
}

// guessed is where a capability must be.
func guessed(provider string, one registration) (file, typeName string) {
	kind := capabilities[one.kind]
	if one.kind == "Target" && one.name == provider {
		return "target.go", "Target"
	}
	return kind.file + one.name + ".go", kind.typeName + camel(one.name)
}

// camel is set_flag as SetFlag. Words that Go writes in capitals are written so: http is HTTP.
func camel(name string) string {
	initialisms := []string{"http", "tcp", "udp", "dns", "url", "api", "id", "sql", "cpu", "io", "ip", "tls"}
	var out strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if slices.Contains(initialisms, part) {
			out.WriteString(strings.ToUpper(part))
			continue
		}
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

func TestGuessed(t *testing.T) {
	for _, c := range []struct{ provider, kind, name, want string }{
		{"process", "Action", "restart", "action_restart.go Restart"},
		{"file", "Action", "set_flag", "action_set_flag.go SetFlag"},
		{"process", "Fault", "kill", "fault_kill.go FaultKill"},
		{"http", "Probe", "http", "probe_http.go ProbeHTTP"},
		{"http", "Notifier", "webhook", "notifier_webhook.go NotifierWebhook"},
		{"process", "Target", "process", "target.go Target"},
		{"kubernetes", "Target", "stateful_set", "target_stateful_set.go TargetStatefulSet"},
	} {
		file, typeName := guessed(c.provider, registration{kind: c.kind, name: c.name})
		if got := fmt.Sprint(file, " ", typeName); got != c.want {
			t.Errorf("%s %s.%s is guessed as %s, want %s", c.kind, c.provider, c.name, got, c.want)
		}
	}
}

func registrations(f *file) []registration {
	var all []registration
	calls(f, func(call *ast.CallExpr, of, method string) {
		if _, known := capabilities[method]; !known || of != "Provider" || len(call.Args) < 3 {
			return
		}
		if literal, ok := call.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			name, _ := strconv.Unquote(literal.Value)
			all = append(all, registration{method, name, call})
		}
	})
	return all
}

// looksLikeOne: action_restart.go yes, action.go no.
func looksLikeOne(name string) bool {
	for _, kind := range capabilities {
		if strings.HasPrefix(name, kind.file) {
			return true
		}
	}
	return false
}

func declares(tree *ast.File, name string) bool {
	for _, declaration := range tree.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			if one, ok := spec.(*ast.TypeSpec); ok && one.Name.Name == name {
				return true
			}
		}
	}
	return false
}

// mentions looks for the type, or for a function that makes it: newTarget.
func mentions(call *ast.CallExpr, name string) bool {
	seen := false
	ast.Inspect(call.Args[2], func(node ast.Node) bool {
		if ident, ok := node.(*ast.Ident); ok {
			seen = seen || ident.Name == name || ident.Name == "new"+name || ident.Name == "New"+strings.TrimPrefix(name, "Notifier")
		}
		return true
	})
	return seen
}

// TestEachProviderHasOneTable: its file is named after the package and says what the provider is.
func TestEachProviderHasOneTable(t *testing.T) {
	byDir := packages(t)
	for _, dir := range sortedKeys(byDir) {
		provider, is := strings.CutPrefix(dir, "provider/")
		if !is || dir == "provider/sim" {
			continue
		}
		tables := 0
		for _, f := range byDir[dir] {
			ast.Inspect(f.tree, func(node ast.Node) bool {
				spec, ok := node.(*ast.ValueSpec)
				if !ok || len(spec.Names) != 1 || spec.Names[0].Name != "Provider" {
					return true
				}
				tables++
				if f.name() != provider+".go" {
					t.Errorf("%s: the table of %s belongs into %s.go", f.at(node), dir, provider)
				}
				return true
			})
		}
		if tables != 1 {
			t.Errorf("%s has %d tables called Provider, and needs one", dir, tables)
		}
	}
}
