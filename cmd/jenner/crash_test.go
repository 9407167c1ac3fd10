package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// TestKillNineInAnyPhase kills jenner while an incident is in a phase, starts it again, and wants the incident finished
// with the one effect done once.
func TestKillNineInAnyPhase(t *testing.T) {
	for _, phase := range []jenner.Phase{jenner.PhaseDetected, jenner.PhasePlanned, jenner.PhaseActing, jenner.PhaseVerifying} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fmt.Sprintf(healing, "- {name: rests, action: wait_for_metric, params: {metric: 'probe_success{probe=\"health\"}', above: 0.5, stable_for: 1s, timeout: 20s}}", "1s"))
			first := w.serve(t)
			await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
			stopped := phase == jenner.PhasePlanned
			if stopped { // the kill switch makes an incident stay where it is
				if _, err := app.NewHolds(w.data, time.Now).Stop("test", ""); err != nil {
					t.Fatal(err)
				}
			}
			broken := w.signal(t, syscall.SIGKILL)
			await.True(t, "an incident is in phase "+string(phase), func() bool {
				newest := w.incidents(t)[0]
				return newest.Phase == phase || newest.Ended || (phase == jenner.PhaseDetected && !newest.Ended)
			})
			first.kill()
			if stopped {
				if _, _, err := app.NewHolds(w.data, time.Now).Resume(); err != nil {
					t.Fatal(err)
				}
			}
			w.serve(t)
			w.healedOnce(t, broken)
		})
	}
}

// TestKillNineInTheEffect kills jenner while it waits for a process to heed SIGTERM, which it ignores: the intent is on
// disk, the effect has begun and has no result.
func TestKillNineInTheEffect(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "200ms"))
	first := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	await.True(t, "the process lives for long enough to be called hung", func() bool {
		info, err := os.Stat(filepath.Join(w.files(), "run", "stock.pid"))
		return err == nil && time.Since(info.ModTime()) > 1500*time.Millisecond
	})
	broken := w.signal(t, syscall.SIGSTOP)
	await.True(t, "an intent has no result", func() bool { return w.openIntents(t) > 0 || w.pid() != broken })
	first.kill()
	w.serve(t)
	w.healedOnce(t, broken)
}

// TestKillNineAtAnyMoment kills jenner again and again at moments that nobody chose.
func TestKillNineAtAnyMoment(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(healing, "", "300ms"))
	c := w.serve(t)
	await.True(t, "jenner has started the service", func() bool { return w.calm(t, 1) })
	for round := range 5 {
		broken := w.signal(t, syscall.SIGKILL)
		moment := time.After(rand.N(700 * time.Millisecond))
		<-moment
		c.kill()
		c = w.serve(t)
		await.True(t, fmt.Sprintf("round %d: healed", round), func() bool { return w.pid() != broken && w.calm(t, 2) })
		if starts := w.starts(t); starts != round+2 {
			t.Fatalf("round %d: the service was started %d times, not %d", round, starts, round+2)
		}
	}
	w.verified(t)
}

// healedOnce wants the service healed by one start, the incident resolved, and nothing left open.
func (w testWorld) healedOnce(t *testing.T, broken int) {
	t.Helper()
	await.True(t, "healed after the restart of jenner", func() bool { return w.pid() != broken && w.calm(t, 2) })
	if starts := w.starts(t); starts != 2 {
		t.Errorf("the service was started %d times, not twice: once in the beginning and once to heal it", starts)
	}
	if newest := w.incidents(t)[0]; newest.Phase != jenner.PhaseResolved || !strings.Contains(string(newest.State), `"recovered_at"`) {
		t.Errorf("the incident ended %s: %s", newest.Phase, newest.State)
	}
	w.verified(t)
}

// verified wants the audit log whole and no effect without a result.
func (w testWorld) verified(t *testing.T) {
	t.Helper()
	store, err := sqlite.Open(w.data, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if open := w.openIntents(t); open != 0 {
		t.Errorf("%d intents have no result", open)
	}
}

func (w testWorld) openIntents(t *testing.T) int {
	t.Helper()
	store, err := sqlite.Open(w.data, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	open, err := store.OpenIntents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
