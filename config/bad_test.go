package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/jenner-heal/jenner/config"
)

// marked takes the markers out of a file: what follows ` #! ` on a line is a problem that must be told about that line,
// or, after ` #? `, a warning.
func marked(name, text string) (clean string, problems, warnings []string) {
	var lines []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, " #? ", " #! ?")
		parts := strings.Split(line, " #! ")
		lines = append(lines, parts[0])
		for _, message := range parts[1:] {
			if warning, ok := strings.CutPrefix(message, "?"); ok {
				warnings = append(warnings, fmt.Sprintf("%s:%d: %s", name, i+1, warning))
				continue
			}
			problems = append(problems, fmt.Sprintf("%s:%d: %s", name, i+1, message))
		}
	}
	return strings.Join(lines, "\n"), problems, warnings
}

// told are the problems with their files named as from dir, those of the world without a mistake left out.
func told(dir string, problems config.Problems) []string {
	var lines []string
	for _, problem := range problems {
		lines = append(lines, strings.ReplaceAll(problem.String(), dir+string(filepath.Separator), ""))
	}
	return lines
}

func archive(t *testing.T, path string) []txtar.File {
	t.Helper()
	parsed, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Files
}

func TestMistakesOfForm(t *testing.T) {
	for _, file := range archive(t, "testdata/bad-form.txtar") {
		t.Run(file.Name, func(t *testing.T) {
			text, want, _ := marked(file.Name, string(file.Data))
			dir := t.TempDir()
			loaded, err := config.Load(write(t, dir, file.Name, text))
			var problems config.Problems
			if !errors.As(err, &problems) || loaded != nil {
				t.Fatalf("got %+v, %v; want nothing and the problems %q", loaded, err, want)
			}
			if diff := cmp.Diff(want, told(dir, problems)); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
			if problems.Error() != err.Error() || strings.Count(err.Error(), "\n") != len(want)-1 {
				t.Errorf("the error is not one problem a line:\n%s", err)
			}
		})
	}
}

func TestMistakesOfMeaning(t *testing.T) {
	world, err := os.ReadFile("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive(t, "testdata/bad-meaning.txtar") {
		t.Run(file.Name, func(t *testing.T) {
			text, problems, warnings := marked(file.Name, string(file.Data))
			dir := t.TempDir()
			write(t, dir, file.Name, text)
			write(t, dir, "world.yaml", string(world))
			loaded := mustLoad(t, dir)
			if diff := cmp.Diff(problems, told(dir, loaded.Check(names))); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(warnings, told(dir, loaded.Warnings())); diff != "" {
				t.Errorf("the warnings differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFolderWithoutMistakes(t *testing.T) {
	loaded := mustLoad(t, "testdata/world.yaml")
	if problems := loaded.Check(names); problems != nil {
		t.Errorf("problems:\n%v", problems)
	}
	if warnings := loaded.Warnings(); warnings != nil {
		t.Errorf("warnings:\n%v", warnings)
	}
}
