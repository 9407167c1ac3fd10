package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jenner-heal/jenner/api"
	"github.com/jenner-heal/jenner/app"
)

// front is the HTTP port of a Jenner that may stand by: it answers from the beginning, whoever leads.
type front struct {
	listener net.Listener
	server   *http.Server
	numbers  *prometheus.Registry
	handler  atomic.Pointer[http.Handler]
}

// openFront opens the port; none where listen is empty.
func openFront(listen string, numbers *prometheus.Registry) (*front, error) {
	f := &front{numbers: numbers}
	f.standBy()
	if listen == "" {
		return f, nil
	}
	var err error
	if f.listener, err = net.Listen("tcp", listen); err != nil {
		return nil, fmt.Errorf("cannot serve metrics on %s: %w; choose another address with --listen, or --listen '' for none", listen, err)
	}
	f.server = &http.Server{ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*f.handler.Load()).ServeHTTP(w, r) })}
	go func() { _ = f.server.Serve(f.listener) }() // ends at close
	return f, nil
}

// standBy answers for a Jenner that does not lead. It is ready: to take over.
func (f *front) standBy() {
	handler := api.Handler(promhttp.HandlerFor(f.numbers, promhttp.HandlerOpts{}), func(context.Context) []api.Check {
		return []api.Check{{Name: "leader", OK: true, Saw: "another Jenner leads, or none yet; this one stands by"}}
	}, nil)
	f.handler.Store(&handler)
}

// lead answers for a Jenner that leads.
func (f *front) lead(a *app.App) {
	handler := a.Handler(f.numbers)
	f.handler.Store(&handler)
}

func (f *front) address() net.Addr {
	if f.listener == nil {
		return nil
	}
	return f.listener.Addr()
}

func (f *front) close() {
	if f.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = f.server.Shutdown(ctx) // what is still being answered is cut off
}
