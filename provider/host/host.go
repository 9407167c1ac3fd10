// Package host takes resources of this machine away: processor time, memory, room on a disk.
//
// It is for pressure on a whole machine, or inside of the limits of one process's control group, which ends with the
// process that makes it. It is not for limits themselves, such as a smaller quota: those belong to whoever set them.
package host

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to. The kind process is another provider's: what
// works on it here works inside of that process's control groups.
var Provider = &catalog.Provider{Name: "host", Doc: "This machine's processors, memory and disks", Kinds: []string{"host", "disk", "process"}}
