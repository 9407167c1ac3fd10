package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// rule says which packages of this module the packages of some folders may import. A folder that no rule names fails
// the test: whoever adds a package says here where it stands, and why.
type rule struct {
	who []string // folders; * stands for one part
	may []string // folders; * stands for one part
	why string
}

// stages are the places on the line. They meet in loop and nowhere else.
var stages = []string{"telemetry", "detect", "diagnose", "decide", "act", "verify", "learn", "notify", "audit"}

var rules = []rule{
	{[]string{"."}, nil,
		"the vocabulary is what all layers talk in; if it imported one of them, that one would be part of every other"},
	{stages, []string{".", "runbook", "internal/expression", "internal/strict"},
		"a stage that knows another one cannot be read, tested or replaced alone; they meet in loop. runbook is plain data"},
	{[]string{"runbook"}, []string{".", "internal/strict"},
		"runbooks are data without effects, so that every stage may use them"},
	{[]string{"chaos"}, append([]string{".", "runbook", "internal/strict"}, stages...),
		"chaos stands above the line and judges it; none of the stages may know of it"},
	{[]string{"calendar"}, []string{"."},
		"a calendar tells what is planned; what that means for a decision is for decide to say"},
	{[]string{"line"}, []string{"."},
		"the durable line moves any state through any phases; it must not know which"},
	{[]string{"loop"}, append([]string{".", "runbook", "line", "chaos", "internal/strict"}, stages...),
		"loop is the one place where the stages meet; it is handed its providers and its store from above"},
	{[]string{"internal/strict"}, []string{"."},
		"strict reading is below everything that people write"},
	{[]string{"internal/alertmanager"}, []string{"."},
		"it speaks one protocol; who asks, and what an answer means, is its callers' to know"},
	{[]string{"internal/expression"}, nil,
		"it evaluates what it is handed; what labels and bodies mean is its callers' to know"},
	{[]string{"internal/catalog"}, []string{".", "act", "chaos", "notify", "telemetry", "internal/strict"},
		"the tables hold the interfaces that stages and chaos own, and never a provider"},
	{[]string{"config"}, []string{".", "runbook", "internal/expression", "internal/strict"},
		"the files' form must not depend on what providers there are; it asks an interface whether a name is known"},
	{[]string{"store/*"}, []string{".", "audit"},
		"a store fulfils interfaces that its users declare; knowing a user would turn the direction round"},
	{[]string{"provider/*"}, []string{".", "runbook", "act", "telemetry", "notify", "chaos", "internal/alertmanager", "internal/catalog", "internal/cgroup", "internal/netspace",
		"internal/strict"},
		"a provider knows its technology and the interfaces it fulfils, and no other provider"},
	{[]string{"api"}, []string{".", "internal/expression", "internal/strict"},
		"the API shows what it is handed through interfaces of its own"},
	{[]string{"cluster"}, []string{".", "config", "internal/strict"},
		"it shows documents and changes to an API server and takes documents from there; who decides and acts it need not know"},
	{[]string{"deploy"}, nil, "it is files, and the library that renders them"},
	{[]string{"report"}, []string{".", "learn"},
		"a report is form: data in, bytes out; where the data comes from is its callers' to know, and what it means learn says"},
	{[]string{"app"}, append([]string{".", "calendar", "runbook", "line", "loop", "chaos", "cluster", "config", "api", "store/*", "internal/alertmanager",
		"internal/catalog", "internal/strict"}, stages...),
		"app puts everything together; which providers there are it is told by cmd"},
	{[]string{"cmd/jenner"}, append([]string{".", "app", "calendar", "runbook", "line", "loop", "chaos", "cluster", "config", "deploy", "api", "report", "store/*", "examples/shop",
		"internal/catalog", "internal/reference", "internal/strict", "provider/*"}, stages...),
		"the command stands on top; which of its files may import providers is a rule of its own"},
	{[]string{"conformance/*"}, append([]string{".", "line", "chaos", "conformance/*", "internal/await"}, stages...),
		"a suite that knew a provider would test that one and not the interface"},
	{[]string{"examples/shop"}, nil,
		"the shop is a system like anybody's: it must not know who heals it"},
	{[]string{"examples/shop/cmd/shop"}, []string{"examples/shop"}, "the shop as a program of its own"},
	{[]string{"examples/documents"}, nil, "files, and the test that they load"},
	{[]string{"examples/alerts"}, nil, "files, and the test that they are right"},
	{[]string{"examples/prometheus"}, nil, "files, and the test that they are right"},
	{[]string{"internal/cgroup"}, nil,
		"it reads what the kernel shows of control groups; what a provider does there is the provider's"},
	{[]string{"internal/netspace"}, []string{"."},
		"it knows namespaces and the leases of packet rules, and nothing of what the rules are for"},
	{[]string{"internal/await"}, nil, "it waits for whatever a test asks about"},
	{[]string{"internal/lab"}, nil,
		"it starts programs for tests and scenarios, and knows nothing of what they are started for"},
	{[]string{"test/kube"}, nil, "it tests the cluster that other tests stand on, and Jenner in it as anybody has it: as an image and a program"},
	{[]string{"test/kube/scale"}, []string{"internal/lab"}, "it measures Jenner from outside, as a program"},
	{[]string{"test/kubelab", "test/kubelab/*"}, []string{"test/kubelab/*"},
		"the lab is a module of its own, so that what a Kubernetes is built from stays out of Jenner's; it must not know who uses it"},
	{[]string{"scenarios"}, []string{"internal/lab"},
		"scenarios use Jenner as anybody does, as a program; what they could do with its packages nobody else could"},
	{[]string{"scenarios/app"}, nil, "the systems that scenarios break are like anybody's: they must not know who heals them"},
	{[]string{"internal/reference"}, []string{".", "act", "chaos", "telemetry", "internal/catalog", "internal/strict"},
		"the reference pages are made from tables and types; which providers there are it is told by cmd"},
	{[]string{"internal/archtest"}, nil, "it reads the source as text, so that it speaks while something does not compile"},
}

