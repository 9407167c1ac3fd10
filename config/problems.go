package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the written files, or one thing that looks like one.
type Problem struct {
	File    string // as it was found, or the origin of an object; empty where no file is to blame
	Line    int    // counted from 1; 0 where the whole file is meant
	Path    string // of an object, which has no lines: spec.steps[2].action
	Message string
}

// String is `file:line: message`, or `origin: path: message` of an object.
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Message
	case p.Path != "":
		return p.File + ": " + p.Path + ": " + p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Problems are all mistakes, sorted by file and line.
type Problems []Problem

// Error is one problem a line.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, problem := range p {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// sorted brings problems into the order of the files and drops those that are told twice.
func sorted(problems Problems) Problems {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	var kept Problems
	for _, problem := range problems {
		if !slices.Contains(kept, problem) {
			kept = append(kept, problem)
		}
	}
	return kept
}
