package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("wrong", "Answer with a wrong address", func() chaos.Fault { return &FaultWrong{} }, "dns")
}

// FaultWrong gives the names other addresses, which nobody may keep: their time to live is zero. For the version of IP
// of which no address is written, and for service bindings, which hold addresses too, the answer is that there is none;
// questions of other kinds are answered as ever. Needs CAP_NET_ADMIN.
type FaultWrong struct {
	redirected
	// Addresses are what the names lead to, such as 192.0.2.1.
	Addresses []string `json:"addresses"`
}

// Validate checks the parameters.
func (f *FaultWrong) Validate() error {
	if len(f.Addresses) == 0 {
		return errors.New("addresses is missing; write what the names are to lead to, such as 192.0.2.1")
	}
	for _, written := range f.Addresses {
		if address, err := netip.ParseAddr(written); err != nil || address.Zone() != "" {
			return fmt.Errorf("addresses: %q is not an address such as 192.0.2.1", written)
		}
	}
	return nil
}

// Hold answers wrongly until ctx ends.
func (f *FaultWrong) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return hold(ctx, call, tell, f.treat)
}

func (f *FaultWrong) treat(_ context.Context, asked *dns.Msg, ask func() (*dns.Msg, error)) (*dns.Msg, error) {
	answer := new(dns.Msg).SetReply(asked)
	answer.RecursionAvailable = true
	question := asked.Question[0]
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET}
	switch question.Qtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB:
	default:
		return ask()
	}
	for _, written := range f.Addresses {
		address, _ := netip.ParseAddr(written) // Validate has seen the error
		address = address.Unmap()
		switch {
		case question.Qtype == dns.TypeA && address.Is4():
			answer.Answer = append(answer.Answer, &dns.A{Hdr: header, A: net.IP(address.AsSlice())})
		case question.Qtype == dns.TypeAAAA && address.Is6():
			answer.Answer = append(answer.Answer, &dns.AAAA{Hdr: header, AAAA: net.IP(address.AsSlice())})
		}
	}
	return answer, nil
}

// Bite asks the responder how many questions it answered wrongly.
func (f *FaultWrong) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return bite(call, fmt.Sprintf("were answered with %v", f.Addresses))
}
