package shop

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	poolWait      = 500 * time.Millisecond // the longest wait for a connection to the ledger
	ledgerTimeout = time.Second            // the longest wait for the ledger's answer
)

// declarePayments is payments: it posts to the ledger through a bounded pool of connections. A slow ledger fills the
// pool, and a full pool fails payments that the ledger has never seen.
func declarePayments(fs *flag.FlagSet) func(*process) error {
	size := &bounded[int]{value: 8, min: 1, max: 1000, parse: strconv.Atoi}
	fs.Var(size, "pool", "`CONNECTIONS` to the ledger")
	at := peerFlag(fs, "ledger", ledgerPort, "the ledger")
	return func(p *process) error {
		ledger, pool := p.peer(at), newPool(size.value)
		p.registry.MustRegister(pool.inUse, pool.max, pool.waits)
		p.needs = []*peer{ledger}
		handlePost(p, "/payments", func(ctx context.Context, in payment) (receipt, error) {
			if err := in.check(); err != nil {
				return receipt{}, refused(err)
			}
			if err := pool.take(ctx); err != nil {
				return receipt{}, err
			}
			defer pool.give()
			var r receipt
			err := ledger.post(ctx, ledgerTimeout, "/entries", in.ID, in, &r)
			return r, err
		})
		return nil
	}
}

// pool is a fixed number of slots. Each slot is one connection, since a connection carries one request at a time.
type pool struct {
	slots      chan struct{}
	inUse, max prometheus.GaugeFunc
	waits      prometheus.Counter
}

func newPool(size int) *pool {
	slots := make(chan struct{}, size)
	return &pool{
		slots: slots,
		inUse: newGaugeFunc("db_pool_in_use", "Connections to the ledger in use now.", func() int { return len(slots) }),
		max:   newGaugeFunc("db_pool_max", "Connections to the ledger that may be in use at once.", func() int { return cap(slots) }),
		waits: newCounter("db_pool_waits_total", "Payments that had to wait for a connection."),
	}
}

// take waits for a slot, poolWait at most. The failure has code 503: the ledger was not asked.
func (p *pool) take(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	p.waits.Inc()
	timer := time.NewTimer(poolWait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &failure{code: http.StatusServiceUnavailable, dependency: "ledger", err: errors.New("timed out waiting for a connection")}
	case <-ctx.Done():
		return &failure{code: http.StatusServiceUnavailable, dependency: "ledger", err: errors.New("the caller gave up waiting for a connection")}
	}
}

func (p *pool) give() { <-p.slots }
