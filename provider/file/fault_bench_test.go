package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault is all writing: the journal and the file, synced.
func BenchmarkFault(b *testing.B) {
	for _, name := range []string{"drift of text", "overwrite with"} {
		world := faultWorlds[name]
		b.Run(world.fault, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), world.file)
			if err := os.WriteFile(path, []byte(world.text), 0o644); err != nil {
				b.Fatal(err)
			}
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault,
				jenner.FaultRecord{Fault: world.fault, Target: at(path), Params: written(b, world.params)})
		})
	}
}
