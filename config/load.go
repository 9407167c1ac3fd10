package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
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
	broken    broken
}

// place names a document.
type place struct{ kind, name string }

// positions are where the values of one document stand.
type positions struct {
	file   string
	line   int
	lines  strict.Positions
	source jenner.Source
}

func (p positions) where() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("at %s:%d", p.file, p.line)
}

// Load reads every *.yaml and *.yml file below the folders, and the files that are named themselves. Hidden files and
// folders are passed over. The error is a Problems with every mistake of form; then nothing is loaded. Mistakes of
// meaning are found by Check.
func Load(path ...string) (*Loaded, error) {
	l := load(path)
	if len(l.problems) > 0 {
		return nil, sorted(l.problems)
	}
	return l.loaded, nil
}

// CheckFiles loads and checks in one go, so that mistakes of form do not hide mistakes of meaning: documents whose form
// is right are looked at beside those whose form is not, and what may only follow from the broken ones is left out.
// loaded is nil where there is a mistake of form. Names may be nil; then what only the providers know is not looked at.
func CheckFiles(names Names, path ...string) (loaded *Loaded, problems, warnings Problems) {
	l := load(path)
	problems = sorted(slices.Concat(l.problems, l.loaded.Check(names)))
	warnings = l.loaded.Warnings()
	if len(l.problems) > 0 {
		return nil, problems, warnings
	}
	return l.loaded, problems, warnings
}

func load(path []string) *loader {
	list := find(path)
	l := &loader{
		problems: list.problems,
		loaded:   &Loaded{Documents: &jenner.Documents{}, places: map[place]positions{}},
	}
	l.loaded.broken.all = len(list.problems) > 0
	for _, file := range list.files {
		l.file(file)
	}
	return l
}

// loader is one call of Load.
type loader struct {
	loaded   *Loaded
	problems Problems
}

func (l *loader) problem(file string, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// unread is a problem that keeps documents from being seen at all: any kind and any name may stand there.
func (l *loader) unread(file string, line int, format string, args ...any) {
	l.loaded.broken.all = true
	l.problem(file, line, format, args...)
}

func (l *loader) file(file string) {
	raw, err := read(file)
	if err != nil {
		l.unread(file, 0, "cannot be read: %s", cause(err))
		return
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		l.unread(file, 0, "its folder cannot be told: %s", cause(err))
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
			l.unread(file, line, "is not YAML: %s", message)
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
		l.mistake(file, p)
	}
	if form == nil {
		l.loaded.broken.all = true
		return
	}
	l.add(form, dir, jenner.Source{File: file, Line: node.Line}, len(problems) > 0)
}

// mistake is a problem of form. One without a line is in an object, and its path says where.
func (l *loader) mistake(file string, p strict.Problem) {
	problem := Problem{File: file, Line: p.Line, Message: p.Message}
	if p.Line == 0 {
		problem.Path = specPath(p.Path)
	}
	l.problems = append(l.problems, problem)
}

// add decodes the fields of one document and adds it. One that is spoilt has mistakes of form already.
func (l *loader) add(form *form, dir string, source jenner.Source, spoilt bool) {
	before, file := *l.loaded.Documents, source.File
	lines, name, mistakes := adders[form.kind](l.loaded.Documents, form.fields, dir, source)
	for _, p := range mistakes {
		l.mistake(file, p)
	}
	if spoilt || len(mistakes) > 0 {
		l.loaded.broken.add(form.kind, name)
		if form.kind == kindLimits {
			*l.loaded.Documents = before
		}
		return
	}
	id := place{form.kind, name}
	if name == "" && form.kind != kindLimits {
		l.problem(file, lines.Line("/name"), "the name of this %s is empty", form.kind)
		l.loaded.broken.add(form.kind, name)
		return
	}
	if first, taken := l.loaded.places[id]; taken {
		l.twice(file, lines.Line("/name"), id, first)
		*l.loaded.Documents = before // the first one is the one that is looked at
		return
	}
	l.loaded.places[id] = positions{file: file, line: lines.Line("/name"), lines: lines, source: source}
}

// twice tells of a second document of the same name, or of a second one of a kind that may stand once.
func (l *loader) twice(file string, line int, id place, first positions) {
	if id.kind == kindLimits {
		l.problem(file, line, "there are two documents of kind limits; the other is at %s:%d; write all limits there",
			first.file, first.line)
		return
	}
	l.problem(file, line, "there are two documents of kind %s called %q; the other is %s",
		id.kind, id.name, first.where())
}
