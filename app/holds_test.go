package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

func scopes(holds []jenner.Hold) string {
	var names []string
	for _, hold := range holds {
		names = append(names, hold.Scope)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestPauses: a pause is one service's, outlives the program, ends by its time or by hand, and a later one replaces it.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first := NewHolds(dir, time.Now)
		if first.Pauses() != nil {
			t.Fatalf("there are pauses in the beginning: %v", first.Pauses())
		}
		for service, until := range map[string]time.Time{"checkout": time.Now().Add(time.Hour), "a/b ../c": {}} {
			if _, err := first.Pause(service, until, "ann", "moving"); err != nil {
				t.Fatal(err)
			}
		}
		second := NewHolds(dir, time.Now)
		if got := scopes(second.All()); got != "a/b ../c checkout" {
			t.Fatalf("another program sees holds on %q", got)
		}
		if hold, held := second.Held("checkout"); !held || hold.By != "ann" || hold.Reason != "moving" {
			t.Errorf("checkout is held %v: %+v", held, hold)
		}
		if _, held := second.Held("stock"); held {
			t.Error("a service that nobody paused is held")
		}
		time.Sleep(time.Hour)
		if got := scopes(second.All()); got != "a/b ../c" {
			t.Errorf("after the hour there are holds on %q", got)
		}
		if _, was, err := second.Unpause("a/b ../c"); err != nil || !was {
			t.Errorf("the pause could not be ended: %v, was %v", err, was)
		}
		if _, was, err := second.Unpause("a/b ../c"); err != nil || was {
			t.Errorf("a pause that was ended is ended again: %v, was %v", err, was)
		}
		time.Sleep(killSwitchLook)
		if got := second.All(); len(got) > 0 {
			t.Errorf("at the end there are holds: %v", got)
		}
	})
}

// TestAPauseThatCannotBeRead: when in doubt, nothing is done.
func TestAPauseThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	holds := NewHolds(dir, time.Now)
	if _, err := holds.Pause("checkout", time.Now().Add(-time.Hour), "ann", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, PausesDir, "checkout.json"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if hold, held := holds.Held("checkout"); !held || !strings.Contains(hold.Reason, "cannot be read") {
		t.Errorf("held %v: %+v", held, hold)
	}
}

// TestChangesOfHoldsAreTold: each one once when it comes and once when it goes, and what is under way is told to stop for
// as long as it is there.
func TestChangesOfHoldsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		holds := NewHolds(t.TempDir(), time.Now)
		var mu sync.Mutex
		var told []string
		halted := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			holds.watch(ctx, func(hold jenner.Hold) {
				mu.Lock()
				defer mu.Unlock()
				halted[hold.Scope]++
			}, func(hold jenner.Hold, on bool) {
				mu.Lock()
				defer mu.Unlock()
				word := map[bool]string{true: "+", false: "-"}[on]
				told = append(told, word+hold.Scope)
			})
		}()
		synctest.Wait() // what is on already when it begins is no change
		step := func(do func() error) {
			t.Helper()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * killSwitchLook)
		}
		step(func() error { _, err := holds.Stop("ann", ""); return err })
		step(func() error { _, err := holds.Pause("checkout", time.Now().Add(time.Second), "bob", ""); return err })
		step(func() error { _, _, err := holds.Resume(); return err })
		time.Sleep(2 * time.Second)
		cancel()
		<-done
		if got := strings.Join(told, " "); got != "+all +checkout -all -checkout" {
			t.Errorf("it told %s", got)
		}
		if halted["all"] < 4 || halted["checkout"] < 20 {
			t.Errorf("what is under way was told to stop %v times", halted)
		}
	})
}
