// Package http asks and changes things over HTTP, and breaks them through a fault proxy.
//
// It is for probes, requests, webhooks and HTTP faults. It is not for serving Jenner's own API.
package http

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "http", Doc: "HTTP: probes, requests, faults between caller and callee", Kinds: []string{"http"}}
