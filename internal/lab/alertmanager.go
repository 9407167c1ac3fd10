package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// AlertmanagerDebian is the Debian package that has Alertmanager.
const AlertmanagerDebian = "prometheus-alertmanager"

// Alertmanager is an Alertmanager with a folder of its own and no peers.
type Alertmanager struct {
	Port int

	process  *Process
	dir, bin string
}

// StartAlertmanager starts an Alertmanager with a configuration on a free port of the loopback address, and waits until
// it is ready. Its state is kept in the folder, so that it can be started anew.
func StartAlertmanager(ctx context.Context, dir, config string) (*Alertmanager, error) {
	bin, err := Need("prometheus-alertmanager", AlertmanagerDebian)
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	a := &Alertmanager{Port: port, dir: dir, bin: bin}
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return a, a.Start(ctx)
}

// Start starts it again after a Stop, on the same port.
func (a *Alertmanager) Start(ctx context.Context) error {
	process, err := Start(Options{Dir: a.dir}, a.bin, "--config.file=alertmanager.yml", "--storage.path=data",
		"--web.listen-address=127.0.0.1:"+fmt.Sprint(a.Port), "--cluster.listen-address=")
	if err != nil {
		return err
	}
	a.process = process
	if err := process.Await(ctx, func(ctx context.Context) error { return answers(ctx, a.URL()+"/-/ready") }); err != nil {
		return errors.Join(err, a.Stop())
	}
	return nil
}

// URL is http://127.0.0.1:PORT.
func (a *Alertmanager) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", a.Port) }

// Said is the end of what it said.
func (a *Alertmanager) Said() string { return a.process.Said() }

// Stop ends it. Stopping twice is as stopping once.
func (a *Alertmanager) Stop() error {
	if a.process == nil {
		return nil
	}
	return a.process.Stop(syscall.SIGTERM, 5*time.Second)
}

// answers asks for a page and wants a status of 2xx.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
