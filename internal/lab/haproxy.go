package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// HAProxyDebian is the Debian package that has HAProxy.
const HAProxyDebian = "haproxy"

// HAProxy is an HAProxy with a folder of its own.
type HAProxy struct {
	Config string // the configuration's file
	Socket string // of the runtime API, with all rights

	process *Process
}

// StartHAProxy writes a configuration into a folder, which it makes, and starts HAProxy in the foreground. sections are
// those behind `global` and `defaults`: frontends and backends. It returns when the runtime API answers.
func StartHAProxy(ctx context.Context, dir, sections string) (*HAProxy, error) {
	bin, err := Need("haproxy", HAProxyDebian)
	if err != nil {
		return nil, err
	}
	h := &HAProxy{Config: filepath.Join(dir, "haproxy.cfg"), Socket: filepath.Join(dir, "haproxy.sock")}
	config := `global
    stats socket ` + h.Socket + ` mode 600 level admin
    maxconn 256
    nbthread 1
defaults
    mode tcp
    timeout connect 2s
    timeout client 1m
    timeout server 1m
` + sections
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(h.Config, []byte(config), 0o644)); err != nil {
		return nil, err
	}
	if h.process, err = Start(Options{Dir: dir}, bin, "-f", h.Config, "-db"); err != nil {
		return nil, err
	}
	if err := h.process.Await(ctx, func(ctx context.Context) error { return dial(ctx, "unix", h.Socket) }); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

// Process is the program.
func (h *HAProxy) Process() *Process { return h.process }

// Stop ends the program and all its connections. Stopping twice is as stopping once.
func (h *HAProxy) Stop() error { return h.process.Stop(syscall.SIGTERM, 5*time.Second) }
