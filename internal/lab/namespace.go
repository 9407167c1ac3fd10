package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name: it lives as long as this process keeps it open, or somebody lives in
// it, and nothing of it is left on the disk.
type Namespace struct{ file *os.File }

// NewNamespace makes a network namespace in which only the loopback interface is up. It needs root.
func NewNamespace() (*Namespace, error) {
	type answer struct {
		file *os.File
		err  error
	}
	answers := make(chan answer)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread stays in the new namespace, and ends with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			answers <- answer{err: fmt.Errorf("cannot make a network namespace: %w; needs CAP_SYS_ADMIN; run as root", err)}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		answers <- answer{file, err}
	}()
	made := <-answers
	if made.err != nil {
		return nil, made.err
	}
	n := &Namespace{made.file}
	if err := n.up("lo"); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Path is where the namespace can be opened, by other processes too, until Close.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// Close lets the namespace go. The kernel removes it, with all interfaces and rules in it, when nobody is in it.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs work on a thread in the namespace. Sockets that work makes, and programs that it starts, stay there; goroutines
// that it starts do not.
func (n *Namespace) Do(work func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that nothing else ever runs on this thread
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("cannot enter the network namespace: %w", err)
			return
		}
		done <- work()
	}()
	return <-done
}

func (n *Namespace) handle() (*netlink.Handle, error) {
	return netlink.NewHandleAt(netns.NsHandle(n.file.Fd()), unix.NETLINK_ROUTE)
}

// up brings an interface up and gives it addresses.
func (n *Namespace) up(name string, addresses ...netip.Prefix) error {
	handle, err := n.handle()
	if err != nil {
		return err
	}
	defer handle.Close()
	link, err := handle.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	for _, address := range addresses {
		parsed, err := netlink.ParseAddr(address.String())
		if err != nil {
			return err
		}
		if address.Addr().Is6() {
			parsed.Flags = unix.IFA_F_NODAD // or it could not be used for a second
		}
		if err := handle.AddrAdd(link, parsed); err != nil {
			return fmt.Errorf("address %s on %s: %w", address, name, err)
		}
	}
	return handle.LinkSetUp(link)
}

// Link joins two namespaces by a pair of interfaces, called name on both sides, that have the first and the second
// address of the networks: 10.99.0.0/24 gives 10.99.0.1 and 10.99.0.2.
func Link(one, other *Namespace, name string, networks ...string) error {
	handle, err := one.handle()
	if err != nil {
		return err
	}
	defer handle.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(other.file.Fd())}
	if err := handle.LinkAdd(pair); err != nil {
		return fmt.Errorf("cannot make a pair of interfaces: %w", err)
	}
	var ones, others []netip.Prefix
	for _, network := range networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return err
		}
		first := prefix.Masked().Addr().Next()
		ones = append(ones, netip.PrefixFrom(first, prefix.Bits()))
		others = append(others, netip.PrefixFrom(first.Next(), prefix.Bits()))
	}
	if err := errors.Join(one.up(name, ones...), other.up(name, others...)); err != nil {
		return err
	}
	return errors.Join(one.await(name), other.await(name))
}

// await waits until the kernel sends packets through an interface: for a moment after it came up it drops them.
func (n *Namespace) await(name string) error {
	handle, err := n.handle()
	if err != nil {
		return err
	}
	defer handle.Close()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		link, err := handle.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("interface %s does not come up: it is %s", name, link.Attrs().OperState)
		}
	}
}
