package dns

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

// answers are what a program in our namespace is told; each is asked for over UDP and over TCP.
func (w *world) answers(t *testing.T, server, name string, kind uint16, want string) {
	t.Helper()
	within := await.Patience
	if want == "silence" {
		within = brief
	}
	for _, network := range []string{"udp", "tcp"} {
		if got := w.says(network, server, name, kind, within); got != want {
			t.Errorf("%s %s, asked of %s over %s: %s, want %s", name, dns.TypeToString[kind], server, network, got, want)
		}
	}
}

func TestWrongAddressesForTheNamesOnly(t *testing.T) {
	for _, resolver := range []string{theirs, theirs6} {
		t.Run(resolver, func(t *testing.T) {
			w := newWorld(t)
			f := inject(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1", "2001:db8::1"}},
				w.target(resolver, "shop.internal", "*.bank.internal"))
			w.answers(t, resolver, "shop.internal", dns.TypeA, "192.0.2.1")
			w.answers(t, resolver, "SHOP.internal", dns.TypeAAAA, "2001:db8::1")
			w.answers(t, resolver, "pay.bank.internal", dns.TypeA, "192.0.2.1")
			w.answers(t, resolver, "shop.internal", dns.TypeHTTPS, "nothing")
			w.answers(t, resolver, "shop.internal", dns.TypeMX, "10 mail.internal")
			w.answers(t, resolver, "bank.internal", dns.TypeA, rightAddress)
			w.answers(t, resolver, "else.internal", dns.TypeAAAA, rightAddress6)
			f.bites("10 questions were answered with [192.0.2.1 2001:db8::1], 4 others were handed on")
			f.undo()
			w.answers(t, resolver, "shop.internal", dns.TypeA, rightAddress)
		})
	}
}

func TestAnotherResolverIsNotTouched(t *testing.T) {
	w := newWorld(t)
	inject(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1"}}, w.target(theirs6, "*"))
	w.answers(t, theirs6, "shop.internal", dns.TypeA, "192.0.2.1")
	w.answers(t, theirs, "shop.internal", dns.TypeA, rightAddress)
}

// A name server on the loopback address is what most Linux machines have.
func TestAResolverOfTheMachineItself(t *testing.T) {
	w := newWorld(t)
	serve(t, w.ours.Do, "127.0.0.53:53")
	w.answers(t, "127.0.0.53", "shop.internal", dns.TypeA, rightAddress)
	f := inject(t, "failing", map[string]any{"with": "nxdomain"}, w.target("127.0.0.53", "shop.internal"))
	w.answers(t, "127.0.0.53", "shop.internal", dns.TypeA, "NXDOMAIN")
	w.answers(t, "127.0.0.53", "else.internal", dns.TypeA, rightAddress)
	f.undo()
	w.answers(t, "127.0.0.53", "shop.internal", dns.TypeA, rightAddress)
}

func TestFailures(t *testing.T) {
	for with, want := range map[string]string{"nxdomain": "NXDOMAIN", "servfail": "SERVFAIL", "refused": "REFUSED", silence: "silence"} {
		t.Run(with, func(t *testing.T) {
			w := newWorld(t)
			f := inject(t, "failing", map[string]any{"with": with}, w.target(theirs, "*"))
			w.answers(t, theirs, "shop.internal", dns.TypeA, want)
			f.bites("2 questions were answered with " + with + ", 0 others were handed on")
			f.undo()
			w.answers(t, theirs, "shop.internal", dns.TypeA, rightAddress)
		})
	}
}

func TestSlowAnswersAreRightAndLate(t *testing.T) {
	const delay = 200 * time.Millisecond
	w := newWorld(t)
	f := inject(t, "slow", map[string]any{"delay": "200ms"}, w.target(theirs, "shop.internal"))
	begun := time.Now()
	if got := w.says("udp", theirs, "shop.internal", dns.TypeA, await.Patience); got != rightAddress {
		t.Errorf("the late answer is %s, want %s", got, rightAddress)
	}
	if took := time.Since(begun); took < delay {
		t.Errorf("the answer came after %s, and was to be delayed by %s", took, delay)
	}
	f.bites("1 questions waited for 200ms, 0 others were handed on")
	f.undo()
	w.answers(t, theirs, "shop.internal", dns.TypeA, rightAddress)
}

// In a container the name server is an address that is translated to a port of the loopback address, and a firewall drops
// what belongs to no connection that it knows.
func TestBehindAddressTranslationAndAFirewall(t *testing.T) {
	const resolver = "127.0.0.11"
	w := newWorld(t)
	serve(t, w.ours.Do, "127.0.0.1:5353")
	nft, err := lab.Need("nft", "nftables")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ours.Do(func() error {
		command := exec.Command(nft, "-f", "-")
		command.Stdin = strings.NewReader(`
			table ip nat {
				chain out {
					type nat hook output priority -100;
					ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.1:5353
					ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.1:5353
				}
			}
			table inet firewall {
				chain in { type filter hook input priority filter; ct state invalid drop; }
				chain out { type filter hook output priority filter; ct state invalid drop; }
			}`)
		said, err := command.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.answers(t, resolver, "shop.internal", dns.TypeA, rightAddress)
	f := inject(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1"}}, w.target(resolver, "shop.internal"))
	w.answers(t, resolver, "shop.internal", dns.TypeA, "192.0.2.1")
	w.answers(t, resolver, "else.internal", dns.TypeA, rightAddress)
	f.undo()
	w.answers(t, resolver, "shop.internal", dns.TypeA, rightAddress)
}

// Where no hardware computes checksums they are there before the rules, which must correct them.
func TestChecksumsThatAreThereAlready(t *testing.T) {
	for _, resolver := range []string{theirs, theirs6} {
		t.Run(resolver, func(t *testing.T) {
			w := newWorld(t)
			for _, namespace := range []func(func() error) error{w.ours.Do, w.theirs.Do} {
				if err := namespace(func() error { return computeChecksums("wire0") }); err != nil {
					t.Fatal(err)
				}
			}
			w.answers(t, resolver, "shop.internal", dns.TypeA, rightAddress)
			inject(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1"}}, w.target(resolver, "shop.internal"))
			w.answers(t, resolver, "shop.internal", dns.TypeA, "192.0.2.1")
			w.answers(t, resolver, "else.internal", dns.TypeA, rightAddress)
		})
	}
}

// computeChecksums lets the kernel compute the checksums of what goes out through an interface, as `ethtool -K tx off`.
func computeChecksums(name string) error {
	const setTxChecksum = 0x17 // ETHTOOL_STXCSUM
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{setTxChecksum, 0}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// A program that keeps its socket, and so its port, is led to the responder and back like one that does not: nothing is
// remembered of a connection.
func TestAProgramThatKeepsItsSocket(t *testing.T) {
	w := newWorld(t)
	client := &dns.Client{Timeout: await.Patience}
	var conn *dns.Conn
	if err := w.ours.Do(func() (err error) {
		conn, err = client.Dial(theirs + ":53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	says := func() string {
		reply, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion("shop.internal.", dns.TypeA), conn)
		return inAWord(reply, err)
	}
	before := says()
	f := inject(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1"}}, w.target(theirs, "*"))
	during := says()
	f.undo()
	if after := says(); before != rightAddress || during != "192.0.2.1" || after != rightAddress {
		t.Errorf("before %s, during the fault %s, after %s", before, during, after)
	}
}
