package git

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("gitfile", "A file of this machine that is kept in a Git repository", func() any { return &TargetGitfile{} })
}

// TargetGitfile is a file of this machine that somebody puts there from a Git repository. The bytes must be those that
// Git stores: filters such as LFS and line endings are not applied. Relative paths start from the folder of the file that
// declares the target.
type TargetGitfile struct {
	// Repository is a folder, bare or a working clone, or a URL such as https://HOST/NAME.git or git@HOST:NAME.git.
	Repository string `json:"repository"`
	// Path is the file's path inside the repository.
	Path string `json:"path"`
	// Revision is the branch to compare with; the one that HEAD names where not said. In a clone, REMOTE/BRANCH is
	// fetched from that remote before it is trusted.
	Revision string `json:"revision,omitempty"`
	// File is the live file. Symbolic links are followed.
	File string `json:"file"`
	// Cache is the folder in which a repository that is a URL is mirrored; jenner/git in the user's cache folder where
	// not said.
	Cache string `json:"cache,omitempty"`
}

// remoteForm is a URL, or the short form of SSH: git@HOST:NAME.git.
var remoteForm = regexp.MustCompile(`^([a-z][a-z0-9+.-]*://|[^/:]+:)`)

// Validate checks what can be checked without touching anything.
func (t *TargetGitfile) Validate() error {
	switch {
	case t.Repository == "" || strings.HasPrefix(t.Repository, "-"):
		return errors.New("repository is missing; write a folder or a URL")
	case t.Path == "" || !filepath.IsLocal(t.Path):
		return fmt.Errorf("path %q is no path inside a repository, such as web/nginx.conf", t.Path)
	case t.File == "":
		return errors.New("file is missing; write the path of the live file")
	case strings.HasPrefix(t.Revision, "-") || strings.ContainsAny(t.Revision, " \t\n:"):
		return fmt.Errorf("revision %q is no branch", t.Revision)
	}
	return nil
}

// isURL tells whether the repository is somewhere else.
func (t *TargetGitfile) isURL() bool { return remoteForm.MatchString(t.Repository) }

// decode reads a target's parameters and resolves its paths.
func decode(target jenner.Target) (*TargetGitfile, error) {
	if target.Kind != "gitfile" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind gitfile", target.Ref()), "")
	}
	t := &TargetGitfile{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	paths := []*string{&t.File}
	if !t.isURL() {
		paths = append(paths, &t.Repository)
	}
	if t.Cache != "" {
		paths = append(paths, &t.Cache)
	}
	for _, path := range paths {
		if !filepath.IsAbs(*path) {
			*path = filepath.Join(target.Dir, *path)
		}
	}
	t.Path = filepath.ToSlash(filepath.Clean(t.Path))
	return t, nil
}

// named is the target of the service that a probe asks about: the one of that name, or the only one of the kind.
func named(service jenner.Service, name string) (jenner.Target, error) {
	var fit []jenner.Target
	var names []string
	for _, target := range service.Targets {
		if target.Kind == "gitfile" {
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
		return jenner.Target{}, fmt.Errorf("service %s has no target %q of kind gitfile%s", service.Name, name, strict.Hint(name, names))
	}
	return jenner.Target{}, fmt.Errorf("service %s has %d targets of kind gitfile; say which one is meant with target: NAME",
		service.Name, len(fit))
}
