package network

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/netspace"
)

// routes opens what asks the namespace about interfaces, addresses and queues.
func routes(space *netspace.Space) (*netlink.Handle, error) {
	if space.FD() == 0 {
		return netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	return netlink.NewHandleAt(netns.NsHandle(space.FD()), unix.NETLINK_ROUTE)
}

// interfaceIn refuses an interface that is not there: its rules would never match.
func (t *Target) interfaceIn(space *netspace.Space) error {
	if t.Interface == "" {
		return nil
	}
	handle, err := routes(space)
	if err != nil {
		return err
	}
	defer handle.Close()
	_, err = t.link(handle)
	return err
}

// link is the interface that the target names or, where it names none, the one through which its peer is reached.
func (t *Target) link(handle *netlink.Handle) (netlink.Link, error) {
	if t.Interface != "" {
		link, err := handle.LinkByName(t.Interface)
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("interface %s: %w", t.Interface, err), "`ip link` lists those that are there")
		}
		return link, nil
	}
	if !t.peer.IsValid() || !t.peer.IsSingleIP() {
		return nil, jenner.Permanent(fmt.Errorf("the interface is not known, for %s does not name one peer", t.choice()), "write interface")
	}
	found, err := handle.RouteGet(t.peer.Addr().AsSlice())
	if err != nil || len(found) == 0 {
		return nil, jenner.Permanent(fmt.Errorf("no way leads to peer %s: %w", t.peer.Addr(), err), "write interface")
	}
	return handle.LinkByIndex(found[0].LinkIndex)
}

// choice says in words which packets are meant.
func (t *Target) choice() string {
	text := "everybody"
	if t.peer.IsValid() {
		text = t.Peer
	}
	if t.Port != 0 {
		text += fmt.Sprintf(" port %d", t.Port)
	}
	return text + " (" + t.Protocol + ", " + t.Direction + ")"
}
