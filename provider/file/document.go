package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// document is a parsed file of which single keys can be read and changed. What is not asked about stays as it is.
type document interface {
	// get gives the value at a path; an absent one has no JSON and tells how many of the path's keys are there.
	get(path []string) (found, error)
	// set puts a value at a path and makes the objects on the way.
	set(path []string, value json.RawMessage) error
	// restore puts the text of an earlier get back.
	restore(path []string, text string) error
	// remove takes the key away; it is there.
	remove(path []string) error
	// bytes is the whole file.
	bytes() []byte
}

// found is what stands at a path.
type found struct {
	JSON  json.RawMessage // canonical: equal values have equal bytes; nil where the path leads nowhere
	Text  string          // as it is written in the file
	Depth int             // how many keys of the path are there
	Empty bool            // an object without keys
}

// formatOf gives the parser for a file's name.
func formatOf(path string) (func([]byte) (document, error), error) {
	switch filepath.Ext(path) {
	case ".json":
		return parseJSON, nil
	case ".yaml", ".yml":
		return parseYAML, nil
	}
	return nil, fmt.Errorf("file %s is neither .json nor .yaml; keys can be set in those only", path)
}

// splitKey splits a dotted path into its keys; `\.` is a dot inside of a key.
func splitKey(dotted string) ([]string, error) {
	if !utf8.ValidString(dotted) {
		return nil, fmt.Errorf("key %q is not UTF-8", dotted)
	}
	var path []string
	var key strings.Builder
	for i := 0; i < len(dotted); i++ {
		switch {
		case dotted[i] == '\\' && i+1 < len(dotted) && dotted[i+1] == '.':
			key.WriteByte('.')
			i++
		case dotted[i] == '.':
			path = append(path, key.String())
			key.Reset()
		default:
			key.WriteByte(dotted[i])
		}
	}
	path = append(path, key.String())
	for _, key := range path {
		if key == "" {
			return nil, fmt.Errorf(`key %q has an empty part; write names with dots between them, and \. for a dot in a name`, dotted)
		}
	}
	return path, nil
}

// canonical gives equal values equal bytes: keys sorted, no blanks, fractions in their shortest form. Whole numbers keep
// every digit.
func canonical(raw []byte) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return json.Marshal(plain(value))
}

// plain makes a float of every number that is written with a fraction or an exponent, where a float can hold it.
func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		if float, err := value.Float64(); err == nil && strings.ContainsAny(value.String(), ".eE") {
			return float
		}
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	}
	return value
}

// wrap puts a value into the objects that its path still needs.
func wrap(path []string, value json.RawMessage) json.RawMessage {
	for i := len(path) - 1; i >= 0; i-- {
		value = json.RawMessage(quoted(path[i]) + `: ` + string(value))
		value = json.RawMessage(`{` + string(value) + `}`)
	}
	return value
}

// quoted is a string as JSON, without the escapes that only HTML needs.
func quoted(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic("file: a string cannot be JSON: " + err.Error())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func notAnObject(path []string) error {
	if len(path) == 0 {
		return errors.New("the file does not hold an object")
	}
	return fmt.Errorf("%s is not an object, so it has no keys", strings.Join(path, "."))
}
