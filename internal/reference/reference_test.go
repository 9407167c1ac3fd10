package reference

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/provider/http"
	"github.com/jenner-heal/jenner/provider/process"
)

// input is a real catalog with the real comments, and a small command tree.
func input() Input {
	root := &cobra.Command{Use: "jenner", Short: "Heal"}
	run := func(*cobra.Command, []string) {}
	shown := &cobra.Command{Use: "serve DIR...", Short: "Watch", Long: "Watches a folder.", Example: "  jenner serve d", Run: run}
	shown.Flags().Duration("baseline", time.Minute, "how long | how often")
	shown.Flags().Bool("dry-run", false, "change nothing")
	root.AddCommand(shown, &cobra.Command{Use: "reaper", Short: "Secret", Hidden: true, Run: run})
	return Input{Source: "../..", Catalog: catalog.Merge(file.Provider, http.Provider, process.Provider), Commands: root}
}

func TestPages(t *testing.T) {
	pages, err := Pages(input())
	if err != nil {
		t.Fatal(err)
	}
	for page, lines := range map[string][]string{
		"actions.md": {
			"## process.restart",
			"Works on targets of kind `process`. Has no undo of its own. Tells after a crash of Jenner whether it happened.",
			"| `grace` | duration |  | | how long the process may take to end by itself; the target's where not said. |",
			"Works on targets of kind `file`. Can be undone. Tells after a crash of Jenner whether it happened.",
			"| `key` | text | yes | | the path to the value, with dots between the names: `checkout.cached_mode`. `\\.` is a dot in a name. |",
			"| `value` | any value | yes | | any JSON value. |",
			"Source: [`provider/process/action_restart.go`](../../provider/process/action_restart.go)",
		},
		"faults.md": {
			"## http.latency",
			"Works on targets of kind `http`. Held by a lease: it ends by itself when nobody renews it.",
			"| `share` | share |  | `100%` | of the requests; 100% where not said |",
		},
		"probes.md": {
			"Written as `http:`.",
			"| `steps` | list of [step](#step) | yes | | done in this order. |",
			"### step",
			"Every target of kind `process` has it without being written, under the name `alive`. Hears of a change at once, without waiting for its next turn.",
		},
		"undo.md": {
			"| `process.hang` | the reaper undid it | – | – | the next start undid it | – |",
			"| `http.latency` | the reaper undid it | – | – | it ended by itself | – |",
		},
		"notifiers.md": {"## http.webhook"},
		"targets.md": {
			"Actions and faults: `restart`, `signal`, `start`, `stop`, the fault `clock_skew`, the fault `crash_loop`, the fault `descriptors`, the fault `hang`, the fault `io_delay`, the fault `io_error`, the fault `kill`, the fault `pids`, the fault `slow_start`.",
			"| `pidfile` | text | yes | | Pidfile holds the process id in decimal. It is believed only for a process that is not younger than the file. |",
		},
		"documents.md": {
			"## service", "### target", "| … |  |  | the keys of the target's kind: see [kinds of targets](targets.md) |",
			"| `http` … | mapping |  | one key that names the kind, with its settings below it: see [probes](probes.md) |",
			"| `webhook` … | mapping |  | one key that names the kind, with its settings below it: see [notifiers](notifiers.md) |",
			"| `mode` | one of `shadow`, `recommend`, `approve`, `auto` |  | recommend where not said |",
			"### selector",
		},
		"commands.md": {
			"## jenner serve", "    jenner serve DIR... [flags]", "Watches a folder.", "    jenner serve d",
			"| `--baseline` | `1m0s` | how long \\| how often |", "| `--dry-run` |  | change nothing |",
		},
	} {
		have := strings.Split(pages[page], "\n")
		for _, line := range lines {
			if !slices.Contains(have, line) {
				t.Errorf("%s lacks the line\n%s", page, line)
			}
		}
	}
	if strings.Contains(pages["commands.md"], "reaper") {
		t.Error("a hidden command is shown")
	}
	if n := strings.Count(pages["documents.md"], "### selector"); n != 1 {
		t.Errorf("what two kinds share is described %d times", n)
	}
	if strings.Contains(pages["documents.md"], "`source`") {
		t.Error("a field is shown that nobody can write")
	}
}

func TestCommentsThatAreNotThereAreAnError(t *testing.T) {
	in := input()
	in.Source = t.TempDir()
	if _, err := Pages(in); err == nil || !strings.Contains(err.Error(), "source") {
		t.Errorf("pages without words were made: %v", err)
	}
}

// TestAFaultThatWasNeverKilledIsAnError: nobody may add a fault whose end was not tried.
func TestAFaultThatWasNeverKilledIsAnError(t *testing.T) {
	in := input()
	untried := &catalog.Provider{Name: "untried", Doc: "Untried things"}
	untried.Fault("fault", "Break something", func() chaos.Fault { return &process.FaultHang{} })
	in.Catalog = catalog.Merge(process.Provider, untried)
	if _, err := Pages(in); err == nil || !strings.Contains(err.Error(), "untried.fault was never tried with its processes killed") {
		t.Errorf("pages were made with a fault that nobody tried to end: %v", err)
	}
}

func TestWriteMakesTheFolderFresh(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reference")
	if err := Write(dir, input()); err != nil {
		t.Fatal(err)
	}
	pages, err := Pages(input())
	if err != nil {
		t.Fatal(err)
	}
	fresh := func(want ...string) {
		t.Helper()
		stale, err := Stale(dir, pages)
		if err != nil || !slices.Equal(stale, want) {
			t.Errorf("stale are %v (%v), want %v", stale, err, want)
		}
	}
	fresh()
	for name, change := range map[string]func(path string) error{
		"actions.md": func(path string) error { return os.WriteFile(path, []byte("by hand\n"), 0o644) },
		"faults.md":  os.Remove,
		"old.md":     func(path string) error { return os.WriteFile(path, nil, 0o644) },
	} {
		if err := change(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	fresh("actions.md", "faults.md", "old.md")
	if err := Write(dir, input()); err != nil {
		t.Fatal(err)
	}
	fresh()
}

func TestTypeNames(t *testing.T) {
	for want, kind := range map[string]reflect.Type{
		"duration":                          reflect.TypeFor[*jenner.Duration](),
		"list of text":                      reflect.TypeFor[[]string](),
		"mapping of whole number":           reflect.TypeFor[map[string]int](),
		"limits by unit":                    reflect.TypeFor[jenner.BlastRadius](),
		"[undo step](#undo-step)":           reflect.TypeFor[*jenner.UndoStep](),
		"list of [fault spec](#fault-spec)": reflect.TypeFor[[]jenner.FaultSpec](),
		"any value":                         reflect.TypeFor[any](),
		"number":                            reflect.TypeFor[float64](),
		"true or false":                     reflect.TypeFor[*bool](),
	} {
		if got := typeName(kind); got != want {
			t.Errorf("%s is called %q, want %q", kind, got, want)
		}
	}
}
