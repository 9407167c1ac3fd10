package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("set_flag", "Set one key of a JSON or YAML file", func() act.Action { return &SetFlag{} }, "file")
}

// SetFlag sets one key and leaves the rest of the file as it is. The file is replaced in one step; a symbolic link is
// followed and stays. It is not safe against a writer that does not look whether the file changed since it read it.
type SetFlag struct {
	// Key is the path to the value, with dots between the names: `checkout.cached_mode`. `\.` is a dot in a name.
	Key string `json:"key"`
	// Value is any JSON value.
	Value json.RawMessage `json:"value"`
	// Create makes the file where it is missing. Its folder must be there.
	Create bool `json:"create,omitempty"`
}

// state is the checkpoint.
type state struct {
	File  bool            `json:"file"`  // the file was there
	Depth int             `json:"depth"` // how many keys of the path were there
	Value json.RawMessage `json:"value,omitempty"`
	Text  string          `json:"text,omitempty"` // the value as it was written
}

// Validate checks the key and the value.
func (s *SetFlag) Validate() error {
	if s.Key == "" {
		return errors.New("key is missing; write the path to the value, such as checkout.cached_mode")
	}
	if len(s.Value) == 0 {
		return errors.New("value is missing; write what the key is set to")
	}
	if _, err := canonical(s.Value); err != nil {
		return fmt.Errorf("value %s is not JSON: %w", s.Value, err)
	}
	_, err := splitKey(s.Key)
	return err
}

// Check reads the file and the way to the key.
func (s *SetFlag) Check(_ context.Context, call act.Call) error {
	opened, err := s.open(call)
	if err != nil {
		return err
	}
	if !opened.exists && !s.Create {
		return jenner.Permanent(fmt.Errorf("file %s is not there", opened.real), "write create: true to make it")
	}
	return nil
}

// Checkpoint keeps the value as it is, or that there is none.
func (s *SetFlag) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	opened, err := s.open(call)
	if err != nil {
		return nil, err
	}
	at := opened.at
	return jenner.Raw(state{File: opened.exists, Depth: at.Depth, Value: at.JSON, Text: at.Text}), nil
}

// Fingerprint is the value of this key alone: what others change in the file is none of ours.
func (s *SetFlag) Fingerprint(_ context.Context, call act.Call) (string, error) {
	opened, err := s.open(call)
	if err != nil || opened.at.JSON == nil {
		return "absent", err
	}
	return string(opened.at.JSON), nil
}

// Happened compares the value with what it is to become.
func (s *SetFlag) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	opened, err := s.open(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	want, err := canonical(s.Value)
	if err != nil {
		return act.HappenedUnknown, err
	}
	if bytes.Equal(opened.at.JSON, want) {
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Do sets the key.
func (s *SetFlag) Do(ctx context.Context, call act.Call) (act.Result, error) {
	want, err := canonical(s.Value)
	if err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	if err := s.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	return s.edit(ctx, call, func(opened *opened) (string, error) {
		if bytes.Equal(opened.at.JSON, want) {
			return "", nil
		}
		summary := fmt.Sprintf("%s: %s → %s", s.Key, shown(opened.at.JSON), want)
		if err := opened.document.set(opened.path, s.Value); err != nil {
			return "", err
		}
		return summary, opened.reads(want)
	})
}

// Undo brings the value back, or takes away what was not there: the key, the objects made for it, and the file if it is
// empty then.
func (s *SetFlag) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	var was state
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil {
		return act.Result{}, jenner.ForHuman(fmt.Errorf("the checkpoint cannot be read: %w", err), "set the key back by hand")
	}
	return s.edit(ctx, call, func(opened *opened) (string, error) {
		at := opened.at
		if bytes.Equal(at.JSON, was.Value) {
			return "", nil
		}
		summary := fmt.Sprintf("%s: %s → %s", s.Key, shown(at.JSON), shown(was.Value))
		if was.Value != nil {
			if err := opened.document.restore(opened.path, was.Text); err != nil {
				return "", err
			}
			return summary, opened.reads(was.Value)
		}
		opened.removeFile = !was.File
		return summary, opened.prune(was.Depth)
	})
}

// opened is the file with the way to the key.
type opened struct {
	name       string // as people wrote it
	real       string
	exists     bool
	info       os.FileInfo
	document   document
	path       []string
	at         found
	removeFile bool // where nothing is left in it
}

func (s *SetFlag) open(call act.Call) (*opened, error) {
	target, err := decode(call.Target)
	if err != nil {
		return nil, err
	}
	o := &opened{name: target.Path}
	if o.path, err = splitKey(s.Key); err == nil {
		o.real, o.exists, err = realPath(target.Path)
	}
	if err == nil && o.exists {
		o.info, err = os.Stat(o.real)
	}
	content := []byte("{}\n")
	if err == nil && o.exists {
		content, err = read(o.real, o.info)
	}
	if err == nil {
		o.document, err = parseAs(target.Path, content, o.exists)
	}
	if err == nil {
		o.at, err = o.document.get(o.path)
	}
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("file %s: key %s: %w", target.Path, s.Key, err), "")
	}
	return o, nil
}

