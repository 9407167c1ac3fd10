// Package process starts, stops, watches and breaks processes of this machine.
//
// It is for processes known by a pidfile and their start time, so that a reused pid is never taken for them. It is not
// for processes under an init system, which has its own ways to restart them.
package process

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "process", Doc: "Processes of this machine", Kinds: []string{"process"}}
