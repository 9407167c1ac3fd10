package file

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("file", "A file of this machine", func() any { return &Target{} })
}

// Target is a file. Single keys can be set where it is JSON (.json) or YAML (.yaml, .yml). A relative path starts from the
// folder of the file that declares the target.
type Target struct {
	Path string `json:"path"`
}

// Validate checks what can be checked without touching the file.
func (t *Target) Validate() error {
	if t.Path == "" {
		return errors.New("path is missing")
	}
	return nil
}

// decode reads a target's parameters and resolves its path.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "file" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not a file", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	if !filepath.IsAbs(t.Path) {
		t.Path = filepath.Join(target.Dir, t.Path)
	}
	return t, nil
}
