package dns

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
)

// brief is how long is waited for what is not to come.
const brief = 500 * time.Millisecond

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

const (
	theirs, theirs6 = "10.99.0.2", "fd99::2"
	rightAddress    = "10.1.1.1"
	rightAddress6   = "fd01::1"
)

// world is two network namespaces with a wire between them. The faults are in ours; in theirs a name server knows one
// address for every name.
type world struct{ ours, theirs *lab.Namespace }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{namespace(t), namespace(t)}
	if err := lab.Link(w.ours, w.theirs, "wire0", "10.99.0.0/24", "fd99::/64"); err != nil {
		t.Fatal(err)
	}
	serve(t, w.theirs.Do, "0.0.0.0:53")
	serve(t, w.theirs.Do, "[::]:53")
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

// serve runs a name server until the test ends.
func serve(t testing.TB, in func(func() error) error, address string) (bound string) {
	t.Helper()
	var packets net.PacketConn
	var listener net.Listener
	version := "4"
	if address[0] == '[' {
		version = "6"
	}
	if err := in(func() (err error) {
		if packets, err = net.ListenPacket("udp"+version, address); err == nil {
			listener, err = net.Listen("tcp"+version, packets.LocalAddr().String())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: listener}} {
		server.Handler = dns.HandlerFunc(answer)
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			server.Shutdown()
			<-ended
		})
	}
	return packets.LocalAddr().String()
}

// answer is what the real name server says.
func answer(w dns.ResponseWriter, asked *dns.Msg) {
	reply := new(dns.Msg).SetReply(asked)
	question := asked.Question[0]
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: 60}
	switch question.Qtype {
	case dns.TypeA:
		reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: net.ParseIP(rightAddress)})
	case dns.TypeAAAA:
		reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header, AAAA: net.ParseIP(rightAddress6)})
	case dns.TypeMX:
		reply.Answer = append(reply.Answer, &dns.MX{Hdr: header, Preference: 10, Mx: "mail.internal."})
	case dns.TypeTXT:
		if w.LocalAddr().Network() == "udp" {
			reply.Truncated = true
			break
		}
		reply.Answer = append(reply.Answer, &dns.TXT{Hdr: header, Txt: []string{"over tcp"}})
	default:
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply)
}

// ask asks as a program in our namespace would.
func (w *world) ask(network, server, name string, kind uint16, within time.Duration) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: within}
	var conn *dns.Conn
	if err := w.ours.Do(func() (err error) {
		conn, err = client.Dial(net.JoinHostPort(server, "53"))
		return err
	}); err != nil {
		return nil, err
	}
	defer conn.Close()
	reply, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), conn)
	return reply, err
}

// says is what a server says, in a word: the data of the records, or the error.
func (w *world) says(network, server, name string, kind uint16, within time.Duration) string {
	reply, err := w.ask(network, server, name, kind, within)
	return inAWord(reply, err)
}

func inAWord(reply *dns.Msg, err error) string {
	if err != nil {
		return "silence"
	}
	if reply.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[reply.Rcode]
	}
	text := "nothing"
	for i, record := range reply.Answer {
		if i == 0 {
			text = ""
		}
		text += plain(record.String()[len(record.Header().String()):])
	}
	return text
}

// target is a target in our namespace.
func (w *world) target(resolver string, names ...string) jenner.Target {
	return jenner.Target{Kind: "dns", Name: "names", Params: jenner.Params{
		"namespace": jenner.Raw(w.ours.Path()), "resolver": jenner.Raw(resolver), "names": jenner.Raw(names)}}
}

// fault is a fault on a target.
type fault struct {
	t        testing.TB
	injector *chaos.Injector
	record   jenner.FaultRecord
}

// inject makes a fault that lasts until the test undoes it, or ends.
func inject(t testing.TB, name string, params map[string]any, target jenner.Target) *fault {
	t.Helper()
	f, err := try(t, name, params, target)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func try(t testing.TB, name string, params map[string]any, target jenner.Target) (*fault, error) {
	t.Helper()
	written := jenner.Params{}
	for key, value := range params {
		written[key] = jenner.Raw(value)
	}
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
	record, err := i.Inject(t.Context(), jenner.FaultRecord{ID: "test-" + jenner.Fingerprint(t.Name(), name), Fault: "dns." + name,
		Params: written, Target: target}, time.Minute)
	return &fault{t, i, record}, err
}

func (f *fault) undo() {
	f.t.Helper()
	if err := f.injector.Undo(f.t.Context(), f.record); err != nil {
		f.t.Fatal(err)
	}
}

// bites waits for the witness to say it.
func (f *fault) bites(saw string) {
	f.t.Helper()
	await.OK(f.t, "the witness sees it", func() error {
		witness, err := f.injector.Bite(f.t.Context(), f.record)
		if err == nil && (!witness.Bit || witness.Saw != saw) {
			err = fmt.Errorf("it saw %v, %q", witness.Bit, witness.Saw)
		}
		return err
	})
}
