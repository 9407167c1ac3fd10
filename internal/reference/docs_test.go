package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/decide"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/command"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/provider/http"
	"github.com/jenner-heal/jenner/provider/process"
	"github.com/jenner-heal/jenner/provider/tcp"
)

// root is the module's folder.
const root = "../.."

// page reads a page of the documentation.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// handwritten are the pages that people write, by path.
func handwritten(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages in %s: %v", pattern, err)
		}
		for _, path := range found {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, filepath.ToSlash(rel))
		}
	}
	return pages
}

var fence = regexp.MustCompile("(?s)```yaml\n# ([a-z]+\\.yaml)\n(.*?)```")

// TestTheFilesOnThePageAreRight takes the example of docs/files.md as the folder that it describes.
func TestTheFilesOnThePageAreRight(t *testing.T) {
	dir := t.TempDir()
	blocks := fence.FindAllStringSubmatch(page(t, "docs/files.md"), -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d files, want services, healing and drills", len(blocks))
	}
	for _, block := range blocks {
		if err := os.WriteFile(filepath.Join(dir, block[1]), []byte(block[2]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := catalog.Merge(command.Provider, core.Provider, file.Provider, http.Provider, process.Provider, tcp.Provider)
	for _, problem := range loaded.Check(catalog.Names{Catalog: all}) {
		t.Error(problem)
	}
	for _, warning := range loaded.Warnings() {
		t.Errorf("warning: %s", warning)
	}
	if n := len(loaded.Documents.Services); n != 1 {
		t.Errorf("the example has %d services", n)
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

// TestLinksLeadSomewhere looks at the links within the repository, on all pages.
func TestLinksLeadSomewhere(t *testing.T) {
	pages := handwritten(t)
	made, err := Pages(input())
	if err != nil {
		t.Fatal(err)
	}
	for name := range made {
		pages = append(pages, "docs/reference/"+name)
	}
	for _, path := range pages {
		for _, found := range link.FindAllStringSubmatch(page(t, path), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), found[1])); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, found[1])
			}
		}
	}
}

var (
	heading = regexp.MustCompile(`(?m)^## jenner (.+)$`)
	asked   = regexp.MustCompile("(?m)(?:^ {4}(?:bin/|go run \\./cmd/)?|`(?:bin/|go run \\./cmd/)?)jenner ([a-z]+(?: verify)?)")
	target  = regexp.MustCompile("(?m)(?:^ {4}|`)make ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)")
)

// TestThePagesNameRealCommands compares what the pages tell people to type with what there is.
func TestThePagesNameRealCommands(t *testing.T) {
	var commands []string
	for _, found := range heading.FindAllStringSubmatch(page(t, "docs/reference/commands.md"), -1) {
		commands = append(commands, found[1])
	}
	makefile := page(t, "Makefile")
	seen := 0
	for _, path := range handwritten(t) {
		text := page(t, path)
		for _, found := range asked.FindAllStringSubmatch(text, -1) {
			seen++
			if !slices.Contains(commands, found[1]) {
				t.Errorf("%s: there is no command `jenner %s`", path, found[1])
			}
		}
		for _, found := range target.FindAllStringSubmatch(text, -1) {
			for name := range strings.FieldsSeq(found[1]) {
				seen++
				if !strings.Contains(makefile, "\n"+name+": ") {
					t.Errorf("%s: there is no target `make %s`", path, name)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands were found on the pages", seen)
	}
}

// TestTheConceptsAreTrue compares the tables of docs/concepts.md with the code.
func TestTheConceptsAreTrue(t *testing.T) {
	text := page(t, "docs/concepts.md")
	row := func(name string) string {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "| `"+name+"`") {
				return line
			}
		}
		t.Errorf("no row about %s", name)
		return ""
	}
	at := 0
	for _, guard := range decide.Guards {
		where := strings.Index(text, row(guard.Name))
		if where < at {
			t.Errorf("guard %s stands in another order than it is asked", guard.Name)
		}
		at = where
	}
	short := func(d time.Duration) string { return jenner.Duration(d).String() }
	for guard, says := range map[string][]string{
		"mode":       {string(jenner.Policy{}.EffectiveMode())},
		"confidence": {fmt.Sprint(float64(decide.DefaultConfidence))},
		"freshness":  {short(decide.StaleAfter), short(decide.DefaultAlertExpiry)},
		"cooldown":   {short(decide.DefaultCooldown)},
		"attempts":   {fmt.Sprintf("%d, and %s", decide.DefaultAttempts, short(decide.DefaultAttemptsReset))},
		"recurrence": {fmt.Sprintf("%d in %s", decide.DefaultRecurrenceTimes, short(decide.DefaultRecurrenceWindow))},
		"breaker": {fmt.Sprintf("%d within %s, open for %s", decide.DefaultBreakerFailures, short(decide.DefaultBreakerWindow),
			short(decide.DefaultBreakerOpenFor))},
		"blast": {fmt.Sprintf("%d targets of a service", jenner.Limits{}.OfService()), fmt.Sprintf("%d in all", jenner.Limits{}.AtOnce())},
	} {
		for _, figure := range says {
			if !strings.Contains(row(guard), figure) {
				t.Errorf("the row about %s does not say %q", guard, figure)
			}
		}
	}
	for _, verdict := range jenner.Verdicts {
		row(string(verdict))
	}
	for _, phase := range []jenner.Phase{jenner.PhaseDetected, jenner.PhaseDiagnosed, jenner.PhasePlanned, jenner.PhaseDecided,
		jenner.PhaseActing, jenner.PhaseVerifying, jenner.PhaseMitigated, jenner.PhaseUndoing, jenner.PhaseResolved} {
		row(string(phase))
	}
}

var (
	promised = regexp.MustCompile("`(Test[A-Za-z0-9]+|[a-z0-9-]+[.]txtar)`")
	declared = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
)

// TestWhatJennerNeverDoesIsHeld looks that every promise names tests, and that they are there.
func TestWhatJennerNeverDoesIsHeld(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(source), -1) {
			tests[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	promises := 0
	for line := range strings.Lines(page(t, "docs/never.md")) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| never |") {
			continue
		}
		promises++
		held := promised.FindAllStringSubmatch(line, -1)
		if len(held) == 0 {
			t.Errorf("nothing holds: %s", line)
		}
		for _, found := range held {
			if strings.HasSuffix(found[1], ".txtar") {
				if _, err := os.Stat(filepath.Join(root, "loop", "testdata", found[1])); err != nil {
					t.Errorf("there is no story %s: %v", found[1], err)
				}
			} else if !tests[found[1]] {
				t.Errorf("there is no test %s", found[1])
			}
		}
	}
	if promises < 30 {
		t.Errorf("only %d promises were found", promises)
	}
}
