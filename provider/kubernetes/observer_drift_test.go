package kubernetes

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// countingSink counts how often an observer said that it is in touch.
type countingSink struct {
	telemetry.Sink
	synced, seen int
}

func (s *countingSink) Synced(...jenner.Subject) { s.synced++ }
func (s *countingSink) Seen(...jenner.Subject)   { s.seen++ }

// TestNoManifestIsNoSilence: where no target has a manifest nothing can drift, which is known; readiness asks for that word.
func TestNoManifestIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Second)
		defer stop()
		sink := &countingSink{}
		services := []jenner.Service{{Name: "shop", Targets: []jenner.Target{{Kind: kindDeployment, Name: "shop"}}}}
		if err := (&ObserverDrift{}).Observe(ctx, services, sink); err != nil {
			t.Fatal(err)
		}
		if sink.synced != 1 || sink.seen != int(time.Minute/seenEvery) {
			t.Errorf("in a minute it said %d times that all was told, and %d times that it still holds", sink.synced, sink.seen)
		}
	})
}
