package shop

import (
	"context"
	"flag"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// flagPartnerCached makes checkout quote from memory.
const flagPartnerCached = "partner_cached"

// How long checkout waits for each of those it calls.
const (
	partnerTimeout   = 2 * time.Second
	inventoryTimeout = time.Second
	paymentsTimeout  = 2 * time.Second
)

// checkout turns an order into a quote, a reservation and a payment, in this order: what fails early costs nothing.
type checkout struct {
	partner, inventory, payments *peer

	flags        *flagFile
	partnerCalls *prometheus.CounterVec
	quotes       quoteCache
}

func declareCheckout(fs *flag.FlagSet) func(*process) error {
	path := fs.String("flags", "", "JSON `FILE` of feature flags, read again when it changes; partner_cached: true spares the partner")
	partner := peerFlag(fs, "partner", partnerProxyPort, "the partner, by default through its proxy")
	inventory := peerFlag(fs, "inventory", inventoryPort, "inventory")
	payments := peerFlag(fs, "payments", paymentsPort, "payments")
	return func(p *process) error {
		c := &checkout{
			partner: p.peer(partner), inventory: p.peer(inventory), payments: p.peer(payments),
			flags: newFlagFile(*path, p.log, flagPartnerCached),
			partnerCalls: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "shop_partner_calls_total", Help: "Quotes by where they came from.",
			}, []string{"mode"}),
		}
		for _, mode := range []string{"live", "cached"} {
			c.partnerCalls.WithLabelValues(mode)
		}
		p.registry.MustRegister(c.partnerCalls, c.flags.errors)
		p.needs = []*peer{c.inventory, c.payments} // not the partner: a third party's trouble must not take us out of service
		handlePost(p, "/orders", c.order)
		return nil
	}
}

func (c *checkout) order(ctx context.Context, o order) (confirmation, error) {
	if err := o.check(); err != nil {
		return confirmation{}, refused(err)
	}
	shipping, mode, err := c.quote(ctx, o)
	if err != nil {
		return confirmation{}, err
	}
	var reserved reservation
	if err := c.inventory.post(ctx, inventoryTimeout, "/reservations", o.ID, o, &reserved); err != nil {
		return confirmation{}, err
	}
	total := payment{ID: o.ID, Cents: goods[o.SKU].cents*o.Quantity + shipping}
	var paid receipt
	if err := c.payments.post(ctx, paymentsTimeout, "/payments", o.ID, total, &paid); err != nil {
		return confirmation{}, err
	}
	return confirmation{ID: o.ID, TotalCents: total.Cents, Quote: mode}, nil
}

// quote returns the price of shipping, from the partner or, with the flag on, from memory.
func (c *checkout) quote(ctx context.Context, o order) (cents int, mode string, err error) {
	if c.flags.on(flagPartnerCached) {
		c.partnerCalls.WithLabelValues("cached").Inc()
		return c.quotes.last(o.SKU), "cached", nil
	}
	c.partnerCalls.WithLabelValues("live").Inc()
	var q quote
	if err := c.partner.post(ctx, partnerTimeout, "/quotes", o.ID, o, &q); err != nil {
		return 0, "live", err
	}
	c.quotes.keep(o.SKU, q.ShippingCents)
	return q.ShippingCents, "live", nil
}

// quoteCache holds the partner's last price of each of our goods. The zero value knows the list prices.
type quoteCache struct {
	mu    sync.Mutex
	cents map[string]int
}

func (q *quoteCache) keep(sku string, cents int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cents == nil {
		q.cents = make(map[string]int, len(goods))
	}
	q.cents[sku] = cents
}

func (q *quoteCache) last(sku string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cents, known := q.cents[sku]; known {
		return cents
	}
	return goods[sku].shippingCents
}
