package dns

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("failing", "Answer with an error, or not at all", func() chaos.Fault { return &FaultFailing{} }, "dns")
}

// FaultFailing answers questions about the names with an error, which nobody may keep, or leaves them unanswered. Needs
// CAP_NET_ADMIN.
type FaultFailing struct {
	redirected
	// With is nxdomain (there is no such name), servfail (the server cannot tell), refused, or silence.
	With string `json:"with"`
}

const silence = "silence"

var failures = map[string]int{"nxdomain": dns.RcodeNameError, "servfail": dns.RcodeServerFailure, "refused": dns.RcodeRefused}

// Validate checks the parameters.
func (f *FaultFailing) Validate() error {
	if _, known := failures[f.With]; !known && f.With != silence {
		return fmt.Errorf("with %q is not nxdomain, servfail, refused or silence", f.With)
	}
	return nil
}

// Hold fails until ctx ends.
func (f *FaultFailing) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return hold(ctx, call, tell, f.treat)
}

func (f *FaultFailing) treat(_ context.Context, asked *dns.Msg, _ func() (*dns.Msg, error)) (*dns.Msg, error) {
	if f.With == silence {
		return nil, nil
	}
	answer := new(dns.Msg).SetRcode(asked, failures[f.With])
	answer.RecursionAvailable = true
	return answer, nil
}

// Bite asks the responder how many questions it failed to answer.
func (f *FaultFailing) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return bite(call, "were answered with "+f.With)
}
