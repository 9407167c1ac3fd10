package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// socketDir is a folder with a short path: that of a socket may have 107 bytes.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "haproxy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestHAProxyStartsAndEnds(t *testing.T) {
	port := freePort(t)
	haproxy, err := StartHAProxy(limited(t), socketDir(t), fmt.Sprintf("listen web\n    bind 127.0.0.1:%d\n    server one 127.0.0.1:9\n", port))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := haproxy.Stop(); err != nil {
			t.Error(err)
		}
	}
	ended(t, haproxy.Process(), port)
}

func TestHAProxyThatDoesNotStart(t *testing.T) {
	_, err := StartHAProxy(limited(t), socketDir(t), "lsten web\n")
	if err == nil || !strings.Contains(err.Error(), "lsten") {
		t.Errorf("the error is %v", err)
	}
}
