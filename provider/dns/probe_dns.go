package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("dns", "Does a name server answer a question, and as expected?", func() telemetry.Probe { return &ProbeDNS{Type: "A"} })
}

// ProbeDNS asks one name server one question, once: it neither asks a second server nor keeps answers, as the programs of
// a machine may do. The answer must come without an error and hold a record of the type that was asked for.
type ProbeDNS struct {
	// Query is the name that is asked for, such as payments.internal.
	Query string `json:"query"`
	// Type is the kind of record, such as A, AAAA, CNAME, MX, SRV or TXT; A where not said.
	Type string `json:"type,omitempty"`
	// Server is the name server's address, with :PORT where it is not 53; the first of /etc/resolv.conf where not said.
	Server string `json:"server,omitempty"`
	// Expect must all be among the answers, as they are written in a zone file: 10.0.0.7 for A, 10 mail.internal for MX.
	Expect []string `json:"expect,omitempty"`
	// TCP asks over TCP at once. Over UDP it is asked so when the answer does not fit.
	TCP bool `json:"tcp,omitempty"`
}

// systemResolvers is where the system's programs find their name servers.
const systemResolvers = "/etc/resolv.conf"

// Validate checks the parameters without asking.
func (p *ProbeDNS) Validate() error {
	if _, valid := dns.IsDomainName(p.Query); !valid || p.Query == "" {
		return fmt.Errorf("query %q is not a name such as payments.internal", p.Query)
	}
	if _, err := p.kind(); err != nil {
		return err
	}
	if p.Server == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(withPort(p.Server))
	if err != nil || net.ParseIP(host) == nil {
		return fmt.Errorf("server %q is not an address such as 10.0.0.53 or 10.0.0.53:5353", p.Server)
	}
	if number, err := net.LookupPort("udp", port); err != nil || number == 0 {
		return fmt.Errorf("server %q: %q is no port; write a number from 1 to 65535", p.Server, port)
	}
	return nil
}

func (p *ProbeDNS) kind() (uint16, error) {
	kind, known := dns.StringToType[strings.ToUpper(cmp.Or(p.Type, "A"))]
	if !known || kind == dns.TypeNone || kind == dns.TypeReserved {
		return 0, fmt.Errorf("type %q is not a type of record such as A, AAAA, CNAME, MX, SRV or TXT", p.Type)
	}
	return kind, nil
}

// withPort adds the port of name servers where none is written.
func withPort(server string) string {
	if net.ParseIP(server) != nil {
		return net.JoinHostPort(server, fmt.Sprint(dnsPort))
	}
	return server
}

func (p *ProbeDNS) server() (string, error) {
	if p.Server != "" {
		return withPort(p.Server), nil
	}
	system, err := dns.ClientConfigFromFile(systemResolvers)
	if err == nil && len(system.Servers) == 0 {
		err = errors.New("it names no name server")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; write server", systemResolvers, err)
	}
	return net.JoinHostPort(system.Servers[0], system.Port), nil
}

// Probe asks once.
func (p *ProbeDNS) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	server, err := p.server()
	if err == nil {
		err = p.ask(ctx, server)
	}
	return telemetry.ResultOf(ctx, err)
}

func (p *ProbeDNS) ask(ctx context.Context, server string) error {
	kind, err := p.kind()
	if err != nil {
		return err
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(p.Query), kind)
	network := "udp"
	if p.TCP {
		network = "tcp"
	}
	answer, err := exchange(ctx, question, network, server)
	if err == nil && answer.Truncated && !p.TCP {
		answer, err = exchange(ctx, question, "tcp", server)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", server, err)
	}
	if err := p.judge(answer, kind); err != nil {
		return fmt.Errorf("%s %s of %s: %w", p.Query, dns.TypeToString[kind], server, err)
	}
	return nil
}

// exchange heeds the end of ctx, whatever its cause; the library itself only heeds its deadline.
func exchange(ctx context.Context, question *dns.Msg, network, server string) (*dns.Msg, error) {
	client := &dns.Client{Net: network}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

func (p *ProbeDNS) judge(answer *dns.Msg, kind uint16) error {
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("the answer is %s", dns.RcodeToString[answer.Rcode])
	}
	var got []string
	for _, record := range answer.Answer {
		if record.Header().Rrtype == kind || kind == dns.TypeANY {
			got = append(got, plain(strings.TrimPrefix(record.String(), record.Header().String())))
		}
	}
	if len(got) == 0 {
		return errors.New("the answer holds no such record")
	}
	for _, expected := range p.Expect {
		if !slices.Contains(got, plain(expected)) {
			return fmt.Errorf("the answer is %s, expected %s", strings.Join(got, ", "), expected)
		}
	}
	return nil
}

// plain makes what means the same look the same: case and the dot at the end do not count.
func plain(data string) string {
	return strings.TrimSuffix(strings.ToLower(strings.Join(strings.Fields(data), " ")), ".")
}
