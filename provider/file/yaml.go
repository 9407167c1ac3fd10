package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlDocument is a YAML file of one document. A plain value on one line is changed in the text, which keeps every
// blank; any other change goes through the tree of nodes, which keeps order and comments but not empty lines.
type yamlDocument struct {
	text []byte
	root yaml.Node
}

func parseYAML(text []byte) (document, error) {
	d := &yamlDocument{text: text}
	return d, d.parse()
}

func (d *yamlDocument) parse() error {
	d.root = yaml.Node{}
	decoder := yaml.NewDecoder(bytes.NewReader(d.text))
	err := decoder.Decode(&d.root)
	if errors.Is(err, io.EOF) {
		d.root = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
		return nil
	}
	if err != nil {
		return fmt.Errorf("it is not YAML: %w", err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return errors.New("it holds several documents; keys can be set in files of one document only")
	}
	return nil
}

func (d *yamlDocument) bytes() []byte { return d.text }

func (d *yamlDocument) get(path []string) (found, error) {
	node, depth, err := d.locate(path)
	if err != nil || depth < len(path) {
		return found{Depth: depth}, err
	}
	value, err := asJSON(node)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	text, err := yaml.Marshal(node)
	var read yaml.Node
	if err == nil && (yaml.Unmarshal(text, &read) != nil || len(read.Content) != 1 || !sameNodes(node, read.Content[0])) && string(value) != "null" {
		text = value // the library folds some texts so that they read as others; JSON is YAML as well
	}
	return found{JSON: value, Text: string(text), Depth: depth, Empty: string(value) == "{}"}, err
}

// locate follows the path as far as it leads: the value at its end, or the mapping that lacks the next key.
func (d *yamlDocument) locate(path []string) (node *yaml.Node, depth int, err error) {
	node = d.root.Content[0]
	for depth := 0; ; depth++ {
		if node.Anchor != "" || node.Kind == yaml.AliasNode {
			return nil, depth, fmt.Errorf("%s is shared through an anchor; a change would show in several places",
				strings.Join(path[:depth], "."))
		}
		if depth == len(path) {
			return node, depth, nil
		}
		if node.Kind != yaml.MappingNode {
			return nil, depth, notAnObject(path[:depth])
		}
		at, err := child(node, path[depth])
		if err != nil || at < 0 {
			return node, depth, err
		}
		node = node.Content[at+1]
	}
}

// child is the index of the key in the mapping's content, or -1.
func child(mapping *yaml.Node, key string) (int, error) {
	at := -1
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Kind != yaml.ScalarNode || mapping.Content[i].Value != key {
			continue
		}
		if at >= 0 {
			return at, fmt.Errorf("the key %q stands twice in one mapping; readers differ in which one they take", key)
		}
		at = i
	}
	return at, nil
}

func (d *yamlDocument) set(path []string, value json.RawMessage) error {
	node, err := asYAML(value)
	if err != nil {
		return err
	}
	return d.put(path, node)
}

func (d *yamlDocument) restore(path []string, text string) error {
	var read yaml.Node
	err := yaml.Unmarshal([]byte(text), &read)
	if err == nil && read.IsZero() { // `key:` with nothing behind it
		read.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!null"}}
	}
	if err != nil || len(read.Content) != 1 {
		return fmt.Errorf("the text from before is not YAML any more: %q", text)
	}
	return d.put(path, read.Content[0])
}

func (d *yamlDocument) put(path []string, value *yaml.Node) error {
	node, depth, err := d.locate(path)
	if err != nil {
		return err
	}
	if depth == len(path) {
		line, column, old := node.Line, node.Column, *node
		if value.LineComment == "" {
			value.LineComment = node.LineComment
		}
		*node = *value
		return d.rewrite(line, column, old, value)
	}
	for i := len(path) - 1; i > depth; i-- {
		value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{keyNode(path[i]), value}}
	}
	if len(node.Content) == 0 {
		node.Style = 0 // `{}` opens up
	}
	node.Content = append(node.Content, keyNode(path[depth]), value)
	return d.encode()
}

func keyNode(name string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(name)
	return node
}

func (d *yamlDocument) remove(path []string) error {
	mapping, _, err := d.locate(path[:len(path)-1])
	if err != nil {
		return err
	}
	at, err := child(mapping, path[len(path)-1])
	if err != nil || at < 0 {
		return err
	}
	mapping.Content = append(mapping.Content[:at], mapping.Content[at+2:]...)
	return d.encode()
}

