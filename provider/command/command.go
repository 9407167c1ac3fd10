// Package command runs commands with a fixed list of arguments.
//
// It is for what no other provider can do. It is not a shell: nothing is expanded or joined.
package command

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "command", Doc: "Commands with a fixed list of arguments"}
