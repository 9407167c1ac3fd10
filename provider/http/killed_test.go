package http

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// TestMain lets the test program be the processes that inject a fault, and that undo it.
func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

func killedAtTheProxy(t *testing.T, name string, params jenner.Params, fault func() chaos.Fault) {
	faulttest.Killed(t, func(t *testing.T) faulttest.World {
		w := behindProxy(t)
		return faulttest.World{Fault: fault, LeaseHeld: true, Stir: func(t *testing.T) { w.get(t) },
			Record: jenner.FaultRecord{Fault: name, Params: params, Target: w.target()}}
	})
}

func TestLatencyEndsWhoeverIsKilled(t *testing.T) {
	killedAtTheProxy(t, "http.latency", jenner.Params{"delay": jenner.Raw("1ms")},
		func() chaos.Fault { return &FaultLatency{Delay: jenner.Duration(time.Millisecond), Share: 1} })
}

func TestErrorEndsWhoeverIsKilled(t *testing.T) {
	killedAtTheProxy(t, "http.error", jenner.Params{"status": jenner.Raw(503)},
		func() chaos.Fault { return &FaultError{Status: 503, Share: 1} })
}
