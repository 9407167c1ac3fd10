package dns

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault injects and undoes each fault through the injector, with its journal and its process; p50-ms and p99-ms
// are of both together.
func BenchmarkFault(b *testing.B) {
	for name, params := range map[string]jenner.Params{
		"wrong": {"addresses": jenner.Raw([]string{"192.0.2.1"})}, "failing": {"with": jenner.Raw("nxdomain")}, "slow": {"delay": jenner.Raw("1s")},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			dir := b.TempDir() + "/faults"
			journal, err := chaos.OpenJournal(dir)
			if err != nil {
				b.Fatal(err)
			}
			i := &chaos.Injector{Journal: journal, Now: time.Now, Build: catalog.Merge(Provider).MakeFault,
				Held:    func() (jenner.Hold, bool) { return jenner.Hold{}, false },
				Holders: &chaos.Holders{Command: holder(b, dir), Journal: journal}}
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				begun := time.Now()
				record, err := i.Inject(context.Background(), jenner.FaultRecord{ID: "bench-" + strconv.Itoa(n), Fault: "dns." + name,
					Params: params, Target: w.target(theirs, "shop.internal")}, time.Minute)
				if err == nil {
					err = i.Undo(context.Background(), record)
				}
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
			b.ReportMetric(at(0.50), "p50-ms")
			b.ReportMetric(at(0.99), "p99-ms")
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
			client := &dns.Client{Timeout: patience}
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
