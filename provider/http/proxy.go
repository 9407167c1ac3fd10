package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// ProxyOptions say where the fault proxy stands.
type ProxyOptions struct {
	Listen   string // host:port where callers come in
	Upstream string // URL of the service behind it
	Control  string // host:port of the control endpoint, a loopback address
	// Ready, where set, is called once with the addresses that both listen on.
	Ready func(listen, control net.Addr)
}

// RunProxy stands between callers and a service until ctx ends, and answers nil then. It hands on every request as it
// is, but for faults that were put at its control endpoint:
//
//	PUT    /fault     {id, kind, share, until} and what belongs to the kind; the same id again replaces it
//	                  latency: delay, jitter; error: status; abort: after; body: body; bandwidth: rate
//	DELETE /fault/ID  takes a fault away, 404 where there is none
//	GET    /fault     the faults that hold now
//	GET    /stats     per fault: how many requests it saw and affected, and the delay it added
//
// A fault holds until its lease ends and no moment longer, whether or not anybody takes it away; requests that it
// delays are let go at that moment too. Only callers from a loopback address reach the control endpoint.
func RunProxy(ctx context.Context, options ProxyOptions) error {
	upstream, err := absoluteURL(options.Upstream)
	if err != nil {
		return fmt.Errorf("the fault proxy's upstream: %w", err)
	}
	control, err := listenLoopback(options.Control)
	if err != nil {
		return fmt.Errorf("the fault proxy's control endpoint: %w", err)
	}
	defer control.Close()
	front, err := net.Listen("tcp", options.Listen)
	if err != nil {
		return fmt.Errorf("the fault proxy cannot listen on %s: %w; stop what listens there or choose another port", options.Listen, err)
	}
	defer front.Close()
	faults := newFaultList(time.Now)
	if options.Ready != nil {
		options.Ready(front.Addr(), control.Addr())
	}
	return serveBoth(ctx,
		endpoint{front, proxyServer(faults.between(forward(upstream)))},
		endpoint{control, proxyServer(controlHandler(faults))})
}

func listenLoopback(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; stop what listens there or choose another port", address, err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		listener.Close()
		return nil, fmt.Errorf("%s is not a loopback address; whoever reaches it can break the service, so write 127.0.0.1", address)
	}
	return listener, nil
}

func proxyServer(handler nethttp.Handler) *nethttp.Server {
	return &nethttp.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
}

type endpoint struct {
	listener net.Listener
	server   *nethttp.Server
}

// serveBoth serves until ctx ends or one of the two breaks, then ends both.
func serveBoth(ctx context.Context, both ...endpoint) error {
	ended := make(chan error, len(both))
	for _, one := range both {
		go func() { ended <- one.server.Serve(one.listener) }()
	}
	var failed error
	left := len(both)
	select {
	case <-ctx.Done():
	case failed = <-ended:
		left--
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for _, one := range both {
		if one.server.Shutdown(grace) != nil {
			one.server.Close()
		}
	}
	for range left {
		<-ended
	}
	if failed != nil {
		return fmt.Errorf("the fault proxy stopped serving: %w", failed)
	}
	return nil
}

// forward hands requests on. It looks at no proxy settings of the environment: it stands where it was put.
func forward(upstream *url.URL) nethttp.Handler {
	transport := nethttp.DefaultTransport.(*nethttp.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 64
	return &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // what streams goes on streaming
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(upstream)
			request.SetXForwarded()
		},
		ErrorHandler: func(w nethttp.ResponseWriter, request *nethttp.Request, err error) {
			if errors.Is(err, context.Canceled) {
				panic(nethttp.ErrAbortHandler) // the caller is gone, nobody reads an answer
			}
			nethttp.Error(w, "no answer from "+upstream.Host+": "+err.Error(), nethttp.StatusBadGateway)
		},
	}
}

// between puts the faults in front of a handler. A request without a fault is handed on as it came.
func (l *faultList) between(next nethttp.Handler) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, request *nethttp.Request) {
		hits := l.hit(rand.Float64)
		if len(hits) == 0 {
			next.ServeHTTP(w, request)
			return
		}
		status := 0
		var changes []proxyFault
		for _, fault := range hits {
			switch fault.Kind {
			case kindLatency:
				if !l.delay(request.Context(), fault) {
					panic(nethttp.ErrAbortHandler)
				}
			case kindError:
				if status == 0 {
					status = fault.Status
				}
			default:
				changes = append(changes, fault)
			}
		}
		if len(changes) > 0 {
			answer, changed := l.changing(w, request, changes)
			defer answer.end()
			w, request = answer, changed
		}
		if status != 0 {
			nethttp.Error(w, nethttp.StatusText(status), status)
			return
		}
		next.ServeHTTP(w, request)
	})
}
