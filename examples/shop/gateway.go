package shop

import (
	"context"
	"crypto/rand"
	"flag"
	"time"
)

// checkoutTimeout is above all that checkout may take, so that checkout's own reason arrives.
const checkoutTimeout = 6 * time.Second

// declareGateway is the gateway: it checks an order, gives it an id if it has none, and hands it to checkout.
func declareGateway(fs *flag.FlagSet) func(*process) error {
	at := peerFlag(fs, "checkout", checkoutPort, "checkout")
	return func(p *process) error {
		checkout := p.peer(at)
		p.needs = []*peer{checkout}
		handlePost(p, "/orders", func(ctx context.Context, o order) (confirmation, error) {
			if o.ID == "" {
				o.ID = rand.Text()
			}
			if err := o.check(); err != nil {
				return confirmation{}, refused(err)
			}
			var c confirmation
			err := checkout.post(ctx, checkoutTimeout, "/orders", o.ID, o, &c)
			return c, err
		})
		return nil
	}
}
