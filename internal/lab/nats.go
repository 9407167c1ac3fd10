package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// NATS is a running nats-server with JetStream.
type NATS struct {
	*Process
	Port int
}

// StartNATS starts a nats-server with its streams in a folder, on a free port of the loopback address, and waits until it
// answers.
func StartNATS(ctx context.Context, dir string) (*NATS, error) {
	program, err := Need("nats-server", "nats-server")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	process, err := Start(Options{Dir: dir}, program, "--addr", "127.0.0.1", "--port", fmt.Sprint(port), "--jetstream",
		"--store_dir", filepath.Join(dir, "streams"))
	if err != nil {
		return nil, err
	}
	nats := &NATS{process, port}
	ready := func(ctx context.Context) error {
		return greet(ctx, fmt.Sprintf("127.0.0.1:%d", port), "", "INFO ")
	}
	if err := process.Await(ctx, ready); err != nil {
		return nil, fmt.Errorf("%w (stop: %v)", err, nats.Stop())
	}
	return nats, nil
}

// URL is where clients connect.
func (n *NATS) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.Port) }

// Stop ends it.
func (n *NATS) Stop() error { return n.Process.Stop(syscall.SIGTERM, 5*time.Second) }
