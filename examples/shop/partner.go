package shop

import (
	"context"
	"flag"
)

// declarePartner is the third party: it quotes the price of shipping.
func declarePartner(*flag.FlagSet) func(*process) error {
	return func(p *process) error {
		handlePost(p, "/quotes", func(_ context.Context, o order) (quote, error) {
			if err := o.check(); err != nil {
				return quote{}, refused(err)
			}
			return quote{ID: o.ID, ShippingCents: goods[o.SKU].shippingCents}, nil
		})
		return nil
	}
}
