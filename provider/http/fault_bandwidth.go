package http

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("bandwidth", "Let bodies through slowly", func() chaos.Fault { return &FaultBandwidth{Share: 1} }, "http")
}

// FaultBandwidth lets the bodies of requests and answers through the fault proxy at so many bytes a second, each way, all
// requests that are affected together: as a narrow line does. Heads of requests and answers are not counted.
type FaultBandwidth struct {
	proxied
	Rate  int64        `json:"rate"`            // bytes a second
	Share jenner.Share `json:"share,omitempty"` // of the requests; 100% where not said
}

func (f *FaultBandwidth) fault() proxyFault {
	return proxyFault{Kind: kindBandwidth, Rate: f.Rate, Share: f.Share}
}

// Validate checks the parameters.
func (f *FaultBandwidth) Validate() error { return validateParams(f.fault()) }

// Inject puts the fault at the proxy until the record's lease ends.
func (f *FaultBandwidth) Inject(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Renew makes the fault last until the record's new end.
func (f *FaultBandwidth) Renew(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Bite asks the proxy how long bodies have waited.
func (f *FaultBandwidth) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	stats, err := f.asked(ctx, call)
	return chaos.Witness{
		Bit: stats.Delayed > 0,
		Saw: fmt.Sprintf("%d of %d requests held to %d bytes a second, which took %s longer", stats.Affected, stats.Seen, f.Rate,
			stats.Delayed.Std().Round(time.Millisecond)),
	}, err
}
