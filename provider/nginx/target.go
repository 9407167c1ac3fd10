package nginx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("nginx", "An nginx of this machine", func() any { return &Target{} })
}

// Target is an nginx of this machine. Relative paths start from the folder of the file that declares the target.
type Target struct {
	// Config is the configuration's file.
	Config string `json:"config"`
	// Pidfile is the file that the configuration's `pid` names.
	Pidfile string `json:"pidfile"`
	// Prefix is the folder that relative paths in the configuration start from; the one nginx was built with where not said.
	Prefix string `json:"prefix,omitempty"`
	// Bin is the program; nginx from PATH or /usr/sbin where not said. A name with a slash is a path.
	Bin string `json:"bin,omitempty"`
}

// Validate checks what can be checked without touching anything.
func (t *Target) Validate() error {
	if t.Config == "" {
		return errors.New("config is missing; write the path of the configuration's file")
	}
	if t.Pidfile == "" {
		return errors.New("pidfile is missing; write the path that the configuration's pid names")
	}
	return nil
}

// decode reads a target's parameters and resolves its paths.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "nginx" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind nginx", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	paths := []*string{&t.Config, &t.Pidfile}
	if t.Prefix != "" {
		paths = append(paths, &t.Prefix)
	}
	if strings.Contains(t.Bin, "/") {
		paths = append(paths, &t.Bin)
	}
	for _, path := range paths {
		if !filepath.IsAbs(*path) {
			*path = filepath.Join(target.Dir, *path)
		}
	}
	return t, nil
}

// named is the target of the service that a probe asks about: the one of that name, or the only one of the kind.
func named(service jenner.Service, name string) (jenner.Target, error) {
	var fit []jenner.Target
	var names []string
	for _, target := range service.Targets {
		if target.Kind == "nginx" {
			names = append(names, target.Name)
			if name == "" || target.Name == name {
				fit = append(fit, target)
			}
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case name != "":
		return jenner.Target{}, fmt.Errorf("service %s has no target %q of kind nginx%s", service.Name, name, strict.Hint(name, names))
	}
	return jenner.Target{}, fmt.Errorf("service %s has %d targets of kind nginx; say which one is meant with target: NAME",
		service.Name, len(fit))
}
