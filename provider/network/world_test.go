package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
)

// brief is how long is waited for what is not to come.
const brief = 300 * time.Millisecond

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// The addresses of the two namespaces of a world. The second network is there for traffic that no fault is about.
const (
	ours, theirs           = "10.99.0.1", "10.99.0.2"
	ours6, theirs6         = "fd99::1", "fd99::2"
	oursOther, theirsOther = "10.98.0.1", "10.98.0.2"
	echoPort               = 7007
	otherPort              = 7008
	wire                   = "wire0"
	wireOther              = "wire1"
)

// world is two network namespaces with wires between them. The faults are in ours; in theirs two servers send back what
// they get.
type world struct{ ours, theirs *lab.Namespace }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{namespace(t), namespace(t)}
	if err := errors.Join(
		lab.Link(w.ours, w.theirs, wire, "10.99.0.0/24", "fd99::/64"),
		lab.Link(w.ours, w.theirs, wireOther, "10.98.0.0/24"),
	); err != nil {
		t.Fatal(err)
	}
	echo(t, w.theirs, echoPort)
	echo(t, w.theirs, otherPort)
	return w
}

func namespace(t testing.TB) *lab.Namespace {
	t.Helper()
	n, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// echo sends back what it gets, over TCP and UDP, until the test ends.
func echo(t testing.TB, in *lab.Namespace, port int) {
	t.Helper()
	var listener net.Listener
	var packets net.PacketConn
	err := in.Do(func() (err error) {
		if listener, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			packets, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo(buffer[:n], from)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		packets.Close()
	})
}

// connect connects from our namespace.
func (w *world) connect(network, address string, within time.Duration) (conn net.Conn, err error) {
	err = w.ours.Do(func() error {
		conn, err = net.DialTimeout(network, address, within)
		return err
	})
	return conn, err
}

func at(host string, port int) string { return net.JoinHostPort(host, fmt.Sprint(port)) }

// connected is a connection that lasts as long as the test.
func (w *world) connected(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := w.connect(network, address, await.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a line and waits for it to come back.
func ask(conn net.Conn, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("%q came back", line)
	}
	return err
}

// reaches tells whether a new connection is answered.
func (w *world) reaches(network, address string) error {
	return w.tries(network, address, await.Patience)
}

// blocked tells the error of a new connection that is not to be answered.
func (w *world) blocked(network, address string) error { return w.tries(network, address, brief) }

func (w *world) tries(network, address string, within time.Duration) error {
	conn, err := w.connect(network, address, within)
	if err != nil {
		return err
	}
	defer conn.Close()
	return ask(conn, within)
}

// target is a target in our namespace.
func (w *world) target(params map[string]any) jenner.Target {
	written := jenner.Params{"namespace": jenner.Raw(w.ours.Path())}
	for name, value := range params {
		written[name] = jenner.Raw(value)
	}
	return jenner.Target{Kind: "network", Name: "wire", Params: written}
}

// run runs a program in our namespace.
func (w *world) run(t testing.TB, program, debian string, args ...string) string {
	t.Helper()
	path, err := lab.Need(program, debian)
	if err != nil {
		t.Fatal(err)
	}
	var said []byte
	if err := w.ours.Do(func() (err error) {
		said, err = exec.Command(path, args...).CombinedOutput()
		return err
	}); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said)
	}
	return string(said)
}

// rules are all packet rules of our namespace.
func (w *world) rules(t testing.TB) string { return w.run(t, "nft", "nftables", "list", "ruleset") }

// injector injects into a journal of its own, and undoes what is left when the test ends.
func injector(t testing.TB) *chaos.Injector {
	t.Helper()
	dir := t.TempDir() + "/faults"
	journal, err := chaos.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	i := &chaos.Injector{Journal: journal, Now: time.Now, Build: catalog.Merge(Provider).MakeFault,
		Held:    func() (jenner.Hold, bool) { return jenner.Hold{}, false },
		Holders: &chaos.Holders{Command: holder(t, dir), Journal: journal}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Patience)
		defer cancel()
		if _, err := i.UndoAll(ctx, func(jenner.FaultRecord) bool { return true }); err != nil {
			t.Errorf("left behind: %v", err)
		}
	})
	return i
}

// fault is a fault on a target.
type fault struct {
	t        testing.TB
	injector *chaos.Injector
	record   jenner.FaultRecord
}

// inject makes a fault that lasts until the test undoes it.
func (w *world) inject(t testing.TB, name string, params, target map[string]any) *fault {
	t.Helper()
	f, err := w.try(t, name, params, target)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (w *world) try(t testing.TB, name string, params, target map[string]any) (*fault, error) {
	t.Helper()
	written := jenner.Params{}
	for key, value := range params {
		written[key] = jenner.Raw(value)
	}
	i := injector(t)
	record, err := i.Inject(t.Context(), jenner.FaultRecord{ID: "test-" + jenner.Fingerprint(t.Name(), name), Fault: "network." + name,
		Params: written, Target: w.target(target)}, time.Minute)
	return &fault{t, i, record}, err
}

func (f *fault) undo() {
	f.t.Helper()
	if err := f.injector.Undo(f.t.Context(), f.record); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fault) bite() chaos.Witness {
	f.t.Helper()
	witness, err := f.injector.Bite(f.t.Context(), f.record)
	if err != nil {
		f.t.Fatal(err)
	}
	return witness
}