// encode makes the text from the nodes.
func (d *yamlDocument) encode() error {
	var out bytes.Buffer
	if bytes.HasPrefix(d.text, []byte("---\n")) {
		out.WriteString("---\n")
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(indent(d.root.Content[0]))
	err := errors.Join(encoder.Encode(&d.root), encoder.Close())
	if err != nil {
		return err
	}
	meant := d.root
	d.text = out.Bytes()
	if err := d.parse(); err != nil {
		return err
	}
	if !sameNodes(&meant, &d.root) {
		return errors.New("it holds something that would be written as something else, such as a key without a value within {}; set the key by hand")
	}
	return nil
}

// sameNodes tells whether two trees say the same, whatever their comments and styles are.
func sameNodes(one, other *yaml.Node) bool {
	if one.Kind != other.Kind || one.Value != other.Value && one.ShortTag() != "!!null" || one.ShortTag() != other.ShortTag() ||
		one.Anchor != other.Anchor || len(one.Content) != len(other.Content) {
		return false
	}
	for i := range one.Content {
		if !sameNodes(one.Content[i], other.Content[i]) {
			return false
		}
	}
	return true
}

// rewrite makes the text after one value was changed: in its line where that is safe, else from the nodes. Safe means
// that the changed line reads as the changed nodes do.
func (d *yamlDocument) rewrite(line, column int, old yaml.Node, value *yaml.Node) error {
	original := d.text
	if err := d.encode(); err != nil {
		return err
	}
	if old.Kind != yaml.ScalarNode || old.Style != 0 || value.Kind != yaml.ScalarNode || strings.Contains(value.Value, "\n") {
		return nil
	}
	lines := bytes.SplitAfter(original, []byte("\n"))
	if line < 1 || line > len(lines) {
		return nil
	}
	runes := []rune(string(lines[line-1]))
	if column < 1 || column > len(runes) || !strings.HasPrefix(string(runes[column-1:]), old.Value) {
		return nil
	}
	bare := yaml.Node{Kind: value.Kind, Tag: value.Tag, Value: value.Value, Style: value.Style}
	written, err := yaml.Marshal(&bare)
	if err != nil {
		return err
	}
	after := strings.TrimPrefix(string(runes[column-1:]), old.Value)
	lines[line-1] = []byte(string(runes[:column-1]) + strings.TrimSuffix(string(written), "\n") + after)
	spliced := bytes.Join(lines, nil)
	if sameYAML(spliced, d.text) {
		d.text = spliced
		return d.parse()
	}
	return nil
}

func sameYAML(one, other []byte) bool {
	var a, b yaml.Node
	if yaml.Unmarshal(one, &a) != nil || yaml.Unmarshal(other, &b) != nil {
		return false
	}
	left, leftErr := asJSON(&a)
	right, rightErr := asJSON(&b)
	return leftErr == nil && rightErr == nil && bytes.Equal(left, right)
}

// indent is how far the file indents nested mappings; 2 where it has none.
func indent(root *yaml.Node) int {
	for i := 1; i < len(root.Content); i += 2 {
		value := root.Content[i]
		if value.Kind == yaml.MappingNode && value.Style == 0 && value.Column > root.Column && root.Column > 0 {
			return value.Column - root.Column
		}
	}
	return 2
}

func asJSON(node *yaml.Node) (json.RawMessage, error) {
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("it holds what JSON cannot say: %w", err)
	}
	return canonical(raw)
}

// asYAML makes a node in block style of a JSON value.
func asYAML(raw json.RawMessage) (*yaml.Node, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the value is not JSON: %w", err)
	}
	return yamlNode(value), nil
}

func yamlNode(value any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch value := value.(type) {
	case nil:
		node.Tag, node.Value = "!!null", "null"
	case bool:
		node.Tag, node.Value = "!!bool", fmt.Sprint(value)
	case json.Number:
		node.Tag, node.Value = "!!int", value.String()
		if strings.ContainsAny(node.Value, ".eE") {
			node.Tag = "!!float"
		}
	case string:
		// Encode quotes what only older readers take for something else, such as yes. It fails for no string.
		if node.Encode(value) != nil {
			node.SetString(value)
		}
	case []any:
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		for _, item := range value {
			node.Content = append(node.Content, yamlNode(item))
		}
	case map[string]any:
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			node.Content = append(node.Content, keyNode(key), yamlNode(value[key]))
		}
	}
	return node
}
