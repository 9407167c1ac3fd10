package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// delta is one field of an object that a fault changes.
type delta struct {
	// Path are the names from the object down to the field. An element of a list is meant by one of its own fields, as
	// in containers, name=web: where it stands in the list is nobody's promise.
	Path []string        `json:"path"`
	Was  json.RawMessage `json:"was,omitempty"` // before; nothing where the field was not there
	Is   json.RawMessage `json:"is,omitempty"`  // as the fault leaves it; nothing where the fault took it away
}

// setting is a change as a fault wants it; what was there before is found out.
func setting(value any, path ...string) (delta, error) {
	raw, err := json.Marshal(value)
	return delta{Path: path, Is: raw}, err
}

// String is the change in words.
func (c delta) String() string {
	return fmt.Sprintf("%s: %s → %s", strings.Join(c.Path, "."), shown(c.Was), shown(c.Is))
}

// shown is a value for people: the beginning of a long one.
func shown(raw json.RawMessage) string {
	const most = 60
	if len(raw) == 0 {
		return "nothing"
	}
	if runes := []rune(string(raw)); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(raw)
}

// valueAt gives a field of an object as JSON with sorted keys, so that equal values are equal bytes; nothing where it is
// not there.
func valueAt(object map[string]any, path []string) (json.RawMessage, error) {
	value, found, err := find(object, path)
	if err != nil || !found {
		return nil, err
	}
	return json.Marshal(value)
}

// putAt sets a field of an object, or takes it away where raw is nothing.
func putAt(object map[string]any, path []string, raw json.RawMessage) error {
	if len(path) == 0 {
		return errors.New("a change without a path")
	}
	var value any
	if len(raw) > 0 {
		if err := utiljson.Unmarshal(raw, &value); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(path, "."), err)
		}
	}
	changed, err := putIn(object, path, value, len(raw) > 0)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	if _, still := changed.(map[string]any); !still {
		return fmt.Errorf("%s is no field of an object", strings.Join(path, "."))
	}
	return nil
}

// find walks down a path.
func find(value any, path []string) (any, bool, error) {
	for i, name := range path {
		switch node := value.(type) {
		case map[string]any:
			next, has := node[name]
			if !has {
				return nil, false, nil
			}
			value = next
		case []any:
			at, err := elementNamed(node, name)
			if err != nil {
				return nil, false, fmt.Errorf("%s: %w", strings.Join(path[:i], "."), err)
			}
			if at < 0 {
				return nil, false, nil
			}
			value = node[at]
		case nil:
			return nil, false, nil
		default:
			return nil, false, fmt.Errorf("%s is a single value and has no %s", strings.Join(path[:i], "."), name)
		}
	}
	return value, true, nil
}

// placed gives the node with the value put at the path, or taken away from there. Maps are changed in place.
func putIn(node any, path []string, value any, has bool) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch node := node.(type) {
	case map[string]any:
		return node, putInMap(node, path, value, has)
	case []any:
		return putInList(node, path, value, has)
	case nil:
		if !has {
			return nil, nil
		}
		if strings.Contains(path[0], "=") {
			return putIn([]any{}, path, value, has)
		}
		return putIn(map[string]any{}, path, value, has)
	}
	return nil, fmt.Errorf("there is a single value where %s is to be", path[0])
}

func putInMap(node map[string]any, path []string, value any, has bool) error {
	below, there := node[path[0]]
	if !has && (len(path) == 1 || !there) {
		delete(node, path[0])
		return nil
	}
	next, err := putIn(below, path[1:], value, has)
	if err == nil {
		node[path[0]] = next
		if list, is := next.([]any); is && len(list) == 0 && !has {
			delete(node, path[0]) // the server keeps no empty lists either
		}
	}
	return err
}

func putInList(list []any, path []string, value any, has bool) (any, error) {
	at, err := elementNamed(list, path[0])
	switch {
	case err != nil:
		return nil, err
	case at < 0 && !has:
		return list, nil
	case at < 0 && len(path) > 1:
		return nil, fmt.Errorf("there is no %s", path[0])
	case at < 0:
		return append(list, value), nil
	case len(path) == 1 && !has:
		return slices.Delete(list, at, at+1), nil
	}
	next, err := putIn(list[at], path[1:], value, has)
	if err == nil {
		list[at] = next
	}
	return list, err
}

// elementNamed is the place of the element that a name such as name=web means; -1 where there is none.
func elementNamed(list []any, name string) (int, error) {
	field, want, ok := strings.Cut(name, "=")
	if !ok {
		return -1, fmt.Errorf("%q names no element of a list; write FIELD=VALUE", name)
	}
	found := -1
	for i, element := range list {
		fields, is := element.(map[string]any)
		if text, isText := fields[field].(string); !is || !isText || text != want {
			continue
		}
		if found >= 0 {
			return -1, fmt.Errorf("%s means more than one element", name)
		}
		found = i
	}
	return found, nil
}
