package host

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("disk", "A file system of this machine", func() any { return &TargetDisk{} })
}

// TargetDisk is a mounted file system, named by a folder on it. A relative path starts from the folder of the file that
// declares the target.
type TargetDisk struct {
	Path string `json:"path"`
}

// Validate checks what can be checked without touching anything.
func (t *TargetDisk) Validate() error {
	if t.Path == "" {
		return errors.New("path is missing; write a folder on the file system")
	}
	return nil
}

// decodeDisk reads a target's parameters and resolves its path.
func decodeDisk(target jenner.Target) (*TargetDisk, error) {
	if target.Kind != "disk" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not a disk", target.Ref()), "")
	}
	t := &TargetDisk{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	if !filepath.IsAbs(t.Path) {
		t.Path = filepath.Join(target.Dir, t.Path)
	}
	return t, nil
}
