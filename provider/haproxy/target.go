package haproxy

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("haproxy", "A backend of an HAProxy", func() any { return &Target{} })
}

// Target is one backend of an HAProxy.
type Target struct {
	// Socket is where the runtime API listens (`stats socket` in HAProxy's configuration): the path of a Unix socket, or
	// HOST:PORT. Actions need one of level admin. A relative path starts from the folder of the file that declares the
	// target.
	Socket string `json:"socket"`
	// Backend is the name of the backend.
	Backend string `json:"backend"`
}

// Validate checks what can be checked without asking anybody.
func (t *Target) Validate() error {
	if t.Socket == "" {
		return errors.New("socket is missing; write the path of the runtime API's socket, or HOST:PORT")
	}
	if t.Backend == "" || !isWord(t.Backend) {
		return fmt.Errorf("backend %q is no name of a backend", t.Backend)
	}
	return nil
}

// isWord tells whether a text can be a name in a command: whatever else it holds could be another command.
func isWord(text string) bool {
	for _, r := range text {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:", r) {
			return false
		}
	}
	return text != ""
}

// network is unix for a path and tcp for HOST:PORT.
func (t *Target) network() string {
	if !strings.Contains(t.Socket, "/") && strings.Contains(t.Socket, ":") {
		return "tcp"
	}
	return "unix"
}

// decode reads a target's parameters and resolves its path.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "haproxy" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind haproxy", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	if t.network() == "unix" && !filepath.IsAbs(t.Socket) {
		t.Socket = filepath.Join(target.Dir, t.Socket)
	}
	return t, nil
}

// named is the target of the service that a probe or a source asks about: the one of that name, or the only one of the
// kind.
func named(service jenner.Service, name string) (*Target, error) {
	var fit []jenner.Target
	var names []string
	for _, target := range service.Targets {
		if target.Kind == "haproxy" {
			names = append(names, target.Name)
			if name == "" || target.Name == name {
				fit = append(fit, target)
			}
		}
	}
	switch {
	case len(fit) == 1:
		return decode(fit[0])
	case name != "":
		return nil, fmt.Errorf("service %s has no target %q of kind haproxy%s", service.Name, name, strict.Hint(name, names))
	}
	return nil, fmt.Errorf("service %s has %d targets of kind haproxy; say which one is meant with target: NAME", service.Name, len(fit))
}
