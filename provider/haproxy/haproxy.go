// Package haproxy reads and changes the servers of an HAProxy's backends through its runtime API.
//
// It is for taking servers out of the traffic and putting them back, and for moving it from one to another. It is not for
// writing configurations: what is set at run time is gone when HAProxy is started anew.
package haproxy

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "haproxy", Doc: "The load balancer HAProxy", Kinds: []string{"haproxy"}}
