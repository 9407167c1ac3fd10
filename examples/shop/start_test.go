package shop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the shop, for the tests that need a real process.
func TestMain(m *testing.M) {
	if os.Getenv("SHOP_TEST_PROCESS") != "" {
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// startShop starts all roles but the load, without a proxy before the partner, and returns the ledger's book.
func startShop(t *testing.T, host string, checkoutFlags ...string) (book string) {
	t.Helper()
	book = filepath.Join(t.TempDir(), "book")
	start(t, host, "ledger", "--book", book)
	start(t, host, "payments")
	start(t, host, "inventory")
	start(t, host, "partner")
	start(t, host, "checkout", append([]string{"--partner", at(host, partnerPort)}, checkoutFlags...)...)
	start(t, host, "gateway")
	return book
}

var hosts atomic.Int32

// newHost returns a loopback address that no other test uses, nor another run of the tests at the same time.
func newHost() string {
	return fmt.Sprintf("127.81.%d.%d", 1+os.Getpid()%250, hosts.Add(1))
}

func at(host string, port int) string { return fmt.Sprintf("http://%s:%d", host, port) }

func portOf(t *testing.T, name string) int {
	t.Helper()
	for _, r := range roles() {
		if r.name == name {
			return r.port
		}
	}
	t.Fatalf("no role %q", name)
	return 0
}

// running is a role inside the test's process.
type running struct {
	stdout, stderr output
	cancel         context.CancelFunc
	done           chan struct{}
	code           int
}

// start runs a role and returns once it answers. It ends with the test.
func start(t *testing.T, host, name string, flags ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.code = run(ctx, append([]string{name, "--host", host}, flags...), &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() {
		if code := r.stop(); code != 0 {
			t.Errorf("%s ended with exit code %d:\n%s", name, code, r.stderr.String())
		}
	})
	answers(t, host, portOf(t, name))
	return r
}

func (r *running) stop() int {
	r.cancel()
	<-r.done
	return r.code
}

// spawn runs a role as a process of its own and returns once it answers. It is killed when the test ends.
func spawn(t *testing.T, host, name string, flags ...string) (*exec.Cmd, *output) {
	t.Helper()
	var stderr output
	cmd := exec.Command(os.Args[0], append([]string{name, "--host", host}, flags...)...)
	cmd.Env = append(os.Environ(), "SHOP_TEST_PROCESS=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	answers(t, host, portOf(t, name))
	return cmd, &stderr
}

// ends sends a signal and checks that the process ends cleanly within the promised two seconds.
func ends(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	begun := time.Now()
	cmd.Process.Signal(s)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after %v: %v", s, err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v to end after %v", took, s)
	}
}

// output is what a role printed. It may be read while the role runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
