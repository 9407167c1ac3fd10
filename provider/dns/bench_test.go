package dns

import (
	"strconv"
	"testing"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault pays for the start and the end of the responder's process.
func BenchmarkFault(b *testing.B) {
	for name, params := range map[string]jenner.Params{
		"wrong": {"addresses": jenner.Raw([]string{"192.0.2.1"})}, "failing": {"with": jenner.Raw("nxdomain")}, "slow": {"delay": jenner.Raw("1s")},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault,
				jenner.FaultRecord{Fault: "dns." + name, Params: params, Target: w.target(theirs, "shop.internal")})
		})
	}
}

// BenchmarkOtherNames asks for names that no fault is about: of the name server itself, and through an armed responder.
func BenchmarkOtherNames(b *testing.B) {
	for _, armed := range []bool{false, true} {
		b.Run("armed="+strconv.FormatBool(armed), func(b *testing.B) {
			w := newWorld(b)
			if armed {
				inject(b, "failing", map[string]any{"with": "nxdomain"}, w.target(theirs, "shop.internal"))
			}
			client := &dns.Client{Timeout: await.Patience}
			var conn *dns.Conn
			if err := w.ours.Do(func() (err error) {
				conn, err = client.Dial(theirs + ":53")
				return err
			}); err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			for b.Loop() {
				if _, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion("else.internal.", dns.TypeA), conn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
