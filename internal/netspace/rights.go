package netspace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// rights looks whether packets may be touched, and another namespace be entered.
func (w Where) rights() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // of this thread, 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("cannot tell which capabilities there are: %w", err)
	}
	has := func(capability uint) bool { return data[capability/32].Effective&(1<<(capability%32)) != 0 }
	switch {
	case !has(unix.CAP_NET_ADMIN):
		return jenner.Permanent(errors.New("changing what happens to packets needs CAP_NET_ADMIN"), "run as root")
	case !w.isOwn() && !has(unix.CAP_SYS_ADMIN):
		return jenner.Permanent(errors.New("entering a network namespace needs CAP_SYS_ADMIN"), "run as root")
	}
	return nil
}
