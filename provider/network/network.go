// Package network breaks the network between a target's network namespace and its peers: packets are dropped, lost,
// delayed or slowed down, and connections are cut.
//
// It is for packets that are chosen by address, port and protocol, in the namespace that the target lives in. It is not
// for what is said on a connection, which packages http and dns break, nor for interfaces and routes, which it never
// changes.
package network

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "network", Doc: "Packets and connections, per network namespace", Kinds: []string{"network"}}
