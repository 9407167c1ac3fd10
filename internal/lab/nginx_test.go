package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner/internal/await"
)

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// ended fails where the process lives or the port is open.
func ended(t *testing.T, process *Process, port int) {
	t.Helper()
	if err := syscall.Kill(process.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("pid %d is there: %v", process.Pid(), err)
	}
	if connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		connection.Close()
		t.Errorf("port %d is open", port)
	}
}

func TestNginxStartsAndEnds(t *testing.T) {
	port := freePort(t)
	nginx, err := PrepareNginx(filepath.Join(t.TempDir(), "nginx"), NginxConfig(fmt.Sprintf("server { listen 127.0.0.1:%d; }", port)))
	if err != nil {
		t.Fatal(err)
	}
	if err := nginx.Start(limited(t), port); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := nginx.Stop(); err != nil {
			t.Error(err)
		}
	}
	ended(t, nginx.Process(), port)
}

// A configuration that nginx refuses is told in its own words, and nothing is left.
func TestNginxThatDoesNotStart(t *testing.T) {
	port := freePort(t)
	nginx, err := PrepareNginx(t.TempDir(), "lsten 80;")
	if err != nil {
		t.Fatal(err)
	}
	if err := nginx.Start(limited(t), port); err == nil || !strings.Contains(err.Error(), `unknown directive "lsten"`) {
		t.Errorf("the error is %v", err)
	}
	ended(t, nginx.Process(), port)
}
