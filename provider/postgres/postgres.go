// Package postgres watches, heals and breaks PostgreSQL clusters: their connections, queries, replication and server.
//
// It is for clusters that Jenner can connect to, and, for what needs pg_ctl, whose data directory is on this machine. It
// is not for schemas and data: it changes no row, but for the one that a drill spoils and puts back.
package postgres

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "postgres", Doc: "PostgreSQL clusters", Kinds: []string{"postgres"}}
