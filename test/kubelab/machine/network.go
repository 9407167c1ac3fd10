package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The names of interfaces inside a machine.
const (
	Uplink     = "eth0" // of a machine that is plugged into the switch
	SwitchPort = "br0"  // of the machine that is the switch
)

// joinNetwork gives the machine's interface its address and its routes, and lets it forward.
func joinNetwork(spec Net) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := settings(); err != nil {
		return err
	}
	name := Uplink
	if spec.Switch {
		name = SwitchPort
	}
	return Join(nil, name, spec)
}

// Join gives an interface its address, brings it up and sets the routes. A nil handle means the network that the caller
// is in.
func Join(handle *netlink.Handle, name string, spec Net) error {
	if handle == nil {
		var err error
		if handle, err = netlink.NewHandle(); err != nil {
			return err
		}
		defer handle.Close()
	}
	link, err := handle.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := handle.AddrAdd(link, &netlink.Addr{IPNet: ipNet(spec.Address)}); err != nil {
		return fmt.Errorf("interface %s: address %s: %w", name, spec.Address, err)
	}
	if err := handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	for to, via := range spec.Routes {
		prefix, err := netip.ParsePrefix(to)
		if err != nil {
			return err
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(prefix), Gw: via.AsSlice()}
		if err := handle.RouteAdd(route); err != nil {
			return fmt.Errorf("route to %s by %s: %w", to, via, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// settings are those of this network namespace alone. A redirect would tell a sender the way to the pod behind a
// Service, past the one who translates the address.
func settings() error {
	for key, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
		"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
		"bridge/bridge-nf-call-iptables": "0", // what goes through the switch is not this machine's to filter
	} {
		err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Plug connects two machines, or the host where pid is 0, with a pair of interfaces that has the names given. The pair
// goes when one of the machines does.
type Plug struct {
	PID  int    // whose network the end lies in; 0 for the network of the caller
	Name string // of the interface there
}

// Connect makes the pair. The names must be free on the host too, for there the pair is made.
func Connect(one, other Plug) error {
	a, b := temporary(one), temporary(other)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: b}); err != nil {
		return fmt.Errorf("cannot make the interfaces %s and %s: %w", a, b, err)
	}
	for name, plug := range map[string]Plug{a: one, b: other} {
		if err := move(name, plug); err != nil {
			return fmt.Errorf("interface %s: %w", plug.Name, err)
		}
	}
	return nil
}

// temporary is a name that no other machine's interface has on the host.
func temporary(plug Plug) string {
	if plug.PID == 0 {
		return plug.Name
	}
	return fmt.Sprintf("jl%x%s", plug.PID, plug.Name[max(0, len(plug.Name)-4):])
}

func move(name string, to Plug) error {
	if to.PID == 0 {
		return nil
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsPid(link, to.PID); err != nil {
		return err
	}
	return Within(to.PID, func(handle *netlink.Handle) error {
		moved, err := handle.LinkByName(name)
		if err != nil {
			return err
		}
		return handle.LinkSetName(moved, to.Name)
	})
}

// Within works in a machine's network.
func Within(pid int, do func(*netlink.Handle) error) error {
	space, err := netns.GetFromPid(pid)
	if err != nil {
		return err
	}
	defer space.Close()
	handle, err := netlink.NewHandleAt(space)
	if err != nil {
		return err
	}
	defer handle.Close()
	return do(handle)
}

// AddSwitch makes the bridge in a machine's network into which others are plugged.
func AddSwitch(pid int) error {
	return Within(pid, func(handle *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = SwitchPort
		return handle.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	})
}

// PlugIn puts an interface of the switch's machine into the switch.
func PlugIn(pid int, name string) error {
	return Within(pid, func(handle *netlink.Handle) error {
		bridge, err := handle.LinkByName(SwitchPort)
		if err != nil {
			return err
		}
		port, err := handle.LinkByName(name)
		if err != nil {
			return err
		}
		return errors.Join(handle.LinkSetMaster(port, bridge), handle.LinkSetUp(port))
	})
}

// SetPort lets the switch pass what comes by one of its interfaces, or not.
func SetPort(pid int, name string, up bool) error {
	return Within(pid, func(handle *netlink.Handle) error {
		port, err := handle.LinkByName(name)
		if err != nil {
			return err
		}
		if up {
			return handle.LinkSetUp(port)
		}
		return handle.LinkSetDown(port)
	})
}
