package loop_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
)

// TestAPolicyEarnsItsAutonomyAndLosesIt: from shadow, by decisions that people proved right, to recommend, to approve; then
// a failed verification costs it a rung. It never rises above what the file allows.
func TestAPolicyEarnsItsAutonomyAndLosesIt(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		promoted := jenner.Policy{Name: "crashed", IncidentType: "crashed", Runbooks: []string{"restart"}, Mode: jenner.ModeApprove,
			Promotion:           &jenner.Promotion{Decisions: 2, Success: 0.2},
			CooldownAfterAction: jenner.Duration(time.Second), AttemptsResetAfter: jenner.Duration(time.Second),
			VerificationWindow: jenner.Duration(3 * time.Second), StableFor: jenner.Duration(500 * time.Millisecond)}
		m := scene(t, common, jenner.Documents{Policies: []jenner.Policy{promoted}})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		level := func() jenner.Mode {
			standings, err := loop.Maturity(t.Context(), m.program.store, m.docs, time.Now(), "checkout")
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range standings {
				if one.Policy == "crashed" {
					return one.Level
				}
			}
			t.Fatal("the policy stands nowhere")
			return ""
		}
		// A person restarts it each time, as the policy would have.
		byHand := func() {
			m.world.Kill("checkout")
			time.Sleep(10 * time.Second)
			m.world.Start("checkout")
			time.Sleep(20 * time.Second)
		}
		want := func(when string, mode jenner.Mode) {
			t.Helper()
			if got := level(); got != mode {
				t.Fatalf("%s it stands on %s, not on %s\n%s", when, got, mode, m.told())
			}
		}
		want("in the beginning", jenner.ModeShadow)
		byHand()
		want("after one decision", jenner.ModeShadow)
		if len(m.pages) > 0 {
			t.Fatalf("in shadow mode people were told: %q", m.pages)
		}
		byHand()
		want("after two", jenner.ModeRecommend)
		byHand()
		if len(m.pages) != 1 {
			t.Fatalf("on the rung recommend %d pages were sent: %q", len(m.pages), m.pages)
		}
		byHand()
		want("after four", jenner.ModeApprove)
		m.world.Kill("checkout")
		time.Sleep(10 * time.Second)
		if err := m.vote("ann", true, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		want("after one that people agreed to, which helped, and with approve as the most", jenner.ModeApprove)
		if err := m.world.Set("checkout", "broken", "true"); err != nil {
			t.Fatal(err)
		}
		m.world.Kill("checkout")
		time.Sleep(10 * time.Second)
		if err := m.vote("ann", true, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		want("after one that did not help", jenner.ModeRecommend)
	})
}
