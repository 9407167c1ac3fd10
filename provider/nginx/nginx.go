// Package nginx checks, reloads, starts and stops an nginx of this machine.
//
// It is for an nginx that is known by its pidfile and its configuration file. It is not for one under an init system,
// which has its own ways to start it, and not for writing configurations.
package nginx

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "nginx", Doc: "The web server nginx", Kinds: []string{"nginx"}}
