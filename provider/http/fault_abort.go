package http

import (
	"context"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("abort", "Reset the connections of callers", func() chaos.Fault { return &FaultAbort{Share: 1} }, "http")
}

// FaultAbort resets the caller's connection at the fault proxy: at once, so that the service does not get to see the
// request, or in the middle of the answer.
type FaultAbort struct {
	proxied
	After int64        `json:"after,omitempty"` // how many bytes of the answer's body still get through; at once where not said
	Share jenner.Share `json:"share,omitempty"` // of the requests; 100% where not said
}

func (f *FaultAbort) fault() proxyFault {
	return proxyFault{Kind: kindAbort, After: f.After, Share: f.Share}
}

// Validate checks the parameters.
func (f *FaultAbort) Validate() error { return validateParams(f.fault()) }

// Inject puts the fault at the proxy until the record's lease ends.
func (f *FaultAbort) Inject(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Renew makes the fault last until the record's new end.
func (f *FaultAbort) Renew(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Bite asks the proxy how many connections it has reset. An answer that is shorter than what gets through is not.
func (f *FaultAbort) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.biteChanged(ctx, call, "were cut off")
}
