package dns

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("slow", "Answer late", func() chaos.Fault { return &FaultSlow{} }, "dns")
}

// FaultSlow hands questions about the names on to the real name server after a delay. Needs CAP_NET_ADMIN.
type FaultSlow struct {
	redirected
	// Delay of each question, at most 1m.
	Delay jenner.Duration `json:"delay"`
}

const maxDelay = time.Minute

// Validate checks the parameters.
func (f *FaultSlow) Validate() error {
	switch {
	case f.Delay == 0:
		return errors.New("delay is missing; write how long each question waits, such as 2s")
	case f.Delay.Std() > maxDelay:
		return fmt.Errorf("delay %s is more than %s; use dns.failing with silence", f.Delay, maxDelay)
	}
	return nil
}

// Hold delays until ctx ends.
func (f *FaultSlow) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	return hold(ctx, call, tell, f.treat)
}

func (f *FaultSlow) treat(ctx context.Context, _ *dns.Msg, ask func() (*dns.Msg, error)) (*dns.Msg, error) {
	timer := time.NewTimer(f.Delay.Std())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ask()
}

// Bite asks the responder how many questions it delayed.
func (f *FaultSlow) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	return bite(call, "waited for "+f.Delay.String())
}
