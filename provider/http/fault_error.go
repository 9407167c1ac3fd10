package http

import (
	"context"
	"fmt"
	nethttp "net/http"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("error", "Answer requests with an error instead of handing them on", func() chaos.Fault {
		return &FaultError{Status: nethttp.StatusInternalServerError, Share: 1}
	}, "http")
}

// FaultError answers requests at the fault proxy with an error; the service does not get to see them.
type FaultError struct {
	proxied
	Status int          `json:"status,omitempty"` // 400 to 599; 500 where not said
	Share  jenner.Share `json:"share,omitempty"`  // of the requests; 100% where not said
}

func (f *FaultError) fault() proxyFault {
	return proxyFault{Kind: kindError, Status: f.Status, Share: f.Share}
}

// Validate checks the parameters.
func (f *FaultError) Validate() error { return validateParams(f.fault()) }

// Inject puts the fault at the proxy until the record's lease ends.
func (f *FaultError) Inject(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Renew makes the fault last until the record's new end.
func (f *FaultError) Renew(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Bite asks the proxy how many requests it has answered with the error.
func (f *FaultError) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.bite(ctx, call, func(faultStats) string { return fmt.Sprintf("answered with %d", f.Status) })
}
