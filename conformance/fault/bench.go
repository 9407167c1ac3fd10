package faulttest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// Benchmark measures how long a fault takes until it holds, and until it is proved to be gone, both together, with the undo
// journal synced to disk: the median and the 99th percentile by nearest rank, in milliseconds. A fault that a process holds
// includes the start and the end of that process. record holds the fault's full name, its parameters and the target. before
// is done before each time and does not count.
func Benchmark(b *testing.B, fault Make, record jenner.FaultRecord, before ...func()) {
	injector := Injector(b, fault)
	var injecting, undoing []time.Duration
	for b.Loop() {
		record.ID = fmt.Sprintf("bench-%d", len(injecting)) // a queue knows a message again by it
		b.StopTimer()
		for _, do := range before {
			do()
		}
		b.StartTimer()
		began := time.Now()
		injected, err := injector.Inject(b.Context(), record, time.Minute)
		held := time.Now()
		if err == nil {
			err = injector.Undo(b.Context(), injected)
		}
		if err != nil {
			b.Fatal(err)
		}
		injecting, undoing = append(injecting, held.Sub(began)), append(undoing, time.Since(held))
	}
	for name, took := range map[string][]time.Duration{"inject": injecting, "undo": undoing} {
		slices.Sort(took)
		b.ReportMetric(rank(took, 50), name+"-p50-ms")
		b.ReportMetric(rank(took, 99), name+"-p99-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// rank is a percentile of sorted durations by nearest rank, in milliseconds.
func rank(sorted []time.Duration, percent int) float64 {
	return float64(sorted[(percent*len(sorted)+99)/100-1]) / float64(time.Millisecond)
}
