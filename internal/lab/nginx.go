package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// NginxDebian is the Debian package that has nginx.
const NginxDebian = "nginx"

// Nginx is an nginx with a folder of its own.
type Nginx struct {
	Bin     string // the program
	Prefix  string // the folder that relative paths of the configuration start from
	Config  string // the configuration's file
	Pidfile string

	process *Process
}

// NginxConfig is a whole configuration around what stands in `http {}`. All that nginx writes goes into its prefix.
func NginxConfig(http string) string {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // whoever else it would become may not read the folder
	}
	return user + `worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
` + http + `
}
`
}

// PrepareNginx finds nginx and writes a configuration into a folder, which it makes. It starts nothing.
func PrepareNginx(prefix, config string) (*Nginx, error) {
	bin, err := Need("nginx", NginxDebian)
	if err != nil {
		return nil, err
	}
	n := &Nginx{Bin: bin, Prefix: prefix, Config: filepath.Join(prefix, "nginx.conf"), Pidfile: filepath.Join(prefix, "nginx.pid")}
	return n, errors.Join(os.MkdirAll(filepath.Join(prefix, "tmp"), 0o755), os.WriteFile(n.Config, []byte(config), 0o644))
}

// Start starts nginx in the foreground and returns when its pidfile names it and the port of 127.0.0.1 is open.
func (n *Nginx) Start(ctx context.Context, port int) error {
	process, err := Start(Options{Dir: n.Prefix}, n.Bin, "-p", n.Prefix, "-c", n.Config, "-g", "daemon off;")
	if err != nil {
		return err
	}
	n.process = process
	ready := func(ctx context.Context) error {
		if written, err := os.ReadFile(n.Pidfile); err != nil || string(written) != strconv.Itoa(process.Pid())+"\n" {
			return fmt.Errorf("%s does not name it yet: %w", n.Pidfile, err)
		}
		return dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if err := process.Await(ctx, ready); err != nil {
		return errors.Join(err, n.Stop())
	}
	return nil
}

// Process is the master; nil before Start.
func (n *Nginx) Process() *Process { return n.process }

// Stop ends the master and with it its workers. Stopping twice is as stopping once.
func (n *Nginx) Stop() error {
	if n.process == nil {
		return nil
	}
	return n.process.Stop(syscall.SIGTERM, 5*time.Second)
}

// dial connects once and closes the connection.
func dial(ctx context.Context, network, address string) error {
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return connection.Close()
}
