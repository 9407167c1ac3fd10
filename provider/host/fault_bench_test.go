package host

import (
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// BenchmarkFault measures how long a fault takes until it holds and until it is proved to be gone, both together. It pays
// for the start and the end of this test program, which holds the fault.
func BenchmarkFault(b *testing.B) {
	for _, bench := range []struct {
		fault  string
		params jenner.Params
		target func() jenner.Target
	}{
		{"host.cpu", jenner.Params{"workers": jenner.Raw(1), "nice": jenner.Raw(19)}, func() jenner.Target { return machine }},
		{"host.memory", jenner.Params{"size": jenner.Raw("64MB")}, func() jenner.Target { return machine }},
		{"host.disk_full", nil, func() jenner.Target { return mounted(b) }},
	} {
		b.Run(bench.fault, func(b *testing.B) {
			injector := injecting(b)
			record := jenner.FaultRecord{ID: "bench", Fault: bench.fault, Target: bench.target(), Params: bench.params}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				injected, err := injector.Inject(b.Context(), record, time.Minute)
				if err == nil {
					err = injector.Undo(b.Context(), injected)
				}
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			for name, share := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
				b.ReportMetric(float64(took[int(share*float64(len(took)-1))])/float64(time.Millisecond), name)
			}
		})
	}
}
