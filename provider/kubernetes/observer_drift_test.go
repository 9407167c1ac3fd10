package kubernetes

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// touch counts what an observer says about itself.
type touch struct{ synced, seen int }

func (*touch) Condition(jenner.Condition) {}
func (*touch) Changed(jenner.ChangeEvent) {}
func (*touch) Blind(string, error)        {}
func (c *touch) Synced(...jenner.Subject) { c.synced++ }
func (c *touch) Seen(...jenner.Subject)   { c.seen++ }

// TestNoManifestsIsNotBlind: where no target has a manifest nothing drifts, and that is not the silence of an observer that
// has lost its system, which would make Jenner not ready.
func TestNoManifestsIsNotBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		sink, ended := &touch{}, make(chan error)
		services := []jenner.Service{{Name: "shop", Targets: []jenner.Target{{Kind: kindDeployment, Name: "web", Params: jenner.Params{"namespace": []byte(`"shop"`)}}}}}
		go func() { ended <- (&ObserverDrift{}).Observe(ctx, services, sink) }()
		time.Sleep(4*seenEvery + time.Second) // the bubble's time
		stop()
		if err := <-ended; err != nil || sink.synced != 1 || sink.seen != 4 {
			t.Errorf("it ends with %v after it was synced %d and in touch %d times", err, sink.synced, sink.seen)
		}
	})
}