func read(path string, info os.FileInfo) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	return os.ReadFile(path)
}

// parseAs parses by the extension of the name that people wrote, which a link's target may not have.
func parseAs(name string, content []byte, exists bool) (document, error) {
	parse, err := formatOf(name)
	if err != nil {
		return nil, err
	}
	if !exists && filepath.Ext(name) != ".json" {
		content = nil
	}
	return parse(content)
}

// edit changes the document and writes it. Where somebody else wrote the file meanwhile, it begins anew with theirs.
func (s *SetFlag) edit(ctx context.Context, call act.Call, change func(*opened) (string, error)) (act.Result, error) {
	for range 5 {
		if ctx.Err() != nil {
			return act.Result{}, jenner.Retryable(fmt.Errorf("%s was not set: %w", s.Key, context.Cause(ctx)), "")
		}
		opened, err := s.open(call)
		if err != nil {
			return act.Result{}, err
		}
		summary, err := change(opened)
		if err != nil {
			return act.Result{}, jenner.Permanent(fmt.Errorf("file %s: %w", opened.real, err), "")
		}
		if summary == "" {
			return act.Result{Summary: fmt.Sprintf("%s is %s already", s.Key, shown(opened.at.JSON))}, nil
		}
		err = opened.save()
		if errors.Is(err, errMeanwhile) {
			continue
		}
		if err != nil {
			return act.Result{}, jenner.Retryable(err, "")
		}
		return act.Result{Summary: summary, Changed: true}, nil
	}
	return act.Result{}, jenner.Retryable(fmt.Errorf("%s was not set: %w, five times", s.Key, errMeanwhile), "")
}

// reads makes sure, before anything is written, that the changed file can be read and holds that value at the key: not
// every format can hold every value, and a checkpoint may be damaged.
func (o *opened) reads(want json.RawMessage) error {
	again, err := parseAs(o.name, o.document.bytes(), true)
	if err != nil {
		return fmt.Errorf("it could not be read any more: %w", err)
	}
	at, err := again.get(o.path)
	if err != nil || !bytes.Equal(at.JSON, want) {
		return errors.Join(fmt.Errorf("%s would be read as %s and not as %s", strings.Join(o.path, "."), shown(at.JSON), want), err)
	}
	return nil
}

func (o *opened) save() error {
	if o.removeFile && o.empty() {
		if err := os.Remove(o.real); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncFolder(filepath.Dir(o.real))
	}
	return replace(o.real, o.document.bytes(), o.info)
}

func (o *opened) empty() bool {
	whole, err := o.document.get(nil)
	return err == nil && whole.Empty
}

// prune takes the key away, and the objects above it that were not there before and are empty now.
func (o *opened) prune(depth int) error {
	if err := o.document.remove(o.path); err != nil {
		return err
	}
	for n := len(o.path) - 1; n > depth; n-- {
		parent, err := o.document.get(o.path[:n])
		if err != nil || !parent.Empty {
			return err
		}
		if err := o.document.remove(o.path[:n]); err != nil {
			return err
		}
	}
	return nil
}

func shown(value json.RawMessage) string {
	if value == nil {
		return "absent"
	}
	return strings.TrimSpace(string(value))
}
