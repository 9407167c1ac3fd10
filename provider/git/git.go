// Package git compares files of this machine with what a Git repository says they are, and restores them from it.
//
// It is for configuration files that are kept in Git and put on machines by somebody's deployment: it tells a change that
// was made by hand from one that was made through Git. It is not for deploying, and not for changing a repository.
package git

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "git", Doc: "Files that are kept in a Git repository", Kinds: []string{"gitfile"}}
