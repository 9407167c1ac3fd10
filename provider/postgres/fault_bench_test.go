package postgres

import (
	"testing"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault leaves out kill_backends and stop, which need somebody to be cut off each time.
func BenchmarkFault(b *testing.B) {
	leader, err := primary()
	if err != nil {
		b.Fatal(err)
	}
	follower, err := standby()
	if err != nil {
		b.Fatal(err)
	}
	app := jenner.Raw("app")
	for verb, world := range map[string]struct {
		target jenner.Target
		params jenner.Params
	}{
		"connections":  {written(leader, "db"), jenner.Params{"user": app, "count": jenner.Raw(10)}},
		"long_query":   {written(leader, "db"), jenner.Params{"user": app, "sessions": jenner.Raw(2)}},
		"lock":         {written(leader, "db"), jenner.Params{"user": app, "table": jenner.Raw("orders")}},
		"pause_replay": {written(follower, "db"), nil},
		"row": {written(leader, "db"), jenner.Params{"table": jenner.Raw("orders"), "key": jenner.Raw(map[string]string{"id": "1"}),
			"column": jenner.Raw("price"), "value": jenner.Raw("-1")}},
	} {
		b.Run(verb, func(b *testing.B) {
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault, jenner.FaultRecord{Fault: "postgres." + verb, Target: world.target,
				Params: world.params, Service: jenner.Service{Name: "orders", Targets: []jenner.Target{world.target}}})
		})
	}
}
