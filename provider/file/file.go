// Package file changes single keys of JSON and YAML files, and breaks files of any format.
//
// It is for flags and settings that a service reads from a file, and for what may befall such a file. It is not for
// editing text.
package file

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to. The kind gitfile is another provider's: faults break
// the file that such a target names.
var Provider = &catalog.Provider{Name: "file", Doc: "Files, and keys of JSON and YAML files", Kinds: []string{"file", "gitfile"}}
