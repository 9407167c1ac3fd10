package app

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jenner-heal/jenner"
)

// BenchmarkRules evaluates rules that hold for nothing, as they mostly do, over Jenner's own numbers and over a real
// Prometheus on the same machine. No two questions are the same, for the same question is not asked twice.
func BenchmarkRules(b *testing.B) {
	c := newCluster(b)
	c.is(map[string]string{jobs[1]: shopWell})
	prometheus := realPrometheus(b, c.config(), nil)
	a, _ := watching(b, map[string]string{"shop.yaml": server(prometheus) + c.services() + "---\nkind: service\nname: shop\nprometheus: main\n"})
	for _, about := range []string{"kubelet", "shop"} {
		ctx := jenner.Asking(b.Context(), jenner.Question{Service: about})
		eventually(b, func() string {
			if answer, err := a.World.Telemetry.Query(ctx, `errors{job="kubelet"}`); err != nil || answer.NoData() {
				return fmt.Sprintf("%s has no data: %v", about, err)
			}
			return ""
		})
		name := map[string]string{"kubelet": "own numbers", "shop": "Prometheus"}[about]
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism(4) // as a lane evaluates
			b.RunParallel(func(loop *testing.PB) {
				for loop.Next() {
					promql := fmt.Sprintf(`sum by (instance) (rate(errors{job="kubelet"}[10s])) > %d`, 5+n.Add(1))
					if _, err := a.World.Telemetry.Query(ctx, promql); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rules/s")
		})
	}
}
