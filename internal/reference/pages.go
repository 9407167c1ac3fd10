package reference

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/internal/catalog"
)

// Input is what the pages are made from.
type Input struct {
	Source   string // the folder of the module, in which the comments are
	Catalog  *catalog.Catalog
	Commands *cobra.Command // the root; its hidden commands are left out
}

// generated stands at the top of each page.
const generated = "<!-- Written by `make reference` from the code. Do not edit it here. -->\n\n"

// Pages gives the text of each page by file name. It changes nothing.
func Pages(in Input) (map[string]string, error) {
	comments := &comments{source: in.Source, packages: map[string]map[string]structComments{}}
	pages := map[string]string{
		"actions.md":   actions(in.Catalog, comments),
		"faults.md":    faults(in.Catalog, comments),
		"probes.md":    probes(in.Catalog, comments),
		"sources.md":   sources(in.Catalog, comments),
		"notifiers.md": notifiers(in.Catalog, comments),
		"targets.md":   targets(in.Catalog, comments),
		"documents.md": documents(comments),
		"commands.md":  commands(in.Commands),
		"README.md":    index,
	}
	undone, err := undo(in.Catalog, in.Source)
	pages["undo.md"] = undone
	for name, text := range pages {
		pages[name] = generated + text
	}
	return pages, errors.Join(append(comments.errs, err)...)
}

const index = `# Reference

Made from the code by ` + "`make reference`" + `; a test fails when it is stale.

- [Commands](commands.md)
- [Documents](documents.md): service, signature, runbook, policy, experiment, channel
- [Actions](actions.md): what a runbook's steps can do
- [Faults](faults.md): what an experiment can break
- [What ends a fault](undo.md) when processes die
- [Probes](probes.md): how a service is asked
- [Metrics sources](sources.md): what gives numbers without a metrics page
- [Kinds of targets](targets.md): what can be watched, changed and broken
- [Notifiers](notifiers.md): how people are told
`

// Write makes dir hold the pages and nothing else that ends in .md.
func Write(dir string, in Input) error {
	pages, err := Pages(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of the pages: %w", err)
	}
	stale, err := Stale(dir, pages)
	if err != nil {
		return err
	}
	for _, name := range stale {
		path := filepath.Join(dir, name)
		if text, wanted := pages[name]; wanted {
			err = os.WriteFile(path, []byte(text), 0o644)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("cannot write the page: %w", err)
		}
	}
	return nil
}

// Stale names the pages that are missing in dir, are different there, or do not belong there, sorted.
func Stale(dir string, pages map[string]string) ([]string, error) {
	wrong := map[string]bool{}
	for name, text := range pages {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read the page: %w", err)
		}
		if err != nil || string(have) != text {
			wrong[name] = true
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, path := range there {
		if _, wanted := pages[filepath.Base(path)]; !wanted {
			wrong[filepath.Base(path)] = true
		}
	}
	return sortedKeys(wrong), nil
}
