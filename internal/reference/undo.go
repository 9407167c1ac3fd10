package reference

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jenner-heal/jenner/internal/catalog"
)

// killings are the columns of the table, as the suite of the faults names what it kills.
var killings = []string{"controller", "holder", "controller and holder", "controller and reaper", "controller, holder and reaper"}

// undo is the page that says what ends each fault when processes die. It is made from what the tests of the faults saw.
func undo(c *catalog.Catalog, source string) (string, error) {
	text := &strings.Builder{}
	text.WriteString(`# What ends a fault when processes die

Each row is a test: the fault is injected by a real process (the controller), held by another one where it needs that (the
holder), and watched by a third one (the reaper). In the middle of the fault they are killed with SIGKILL. The
fingerprint of the target was as before after each of them. A lease lasts one second in these tests.

Where nobody is left, neither controller nor reaper, a fault that a lease or a process holds ends by itself; any other waits
in the undo journal for the next start of Jenner, or for ` + "`jenner undo --all`" + `. A dash: nothing holds this fault, so nothing was
killed.

`)
	fmt.Fprintf(text, "| fault | %s |\n|---%s|\n", strings.Join(killings, " | "), strings.Repeat("|---", len(killings)))
	var missing error
	for _, fault := range c.Faults() {
		seen, err := killedSeen(source, fault.Name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = errors.Join(missing, fmt.Errorf("fault %s was never tried with its processes killed; faulttest.Killed does it", fault.Name))
			continue
		}
		if err != nil {
			return "", err
		}
		cells := []string{"`" + fault.Name + "`"}
		for _, killing := range killings {
			cell := seen[killing]
			if cell == "" {
				cell = "–"
			}
			cells = append(cells, cell)
		}
		fmt.Fprintf(text, "| %s |\n", strings.Join(cells, " | "))
	}
	return text.String(), missing
}

// killedSeen reads what a fault's test saw.
func killedSeen(source, fault string) (map[string]string, error) {
	provider, _, _ := strings.Cut(fault, ".")
	path := filepath.Join(source, "provider", provider, "testdata", "killed", fault+".txt")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	seen := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(parts) != 3 || parts[0] != fault {
			return nil, fmt.Errorf("%s: %q is no line of fault %s", path, line, fault)
		}
		seen[parts[1]] = parts[2]
	}
	return seen, nil
}
