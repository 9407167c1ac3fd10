package diagnose

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// graph reads `a: b c; b: c`; a name with a star is external.
func graph(text string) map[string]jenner.Service {
	services := map[string]jenner.Service{}
	for line := range strings.SplitSeq(text, ";") {
		name, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, external := strings.CutSuffix(name, "*")
		services[name] = jenner.Service{Name: name, External: external, DependsOn: strings.Fields(needs)}
	}
	return services
}

func TestLowestFailing(t *testing.T) {
	for _, c := range []struct{ name, graph, sick, path string }{
		{"alone", "a: b; b:", "a", "a"},
		{"a chain", "a: b; b: c; c:", "a b c", "a b c"},
		{"not through what is well", "a: b; b: c; c:", "a c", "a"},
		{"from what is well itself", "a: b; b:", "b", "a b"},
		{"not into a third party's", "a: b; b*:", "a b", "a"},
		{"the deepest", "a: b c; b:; c: d; d:", "a b c d", "a c d"},
		{"the deepest, by the longest way", "a: z c; z:; c: z", "a c z", "a c z"},
		{"equally deep: by name", "a: c b; b:; c:", "a b c", "a b"},
		{"by the name of the lowest, not of what is between", "a: b c; b: y; c: x; x:; y:", "a b c x y", "a c x"},
		{"two ways to one", "a: c b; b: d; c: d; d:", "a b c d", "a b d"},
		{"a cycle", "a: b; b: c; c: a", "a b c", "a b c"},
		{"itself", "a: a", "a", "a"},
		{"unknown", "a:", "a x", "x"},
		{"an unknown dependency", "a: x", "a x", "a x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := "a"
			if c.name == "unknown" {
				from = "x"
			}
			root, path := LowestFailing(graph(c.graph), from, func(name string) bool { return slices.Contains(strings.Fields(c.sick), name) })
			if got := strings.Join(path, " "); got != c.path || root != path[len(path)-1] {
				t.Errorf("got %s by %s, want by %s", root, got, c.path)
			}
		})
	}
}

func TestDependenciesAndDependants(t *testing.T) {
	services := graph("gateway: checkout; checkout: partner payments; payments: ledger; ledger:; partner*: theirs; theirs*:")
	if diff := cmp.Diff([]string{"checkout", "ledger", "partner", "payments"}, Dependencies(services, "gateway")); diff != "" {
		t.Errorf("what gateway needs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"checkout", "gateway", "payments"}, Dependants(services, "ledger")); diff != "" {
		t.Errorf("what needs ledger (-want +got):\n%s", diff)
	}
	if got := Dependencies(graph("a: b; b: a"), "a"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("round a cycle: %v", got)
	}
}

// TestPropertiesOfTheWalk holds for every graph, also one with cycles.
func TestPropertiesOfTheWalk(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		services, sick := map[string]jenner.Service{}, map[string]bool{}
		forward := rapid.Bool().Draw(t, "without cycles")
		for i, name := range names {
			among := names
			if forward {
				among = names[i+1:]
			}
			var needs []string
			if len(among) > 0 {
				needs = rapid.SliceOfNDistinct(rapid.SampledFrom(among), 0, min(3, len(among)), rapid.ID).Draw(t, name+" needs")
			}
			services[name] = jenner.Service{Name: name, DependsOn: needs, External: rapid.IntRange(0, 5).Draw(t, name+" external") == 0}
			sick[name] = rapid.IntRange(0, 3).Draw(t, name+" sick") > 0
		}
		is := func(name string) bool { return sick[name] }
		root, path := LowestFailing(services, "a", is)
		if path[0] != "a" || path[len(path)-1] != root {
			t.Fatalf("the path %v does not lead from a to %s", path, root)
		}
		for i, name := range path[1:] {
			if !slices.Contains(services[path[i]].DependsOn, name) || !sick[name] || services[name].External || slices.Contains(path[:i+1], name) {
				t.Fatalf("the path %v cannot go on to %s", path, name)
			}
		}
		for _, next := range services[root].DependsOn {
			if forward && sick[next] && !services[next].External {
				t.Fatalf("%s is not the lowest: %s below it is sick", root, next)
			}
		}
		for name, service := range services { // the order of the file does not matter
			service.DependsOn = slices.Clone(service.DependsOn)
			slices.Reverse(service.DependsOn)
			services[name] = service
		}
		if again, way := LowestFailing(services, "a", is); forward && (again != root || !slices.Equal(way, path)) {
			t.Fatalf("written in another order it is %s by %v, not %s by %v", again, way, root, path)
		}
	})
}
