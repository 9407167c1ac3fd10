package file

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault measures how long a fault takes until it holds and until it is proved to be gone, both together. All of
// it is writing: the journal and the file, synced.
func BenchmarkFault(b *testing.B) {
	for _, name := range []string{"drift of text", "overwrite with"} {
		world := faultWorlds[name]
		b.Run(world.fault, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), world.file)
			if err := os.WriteFile(path, []byte(world.text), 0o644); err != nil {
				b.Fatal(err)
			}
			journal, err := chaos.OpenJournal(filepath.Join(b.TempDir(), "faults"))
			if err != nil {
				b.Fatal(err)
			}
			injector := &chaos.Injector{Journal: journal, Now: time.Now, Build: catalog.Merge(Provider).MakeFault,
				Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false }}
			record := jenner.FaultRecord{ID: "bench", Fault: world.fault, Target: at(path), Params: written(b, world.params)}
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
