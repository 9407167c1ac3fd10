package alarm

import (
	"fmt"
	"net/netip"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("alarm", "A page of metrics that only faults serve", func() any { return &Target{} })
}

// Target is what a target of kind alarm needs to know.
type Target struct {
	// Listen is the address and port that the faults serve the page on, of this machine only.
	Listen string `json:"listen"`
}

// Validate asks for a port of the loopback interface.
func (t *Target) Validate() error {
	address, err := netip.ParseAddrPort(t.Listen)
	switch {
	case err != nil:
		return fmt.Errorf("listen is %q; write an address and a port, such as 127.0.0.1:9911", t.Listen)
	case !address.Addr().IsLoopback():
		return fmt.Errorf("listen is %q, which others may reach; write an address such as 127.0.0.1:9911", t.Listen)
	case address.Port() == 0:
		return fmt.Errorf("listen is %q, a port that is another one each time; write one such as 127.0.0.1:9911", t.Listen)
	}
	return nil
}

func targetOf(target jenner.Target) (*Target, error) {
	var params Target
	if err := strict.Decode(target.Params, &params); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	return &params, nil
}
