package shop

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxInFlight = 200                     // orders beyond this are lost without being sent
	settleGrace = 1600 * time.Millisecond // for the orders in flight when the load is told to stop
	maxBehind   = time.Second             // after a longer pause the rate goes on from now, without a burst
)

// load sends orders at a fixed rate, however long their answers take. Each order that it counts as sent ends as
// exactly one of ok and lost. Lost is what the customer saw: an order whose answer came too late counts as lost even
// if it stands in the book.
type load struct {
	gateway  *peer
	interval time.Duration
	timeout  time.Duration
	prefix   string // makes ids differ between runs
	tally    *tally
	log      *slog.Logger
	orders   sync.WaitGroup
	losing   atomic.Bool // whether the order settled last was lost
}

func declareLoad(fs *flag.FlagSet) func(*process) error {
	rate := &bounded[float64]{value: 20, min: 0.01, max: 1000, parse: func(s string) (float64, error) { return strconv.ParseFloat(s, 64) }}
	timeout := &bounded[time.Duration]{value: time.Second, min: time.Millisecond, max: time.Minute, parse: time.ParseDuration}
	fs.Var(rate, "rate", "`ORDERS` per second")
	fs.Var(timeout, "timeout", "an order not confirmed within this `DURATION` is lost")
	at := peerFlag(fs, "gateway", gatewayPort, "the gateway")
	return func(p *process) error {
		l := &load{
			gateway:  p.peer(at),
			interval: time.Duration(float64(time.Second) / rate.value),
			timeout:  timeout.value,
			prefix:   rand.Text()[:10],
			tally:    &tally{},
			log:      p.log,
		}
		p.registry.MustRegister(l.tally)
		p.work = func(ctx context.Context) {
			l.run(ctx)
			fmt.Fprintln(p.stdout, l.tally.stats())
		}
		p.mux.HandleFunc("GET /stats", p.metrics.around(http.MethodGet, "/stats", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, l.tally.stats())
		}))
		return nil
	}
}

// run sends until ctx ends, then lets the orders in flight settle and gives up on those that do not.
func (l *load) run(ctx context.Context) {
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	next := time.Now()
	for n := 1; wait(ctx, time.Until(next)); n++ {
		l.send(sending, order{ID: l.prefix + "-" + strconv.Itoa(n), SKU: "mug", Quantity: 1})
		next = next.Add(l.interval)
		if now := time.Now(); now.Sub(next) > maxBehind {
			next = now
		}
	}
	timer := time.AfterFunc(settleGrace, giveUp)
	defer timer.Stop()
	l.orders.Wait()
}

// send starts one order and does not wait for it.
func (l *load) send(ctx context.Context, o order) {
	if !l.tally.begin() {
		l.settled(errors.New("too many orders in flight"))
		return
	}
	l.orders.Go(func() {
		var c confirmation
		err := l.gateway.post(ctx, l.timeout, "/orders", o.ID, o, &c)
		if err == nil && c.ID != o.ID {
			err = fmt.Errorf("gateway confirmed %q instead of %q", c.ID, o.ID)
		}
		l.tally.end(err == nil)
		l.settled(err)
	})
}

// settled tells when losing orders begins and when it ends. A line for each lost order would say no more.
func (l *load) settled(err error) {
	lost := err != nil
	switch was := l.losing.Swap(lost); {
	case lost && !was:
		l.log.Warn("orders are being lost", "error", err)
	case !lost && was:
		l.log.Info("orders come through again")
	}
}
