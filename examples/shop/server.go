package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The ports are fixed; shops side by side use different loopback addresses.
const (
	gatewayPort      = 18080
	checkoutPort     = 18081
	paymentsPort     = 18082
	inventoryPort    = 18083
	ledgerPort       = 18084
	partnerPort      = 18085
	loadPort         = 18086
	partnerProxyPort = 18095
)

// stopWithin is how long a process may take from the signal to its exit.
const stopWithin = 1900 * time.Millisecond

// process is what all roles share: one listener, one registry, one client, one lifecycle.
type process struct {
	role     role
	options  *options
	stdout   io.Writer
	log      *slog.Logger
	mux      *http.ServeMux
	registry *prometheus.Registry
	metrics  *httpMetrics
	client   *http.Client

	needs  []*peer                   // must be ready for us to be ready
	work   func(ctx context.Context) // runs until ctx ends and its own work is done
	closed func() error              // gives back what the role opened
}

func newProcess(r role, o *options, stdout, stderr io.Writer) *process {
	registry := prometheus.NewRegistry()
	return &process{
		role:     r,
		options:  o,
		stdout:   stdout,
		log:      slog.New(slog.NewTextHandler(stderr, nil)).With("role", r.name),
		mux:      http.NewServeMux(),
		registry: registry,
		metrics:  newHTTPMetrics(registry),
		client:   newClient(),
		work:     func(ctx context.Context) { <-ctx.Done() },
		closed:   func() error { return nil },
	}
}

// run starts the role and returns after a signal or the end of ctx. The port is opened before anything else is
// touched, so a second process of the same role changes neither the pidfile nor the book of the first.
func (p *process) run(ctx context.Context, build func(*process) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !wait(ctx, p.options.startupDelay.value) {
		return nil
	}
	listener, err := p.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := build(p); err != nil {
		return fmt.Errorf("%s cannot start: %w", p.role.name, err)
	}
	if err := writePidfile(p.options.pidfile); err != nil {
		return errors.Join(fmt.Errorf("%s cannot write its pidfile: %w", p.role.name, err), p.closed())
	}
	err = errors.Join(p.serve(ctx, listener), p.closed())
	return errors.Join(err, removePidfile(p.options.pidfile))
}

func (p *process) listen() (net.Listener, error) {
	address := net.JoinHostPort(string(p.options.host), strconv.Itoa(p.role.port))
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s cannot listen on %s: address already in use; stop what listens there or choose another --host", p.role.name, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot listen on %s: %w; choose another --host", p.role.name, address, err)
	}
	return listener, nil
}

// serve answers until ctx ends, then finishes what is in flight and closes the rest when stopWithin has passed.
func (p *process) serve(ctx context.Context, listener net.Listener) error {
	p.mux.HandleFunc("GET /healthz", p.healthz)
	p.mux.HandleFunc("GET /readyz", p.readyz)
	p.mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{DisableCompression: true}))
	server := &http.Server{
		Handler:           p.mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}

	serving, broken := context.WithCancel(ctx)
	defer broken()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(listener)
		broken()
	}()
	p.log.Info("listening", "url", "http://"+listener.Addr().String(), "pid", os.Getpid())

	worked := make(chan struct{})
	go func() {
		p.work(serving)
		close(worked)
	}()
	<-serving.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	<-worked // the port stays open meanwhile: the load's counts can be read until its last order is settled
	if err := server.Shutdown(grace); err != nil {
		p.log.Warn("stopped with requests in flight", "error", err)
		server.Close()
	}
	p.client.CloseIdleConnections()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s stopped serving: %w", p.role.name, err)
	}
	p.log.Info("stopped")
	return nil
}

// wait lets d pass and says whether it passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
