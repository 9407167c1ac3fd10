package network

import (
	"context"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// BenchmarkFault injects and undoes each fault through the injector, with its journal and, where there is one, its
// process; p50-ms and p99-ms are of both together.
func BenchmarkFault(b *testing.B) {
	for _, fault := range []struct {
		name   string
		params map[string]any
	}{
		{"partition", nil}, {"loss", map[string]any{"share": "30%"}}, {"latency", map[string]any{"delay": "50ms"}},
		{"bandwidth", map[string]any{"rate": "1mbit"}}, {"reset", nil},
	} {
		b.Run(fault.name, func(b *testing.B) {
			w := newWorld(b)
			i := injector(b)
			params := jenner.Params{}
			for key, value := range fault.params {
				params[key] = jenner.Raw(value)
			}
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				w.connected(b, "tcp", at(theirs, echoPort))
				record := jenner.FaultRecord{ID: "bench-" + strconv.Itoa(n), Fault: "network." + fault.name, Params: params, Target: w.target(server)}
				b.StartTimer()
				begun := time.Now()
				record, err := i.Inject(context.Background(), record, time.Minute)
				if err == nil {
					err = i.Undo(context.Background(), record)
				}
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			report(b, took)
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.50), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// BenchmarkOtherTraffic sends a stream that no fault is about: without any fault, and with one armed that nobody meets.
// What a fault costs others is the difference.
func BenchmarkOtherTraffic(b *testing.B) {
	for _, fault := range []struct {
		name   string
		params map[string]any
	}{
		{"nothing", nil}, {"partition", map[string]any{}}, {"latency", map[string]any{"delay": "50ms"}}, {"bandwidth", map[string]any{"rate": "1mbit"}},
	} {
		b.Run(fault.name, func(b *testing.B) {
			w := newWorld(b)
			if fault.params != nil {
				w.inject(b, fault.name, fault.params, server)
			}
			const chunk = 1 << 20
			conn := w.connected(b, "tcp", at(theirs, otherPort))
			sent, back := make([]byte, chunk), make([]byte, chunk)
			b.SetBytes(chunk)
			for b.Loop() {
				wrote := make(chan error, 1)
				go func() {
					_, err := conn.Write(sent)
					wrote <- err
				}()
				if _, err := io.ReadFull(conn, back); err != nil {
					b.Fatal(err)
				}
				if err := <-wrote; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
