package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// jsonDocument is the text of a JSON file. Changes are made in the text, so that everything else keeps its order, its
// blanks and its numbers to the last digit.
type jsonDocument struct{ text []byte }

func parseJSON(text []byte) (document, error) {
	if !json.Valid(text) {
		var value any
		return nil, fmt.Errorf("it is not JSON: %w", json.Unmarshal(text, &value))
	}
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8, which JSON is (RFC 8259), so readers differ in what it says")
	}
	return &jsonDocument{text}, nil
}

func (d *jsonDocument) bytes() []byte { return d.text }

// span is a piece of the text.
type span struct{ from, to int }

// member is one key of an object with its value.
type member struct {
	key, value span
	name       string
}

func (d *jsonDocument) get(path []string) (found, error) {
	place, depth, err := d.locate(path)
	if err != nil || depth < len(path) {
		return found{Depth: depth}, err
	}
	text := d.text[place.from:place.to]
	value, err := canonical(text)
	return found{JSON: value, Text: string(text), Depth: depth, Empty: string(value) == "{}"}, err
}

// locate follows the path as far as it leads: the value at its end, or the object that lacks the next key.
func (d *jsonDocument) locate(path []string) (place span, depth int, err error) {
	start := blanks(d.text, 0)
	place = span{start, valueEnd(d.text, start)}
	for depth, key := range path {
		if d.text[place.from] != '{' {
			return place, depth, notAnObject(path[:depth])
		}
		next, has, err := d.child(place, key)
		if err != nil || !has {
			return place, depth, err
		}
		place = next.value
	}
	return place, len(path), nil
}

func (d *jsonDocument) child(object span, key string) (hit member, has bool, err error) {
	for _, m := range d.members(object) {
		if m.name != key {
			continue
		}
		if has {
			return hit, true, fmt.Errorf("the key %q stands twice in one object; readers differ in which one they take", key)
		}
		hit, has = m, true
	}
	return hit, has, nil
}

// members are the keys of an object, in order. The text is valid JSON, so nothing can be missing.
func (d *jsonDocument) members(object span) []member {
	var list []member
	at := blanks(d.text, object.from+1)
	for d.text[at] != '}' {
		key := span{at, valueEnd(d.text, at)}
		at = blanks(d.text, key.to) + 1 // the colon
		at = blanks(d.text, at)
		value := span{at, valueEnd(d.text, at)}
		m := member{key: key, value: value}
		if err := json.Unmarshal(d.text[key.from:key.to], &m.name); err != nil {
			panic("file: valid JSON has a key that is none: " + err.Error())
		}
		list = append(list, m)
		at = blanks(d.text, value.to)
		if d.text[at] == ',' {
			at = blanks(d.text, at+1)
		}
	}
	return list
}

func (d *jsonDocument) set(path []string, value json.RawMessage) error {
	return d.restore(path, string(bytes.TrimSpace(value)))
}

func (d *jsonDocument) restore(path []string, text string) error {
	place, depth, err := d.locate(path)
	switch {
	case err != nil:
		return err
	case depth == len(path):
		d.replace(place, text)
		return nil
	case d.text[place.from] != '{':
		return notAnObject(path[:depth])
	}
	d.insert(place, path[depth], string(wrap(path[depth+1:], json.RawMessage(text))))
	return nil
}

// insert adds a member to an object. It goes last and looks like the one before it.
func (d *jsonDocument) insert(object span, key, value string) {
	members := d.members(object)
	if len(members) == 0 {
		d.replace(object, "{"+quoted(key)+": "+value+"}")
		return
	}
	last := members[len(members)-1]
	colon := string(d.text[last.key.to:last.value.from])
	before := last.key.from
	for strings.IndexByte(" \t\r\n", d.text[before-1]) >= 0 {
		before-- // at the latest the object's brace ends this
	}
	gap := string(d.text[before:last.key.from])
	if len(members) == 1 && gap == "" && colon != ":" {
		gap = " "
	}
	d.replace(span{last.value.to, last.value.to}, ","+gap+quoted(key)+colon+value)
}

func (d *jsonDocument) remove(path []string) error {
	object, _, err := d.locate(path[:len(path)-1])
	if err != nil {
		return err
	}
	members := d.members(object)
	for i, m := range members {
		switch {
		case m.name != path[len(path)-1]:
			continue
		case i > 0:
			d.replace(span{members[i-1].value.to, m.value.to}, "")
		case len(members) > 1:
			d.replace(span{m.key.from, members[1].key.from}, "")
		default:
			d.replace(object, "{}")
		}
		return nil
	}
	return nil
}

func (d *jsonDocument) replace(place span, text string) {
	d.text = []byte(string(d.text[:place.from]) + text + string(d.text[place.to:]))
}

// blanks is the first place from at on that is no blank.
func blanks(text []byte, at int) int {
	for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	return at
}

// valueEnd is the end of the value that starts at that place of valid JSON.
func valueEnd(text []byte, at int) int {
	depth, inString := 0, false
	for ; at < len(text); at++ {
		c := text[at]
		switch {
		case inString && c == '\\':
			at++
		case c == '"':
			if inString = !inString; !inString && depth == 0 {
				return at + 1
			}
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return at // the end of what is around a bare number or word
			}
			if depth--; depth == 0 {
				return at + 1
			}
		case depth == 0 && (c == ',' || c == ':' || strings.IndexByte(" \t\r\n", c) >= 0):
			return at
		}
	}
	return at
}
