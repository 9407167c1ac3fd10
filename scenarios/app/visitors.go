package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func init() { programs["visitors"] = visitors }

// visitors --url URL --listen ADDRESS [--rate N]: asks URL again and again, each time over a connection of its own as
// different people do, and tells on /metrics what they were answered and how long it took: visits_total by code, where 0 is
// no answer, and visit_seconds.
func visitors(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("visitors", flag.ContinueOnError)
	url := set.String("url", "", "what is asked")
	method := set.String("method", http.MethodGet, "how")
	listen := set.String("listen", "", "host:port")
	rate := set.Float64("rate", 20, "visits a second")
	if err := set.Parse(args); err != nil {
		return err
	}
	if *rate <= 0 {
		return errors.New("rate is to be above 0")
	}
	registry := prometheus.NewRegistry()
	v := &visits{
		client: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: (&net.Dialer{Timeout: 500 * time.Millisecond}).DialContext}},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "visits_total", Help: "Visits by the code of their answer, 0 for none."}, []string{"code"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "visit_seconds", Help: "How long visits took.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1}}),
	}
	registry.MustRegister(v.total, v.took)
	go v.come(ctx, *method, *url, time.Duration(float64(time.Second) / *rate))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return serve(ctx, *listen, mux)
}

type visits struct {
	client *http.Client
	total  *prometheus.CounterVec
	took   prometheus.Histogram
}

// visitorsAtOnce bounds how many wait for an answer at the same time; who comes then, goes away again.
const visitorsAtOnce = 50

func (v *visits) come(ctx context.Context, method, url string, every time.Duration) {
	places := make(chan struct{}, visitorsAtOnce)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case places <- struct{}{}:
			go func() {
				v.visit(ctx, method, url)
				<-places
			}()
		default:
			v.total.WithLabelValues("0").Inc()
		}
	}
}

func (v *visits) visit(ctx context.Context, method, url string) {
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(""))
	if err != nil {
		return
	}
	code := 0
	if response, err := v.client.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		code = response.StatusCode
	}
	if ctx.Err() == nil {
		v.total.WithLabelValues(strconv.Itoa(code)).Inc()
		v.took.Observe(time.Since(began).Seconds())
	}
}
