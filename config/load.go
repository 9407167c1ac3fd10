package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Loaded are the documents of some files and where everything in them stands. It does not change.
type Loaded struct {
	Documents *jenner.Documents
	places    map[place]positions
}

// place names a document.
type place struct{ kind, name string }

// positions are where the values of one document stand.
type positions struct {
	file  string
	line  int
	lines strict.Positions
}

// Load reads every *.yaml and *.yml file below the folders, and the files that are named themselves. Hidden files and
// folders are passed over. The error is a Problems with every mistake of form; then nothing is loaded. Mistakes of
// meaning are found by Check.
func Load(path ...string) (*Loaded, error) {
	list := find(path)
	l := &loader{
		problems: list.problems,
		loaded:   &Loaded{Documents: &jenner.Documents{}, places: map[place]positions{}},
	}
	for _, file := range list.files {
		l.file(file)
	}
	if len(l.problems) > 0 {
		return nil, sorted(l.problems)
	}
	return l.loaded, nil
}

// loader is one call of Load.
type loader struct {
	loaded   *Loaded
	problems Problems
}

func (l *loader) problem(file string, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) file(file string) {
	raw, err := read(file)
	if err != nil {
		l.problem(file, 0, "cannot be read: %s", cause(err))
		return
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		l.problem(file, 0, "its folder cannot be told: %s", cause(err))
		return
	}
	l.parse(file, dir, raw)
}

// parse reads all documents of one file.
func (l *loader) parse(file, dir string, raw []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			line, message := syntaxError(err)
			l.problem(file, line, "is not YAML: %s", message)
			return
		}
		if len(document.Content) == 1 && !isEmpty(document.Content[0]) {
			l.document(file, dir, document.Content[0])
		}
	}
}

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntaxError takes the line out of the YAML library's message.
func syntaxError(err error) (line int, message string) {
	text := err.Error()
	if match := syntaxLine.FindStringSubmatch(text); match != nil {
		line, _ = strconv.Atoi(match[1])
		return line, strings.TrimPrefix(text, match[0])
	}
	return 1, strings.TrimPrefix(text, "yaml: ")
}

func isEmpty(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// document decodes one document and adds it.
func (l *loader) document(file, dir string, node *yaml.Node) {
	form, problems := readForm(node)
	for _, p := range problems {
		l.problem(file, p.Line, "%s", p.Message)
	}
	if form == nil {
		return
	}
	add := adders[form.kind]
	lines, name, problems := add(l.loaded.Documents, form.fields, dir, jenner.Source{File: file, Line: node.Line})
	for _, p := range problems {
		l.problem(file, p.Line, "%s", p.Message)
	}
	if len(problems) > 0 {
		return
	}
	id := place{form.kind, name}
	if name == "" {
		line := lines.Line("/name")
		l.problem(file, line, "the name of this %s is empty", form.kind)
		return
	}
	if first, taken := l.loaded.places[id]; taken {
		l.problem(file, lines.Line("/name"), "there are two documents of kind %s called %q; the other is at %s:%d",
			form.kind, name, first.file, first.line)
		return
	}
	l.loaded.places[id] = positions{file: file, line: lines.Line("/name"), lines: lines}
}