// TestWhoImportsWhom holds the direction cmd → app → loop → stages → vocabulary.
func TestWhoImportsWhom(t *testing.T) {
	for _, f := range source(t) {
		if strings.HasSuffix(f.name(), "_test.go") {
			continue // a test may build the world that its package lives in
		}
		rule, ok := ruleOf(f.dir())
		if !ok {
			t.Errorf("%s: package %s stands in no rule; add it to the rules in internal/archtest/imports_test.go, with the reason",
				f.path, f.dir())
			continue
		}
		for _, imported := range f.imports() {
			if dir, is := ours(imported); is && !matchesAny(rule.may, dir) {
				t.Errorf("%s: package %s may not import %s: %s", f.path, f.dir(), dir, rule.why)
			}
		}
	}
}

func ruleOf(dir string) (rule, bool) {
	for _, rule := range rules {
		if matchesAny(rule.who, dir) {
			return rule, true
		}
	}
	return rule{}, false
}

func matchesAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, _ := path.Match(pattern, dir)
		return matched
	})
}

// TestTheVocabularyImportsTheStandardLibraryOnly: what the root imports, everybody who talks with Jenner imports.
func TestTheVocabularyImportsTheStandardLibraryOnly(t *testing.T) {
	for _, f := range packages(t)["."] {
		for _, imported := range f.imports() {
			if !f.test && !isStandard(imported) {
				t.Errorf("%s imports %s; the vocabulary imports the standard library only", f.path, imported)
			}
		}
	}
}

// TestTheLineIsNotToldOfChaosByItsTests: also the tests of the stages do without package chaos, for a stage that can
// only be tested with it has come to depend on it.
func TestTheLineIsNotToldOfChaosByItsTests(t *testing.T) {
	for _, f := range source(t) {
		if !slices.Contains(stages, f.dir()) && f.dir() != "runbook" {
			continue
		}
		if slices.Contains(f.imports(), module+"/chaos") {
			t.Errorf("%s imports chaos; the line must not know that it is being tested", f.path)
		}
	}
}

// providerImports are the files outside of provider that may import a provider, with the reason. providers.go may
// import all of them.
var providerImports = map[string]map[string]string{
	"cmd/jenner/demo.go": {
		"provider/core": "the demo writes its pages to a file although no channel names one",
	},
	"cmd/jenner/serve.go": {
		"provider/core": "pages go to the terminal and to a file where no channel is written, so that none is lost",
	},
	"cmd/jenner/inside.go": {
		"provider/kubernetes": "`jenner inside` is what its faults run in a pod, as a process of its own",
	},
	"cmd/jenner/proxy.go": {
		"provider/http": "`jenner proxy` is the fault proxy itself, as a process of its own",
	},
}

// TestOnlyOneFileListsTheProviders: one list, so that adding a provider is one line, and so that nothing else can
// depend on which ones there are. Tests may use them, for real parts are better than mocks.
func TestOnlyOneFileListsTheProviders(t *testing.T) {
	const list = "cmd/jenner/providers.go"
	listed, used := map[string]bool{}, map[string]bool{}
	for _, f := range source(t) {
		if strings.HasSuffix(f.name(), "_test.go") || strings.HasPrefix(f.path, "provider/") {
			continue
		}
		for _, imported := range f.imports() {
			dir, is := ours(imported)
			if !is || !strings.HasPrefix(dir, "provider/") {
				continue
			}
			if f.path == list {
				listed[dir] = true
				continue
			}
			if providerImports[f.path][dir] == "" {
				t.Errorf("%s imports %s; only %s imports providers", f.path, dir, list)
			}
			used[f.path+" "+dir] = true
		}
	}
	for path, dirs := range providerImports {
		for dir := range dirs {
			if !used[path+" "+dir] {
				t.Errorf("%s does not import %s any more; take the exception away", path, dir)
			}
		}
	}
	for dir := range packages(t) {
		// The simulated world is for tests; as a provider of the program it would heal nothing real.
		if strings.HasPrefix(dir, "provider/") && dir != "provider/sim" && !listed[dir] {
			t.Errorf("%s is not in %s, so that nobody can use it", dir, list)
		}
	}
}

// TestPackageNames bans the names that say nothing: such a package collects whatever has no place.
func TestPackageNames(t *testing.T) {
	banned := []string{"util", "utils", "common", "helper", "helpers", "type", "types", "misc", "base", "shared", "lib", "stuff"}
	for _, dir := range sortedKeys(packages(t)) {
		for _, part := range strings.Split(dir, "/") {
			if slices.Contains(banned, part) {
				t.Errorf("%s: a package called %s says nothing of what it is for; name it after that", dir, part)
			}
		}
		for _, f := range packages(t)[dir] {
			if slices.Contains(banned, strings.TrimSuffix(f.tree.Name.Name, "_test")) {
				t.Errorf("%s: a package called %s says nothing of what it is for", f.path, f.tree.Name.Name)
			}
		}
	}
}
