// Package tcp asks whether a TCP port answers.
//
// It is for reachability only. It is not for what is spoken on the connection.
package tcp

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "tcp", Doc: "TCP reachability"}
