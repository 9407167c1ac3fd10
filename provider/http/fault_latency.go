package http

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("latency", "Delay requests between callers and the service", func() chaos.Fault { return &FaultLatency{Share: 1} }, "http")
}

// FaultLatency lets requests wait at the fault proxy before they are handed on.
type FaultLatency struct {
	proxied
	Delay  jenner.Duration `json:"delay"`
	Jitter jenner.Duration `json:"jitter,omitempty"` // each request waits for delay ± jitter, evenly spread
	Share  jenner.Share    `json:"share,omitempty"`  // of the requests; 100% where not said
}

func (f *FaultLatency) fault() proxyFault {
	return proxyFault{Kind: kindLatency, Delay: f.Delay, Jitter: f.Jitter, Share: f.Share}
}

// Validate checks the parameters.
func (f *FaultLatency) Validate() error { return validateParams(f.fault()) }

// Inject puts the fault at the proxy until the record's lease ends.
func (f *FaultLatency) Inject(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Renew makes the fault last until the record's new end.
func (f *FaultLatency) Renew(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Bite asks the proxy how many requests it has delayed.
func (f *FaultLatency) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.bite(ctx, call, func(stats faultStats) string {
		mean := stats.Delayed.Std() / time.Duration(max(1, stats.Affected))
		return fmt.Sprintf("delayed by %s ± %s; those that went on waited for %s on average", f.Delay, f.Jitter, mean.Round(time.Millisecond))
	})
}
