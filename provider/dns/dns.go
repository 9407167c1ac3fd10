// Package dns asks a name server, and breaks what it says to the programs of one network namespace.
//
// It is for the answers to questions about names: wrong ones, none, late ones. What programs ask their name server is led
// to a responder of the fault's own process by packet rules. It is not for name servers themselves, nor for the files in
// which programs find their name server; it never touches either.
package dns

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "dns", Doc: "Answers to questions about names", Kinds: []string{"dns"}}
