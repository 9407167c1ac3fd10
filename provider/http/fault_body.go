package http

import (
	"context"
	"encoding/json"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("body", "Change the body of answers", func() chaos.Fault { return &FaultBody{Share: 1} }, "http")
}

// FaultBody changes the body of answers at the fault proxy in one way, and keeps the content length right, so that only
// who reads the body can see it. It asks the service for bodies that are not packed. A body of more than 16 MB is left as
// it is.
type FaultBody struct {
	proxied
	// Truncate is how much of the body is cut off its end, a byte at the least.
	Truncate jenner.Share `json:"truncate,omitempty"`
	// Match is a regular expression; every match of it becomes what `replace` says.
	Match string `json:"match,omitempty"`
	// Replace is what a match becomes, with $1 for its first group; nothing where not said.
	Replace string `json:"replace,omitempty"`
	// Field is a JSON pointer (RFC 6901) to a value that is there: /order/total. It becomes what `value` says.
	Field string `json:"field,omitempty"`
	// Value is any value.
	Value json.RawMessage `json:"value,omitempty"`
	// Garble is how many of the body's bytes become others, one at the least.
	Garble jenner.Share `json:"garble,omitempty"`
	Share  jenner.Share `json:"share,omitempty"` // of the requests; 100% where not said
}

func (f *FaultBody) fault() proxyFault {
	change := &bodyChange{Truncate: f.Truncate, Match: f.Match, Replace: f.Replace, Field: f.Field, Value: document(f.Value), Garble: f.Garble}
	return proxyFault{Kind: kindBody, Body: change, Share: f.Share}
}

// Validate checks the parameters.
func (f *FaultBody) Validate() error { return validateParams(f.fault()) }

// Inject puts the fault at the proxy until the record's lease ends.
func (f *FaultBody) Inject(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Renew makes the fault last until the record's new end.
func (f *FaultBody) Renew(ctx context.Context, call chaos.Call) error {
	return f.place(ctx, call, f.fault())
}

// Bite asks the proxy how many answers have another body than the service gave them. One in which there was nothing to
// change is none of them.
func (f *FaultBody) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	return f.biteChanged(ctx, call, "got another body")
}
