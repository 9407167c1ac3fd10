package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// PrometheusDebian is the Debian package that has Prometheus and promtool.
const PrometheusDebian = "prometheus"

// Prometheus is a Prometheus server with a folder of its own, on 127.0.0.1.
type Prometheus struct {
	Config string // the configuration's file
	Port   int

	bin, dir string
	flags    []string
	process  *Process
}

// StartPrometheus writes a configuration and files of rules, by name, into a folder, which it makes, and starts Prometheus on
// a free port. It returns when the server says that it is ready. flags are added to those that say where it lives.
func StartPrometheus(ctx context.Context, dir, config string, rules map[string]string, flags ...string) (*Prometheus, error) {
	bin, err := Need("prometheus", PrometheusDebian)
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	p := &Prometheus{Config: filepath.Join(dir, "prometheus.yml"), Port: port, bin: bin, dir: dir, flags: flags}
	if err := p.Write(config, rules); err != nil {
		return nil, err
	}
	return p, p.Start(ctx)
}

// Write writes the configuration and the files of rules anew. Reload or Start makes it the one in force.
func (p *Prometheus) Write(config string, rules map[string]string) error {
	err := errors.Join(os.MkdirAll(p.dir, 0o755), os.WriteFile(p.Config, []byte(config), 0o644))
	for name, text := range rules {
		err = errors.Join(err, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644))
	}
	return err
}

// Start starts the server after a Stop, on the same port and over the same data, and returns when it is ready.
func (p *Prometheus) Start(ctx context.Context) error {
	argv := append([]string{p.bin, "--config.file=" + p.Config, "--storage.tsdb.path=" + filepath.Join(p.dir, "data"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", p.Port), "--web.enable-lifecycle", "--log.level=warn"}, p.flags...)
	process, err := Start(Options{Dir: p.dir}, argv...)
	if err != nil {
		return err
	}
	p.process = process
	if err := process.Await(ctx, func(ctx context.Context) error { return p.ask(ctx, http.MethodGet, "/-/ready") }); err != nil {
		return errors.Join(err, p.Stop())
	}
	return nil
}

// Reload reads the configuration and the rules again. The error says what the server finds wrong with them.
func (p *Prometheus) Reload(ctx context.Context) error {
	return p.ask(ctx, http.MethodPost, "/-/reload")
}

func (p *Prometheus) ask(ctx context.Context, method, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, p.URL()+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s: %s", path, response.Status, strings.TrimSpace(string(said)))
	}
	return err
}

// URL is its address.
func (p *Prometheus) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.Port) }

// Process is the program; another one after each Start.
func (p *Prometheus) Process() *Process { return p.process }

// Pause stops it where it stands: it keeps its connections and answers nobody.
func (p *Prometheus) Pause() error { return syscall.Kill(p.process.Pid(), syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Prometheus) Resume() error { return syscall.Kill(p.process.Pid(), syscall.SIGCONT) }

// Kill ends it at once, as a crash would.
func (p *Prometheus) Kill() error { return p.process.Stop(syscall.SIGKILL, 5*time.Second) }

// Stop ends it. Stopping twice is as stopping once.
func (p *Prometheus) Stop() error { return p.process.Stop(syscall.SIGTERM, 10*time.Second) }
