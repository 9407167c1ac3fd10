package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"time"
)

func init() { programs["customers"] = customers }

// crowd is the customers of a shop, and what they were promised.
type crowd struct {
	url    string
	client *http.Client

	mu        sync.Mutex
	confirmed []int64
	lost      int
}

// customers --url URL --listen ADDRESS [--every D]: places an order again and again at URL/orders, and tells on /metrics
// how many were confirmed, how many were not, and how many of the confirmed ones the shop does not know any more.
func customers(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("customers", flag.ContinueOnError)
	c := &crowd{client: &http.Client{Timeout: time.Second}}
	set.StringVar(&c.url, "url", "", "the shop")
	listen := set.String("listen", "", "host:port")
	every := set.Duration("every", 100*time.Millisecond, "between two orders")
	if err := set.Parse(args); err != nil {
		return err
	}
	go c.buy(ctx, *every)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /metrics", c.metrics)
	return serve(ctx, *listen, mux)
}

func (c *crowd) buy(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for number := int64(1); ; number++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		response, err := c.client.Post(fmt.Sprintf("%s/orders?number=%d", c.url, number), "application/json", nil)
		if err == nil {
			response.Body.Close()
		}
		c.mu.Lock()
		if err == nil && response.StatusCode == http.StatusOK {
			c.confirmed = append(c.confirmed, number)
		} else {
			c.lost++
		}
		c.mu.Unlock()
	}
}

func (c *crowd) metrics(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	confirmed, lost := c.confirmed[:len(c.confirmed):len(c.confirmed)], c.lost
	c.mu.Unlock()
	fmt.Fprintf(w, "# TYPE orders_taken_total counter\norders_taken_total %d\n# TYPE orders_lost_total counter\norders_lost_total %d\n",
		len(confirmed), lost)
	if missing, err := c.missing(confirmed); err == nil {
		fmt.Fprintf(w, "# TYPE orders_missing gauge\norders_missing %d\n", missing)
	}
}

// missing asks the shop for every order that it confirmed.
func (c *crowd) missing(confirmed []int64) (missing int, err error) {
	body, err := json.Marshal(confirmed)
	if err != nil {
		return 0, err
	}
	response, err := c.client.Post(c.url+"/missing", "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = fmt.Fscan(response.Body, &missing)
	return missing, err
}
