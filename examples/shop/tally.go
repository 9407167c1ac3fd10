package shop

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// stats are the orders counted so far. At every moment Sent = OK + Lost + InFlight.
type stats struct {
	Sent     int `json:"sent"`
	OK       int `json:"ok"`
	Lost     int `json:"lost"`
	InFlight int `json:"in_flight"`
}

func (s stats) String() string {
	return fmt.Sprintf("sent=%d ok=%d lost=%d in_flight=%d", s.Sent, s.OK, s.Lost, s.InFlight)
}

// tally counts orders. It may be used concurrently, and everything it tells comes from one moment, as metrics too.
type tally struct {
	mu  sync.Mutex
	now stats
}

// begin counts an order as sent. False means that too many are in flight, and that this one is lost already.
func (t *tally) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Sent++
	if t.now.InFlight >= maxInFlight {
		t.now.Lost++
		return false
	}
	t.now.InFlight++
	return true
}

// end settles an order that began.
func (t *tally) end(ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.InFlight--
	if ok {
		t.now.OK++
	} else {
		t.now.Lost++
	}
}

func (t *tally) stats() stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

var (
	ordersSent = prometheus.NewDesc("shop_orders_sent_total", "Orders begun.", nil, nil)
	ordersOK   = prometheus.NewDesc("shop_orders_ok_total", "Orders confirmed in time.", nil, nil)
	ordersLost = prometheus.NewDesc("shop_orders_lost_total", "Orders failed, too late, or not sent because too many were in flight.", nil, nil)
)

// Describe makes the tally, with Collect, a prometheus.Collector.
func (t *tally) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(t, ch) }

// Collect sends all counts as of one moment.
func (t *tally) Collect(ch chan<- prometheus.Metric) {
	s := t.stats()
	ch <- prometheus.MustNewConstMetric(ordersSent, prometheus.CounterValue, float64(s.Sent))
	ch <- prometheus.MustNewConstMetric(ordersOK, prometheus.CounterValue, float64(s.OK))
	ch <- prometheus.MustNewConstMetric(ordersLost, prometheus.CounterValue, float64(s.Lost))
}
