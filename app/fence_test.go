package app

import (
	"errors"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestAFenceIsAKillSwitch that no file puts on and no resume takes away; and the one on disk can be put on beneath it.
func TestAFenceIsAKillSwitch(t *testing.T) {
	dir := t.TempDir()
	holds := NewHolds(dir, time.Now)
	fence := errors.New("the lease is lost")
	holds.fence = func() error { return fence }
	hold, on := holds.KillSwitch()
	if !on || hold.Scope != jenner.HoldAll || hold.By != "lease" || hold.Reason != "the lease is lost" {
		t.Errorf("behind a fence the kill switch is %v: %+v", on, hold)
	}
	if _, was, err := holds.Resume(); was || err != nil {
		t.Errorf("a resume takes away what was never put on: %v, %v", was, err)
	}
	if _, held := holds.Held("any"); !held {
		t.Error("a resume took the fence away")
	}
	if _, err := holds.Stop("ann", ""); err != nil {
		t.Fatal(err)
	}
	fence = nil
	if hold, on := holds.KillSwitch(); !on || hold.By != "ann" {
		t.Errorf("what was put on beneath the fence is %v: %+v", on, hold)
	}
	if _, was, err := holds.Resume(); !was || err != nil {
		t.Errorf("it cannot be taken away: %v, %v", was, err)
	}
	if hold, held := holds.Held("any"); held {
		t.Errorf("in the end there is %+v", hold)
	}
}
