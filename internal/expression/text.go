package expression

import (
	"fmt"
	"strings"
)

// Text is a text in which {{ }} stands for what an expression gives. It is safe for concurrent use.
type Text struct {
	written string
	parts   []part
}

// part is a piece of plain text, and what follows it.
type part struct {
	plain string
	value *Expression // nil at the end
}

const (
	opening = "{{"
	closing = "}}"
)

// Text reads a text.
func (s *Scope) Text(written string) (*Text, error) {
	text := &Text{written: written}
	rest := written
	for {
		plain, after, more := strings.Cut(rest, opening)
		if !more {
			text.parts = append(text.parts, part{plain: plain})
			return text, nil
		}
		inner, left, closed := strings.Cut(after, closing)
		if !closed {
			return nil, fmt.Errorf("%#q: {{ without }}", written)
		}
		value, err := s.Compile(strings.TrimSpace(inner))
		if err != nil {
			return nil, err
		}
		text.parts = append(text.parts, part{plain, value})
		rest = left
	}
}

// Plain tells whether there is nothing to fill in.
func (t *Text) Plain() bool { return len(t.parts) == 1 }

// String is the text as it was written.
func (t *Text) String() string { return t.written }

// Fill is the text with all values in their places.
func (t *Text) Fill(vars map[string]any) (string, error) {
	var out strings.Builder
	for _, part := range t.parts {
		out.WriteString(part.plain)
		if part.value == nil {
			break
		}
		value, err := part.value.Text(vars)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
	}
	return out.String(), nil
}
