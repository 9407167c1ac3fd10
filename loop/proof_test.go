package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestAProofIsOfWhatWasTried: a policy that requires a proof acts by itself after the drill, also when something else has
// changed, and asks when the signature by which the cause is known is another now.
func TestAProofIsOfWhatWasTried(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		free := m.docs
		during := func(docs *jenner.Documents, what func(), lasting time.Duration) {
			m.docs = docs
			m.boot()
			time.Sleep(5 * time.Second)
			what()
			time.Sleep(lasting)
			m.program.shut()
			m.world.Start("checkout")
		}
		restarts := func() int { return strings.Count(fmt.Sprint(m.world.Effects()), " restart ") }
		var began jenner.Drill
		during(free, func() {
			began = m.program.lab.NewDrill(free.Experiments[0], time.Now())
			if err := m.program.drill("crash"); err != nil {
				t.Fatal(err)
			}
		}, time.Minute)
		if !strings.Contains(m.told(), "verdict: PROVEN:") {
			t.Fatal(m.told())
		}
		for _, place := range []string{"service checkout", "runbook restart", "cause crashed of checkout", "cause hung of checkout"} {
			if began.Versions[place] == "" {
				t.Errorf("a drill does not keep the version of %s: %v", place, began.Versions)
			}
		}
		for what, c := range map[string]struct {
			change func(*jenner.Documents)
			acts   int
		}{
			"the signature of another cause": {func(d *jenner.Documents) { d.Signatures[1].Description = "x" }, 1},
			"the signature":                  {func(d *jenner.Documents) { d.Signatures[0].Description = "x" }, 0},
			"the experiment":                 {func(d *jenner.Documents) { d.Experiments[0].Hypothesis = "x" }, 0},
		} {
			changed := *free
			changed.Signatures, changed.Experiments, changed.Policies = slices.Clone(free.Signatures), slices.Clone(free.Experiments), slices.Clone(free.Policies)
			for i := range changed.Policies {
				changed.Policies[i].RequiresProof, changed.Policies[i].MaxAttempts = jenner.Duration(24*time.Hour), 10
			}
			c.change(&changed)
			was := restarts()
			during(&changed, func() { m.world.Kill("checkout") }, 30*time.Second)
			if did := restarts() - was; did != c.acts {
				t.Errorf("after %s changed: %d restarts, not %d\n%s", what, did, c.acts, m.told())
			}
		}
	})
}
