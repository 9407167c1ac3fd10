package shop

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

func TestAPortInUseIsExplainedAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	host, dir := newHost(), t.TempDir()
	start(t, host, "ledger")
	pidfile, book := filepath.Join(dir, "ledger.pid"), filepath.Join(dir, "book")
	replace(t, pidfile, "1\n")
	replace(t, book, "o1\nhalf")

	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"ledger", "--host", host, "--pidfile", pidfile, "--book", book}, &stdout, &stderr)
	want := "shop: ledger cannot listen on " + host + ":18084: address already in use; stop what listens there or choose another --host\n"
	if code != 1 || stderr.String() != want {
		t.Errorf("exit code %d, %q\nwant 1, %q", code, &stderr, want)
	}
	if read(t, pidfile) != "1\n" || read(t, book) != "o1\nhalf" {
		t.Error("the second process changed the files of the first")
	}
}

func TestPidfileComesWithThePortAndGoesWithTheProcess(t *testing.T) {
	t.Parallel()
	host, pidfile := newHost(), filepath.Join(t.TempDir(), "partner.pid")
	cmd, _ := spawn(t, host, "partner", "--pidfile", pidfile)
	await.True(t, "pidfile names the process", func() bool {
		content, _ := os.ReadFile(pidfile)
		return string(content) == strconv.Itoa(cmd.Process.Pid)+"\n"
	})
	ends(t, cmd, syscall.SIGTERM)
	if entries, _ := os.ReadDir(filepath.Dir(pidfile)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestPidfileOfASuccessorIsKept(t *testing.T) {
	t.Parallel()
	host, pidfile := newHost(), filepath.Join(t.TempDir(), "partner.pid")
	cmd, _ := spawn(t, host, "partner", "--pidfile", pidfile)
	replace(t, pidfile, "1\n")
	ends(t, cmd, syscall.SIGINT)
	if got := read(t, pidfile); got != "1\n" {
		t.Errorf("pidfile %q, want the successor's", got)
	}
}

func TestPidfileOfAKilledProcessStays(t *testing.T) {
	t.Parallel()
	host, pidfile := newHost(), filepath.Join(t.TempDir(), "partner.pid")
	cmd, _ := spawn(t, host, "partner", "--pidfile", pidfile)
	cmd.Process.Kill()
	cmd.Wait()
	if got := read(t, pidfile); got != strconv.Itoa(cmd.Process.Pid)+"\n" {
		t.Errorf("pidfile %q, want the dead process's", got)
	}
}

func TestAPidfileThatCannotBeWrittenStopsTheStart(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	pidfile := filepath.Join(t.TempDir(), "missing", "partner.pid")
	if code := run(t.Context(), []string{"partner", "--host", newHost(), "--pidfile", pidfile}, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d, %q; want 1", code, &stderr)
	}
}

func TestStartupDelayHoldsThePortBack(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	start(t, newHost(), "partner", "--startup-delay", "300ms")
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestIgnoreTermLeavesOtherSignals(t *testing.T) {
	t.Parallel()
	host := newHost()
	cmd, _ := spawn(t, host, "inventory", "--ignore-term")
	cmd.Process.Signal(syscall.SIGTERM)
	for asked := time.Now(); time.Since(asked) < 300*time.Millisecond; {
		if get(t, host, inventoryPort, "/healthz").code != 200 {
			t.Fatal("SIGTERM stopped it")
		}
	}
	ends(t, cmd, syscall.SIGINT)
}

func TestStoppingFinishesTheRequestInFlight(t *testing.T) {
	t.Parallel()
	host, release := newHost(), make(chan struct{})
	checkout := fake(t, host, checkoutPort, func(w http.ResponseWriter, _ *http.Request, o order) {
		<-release
		writeJSON(w, 200, confirmation{ID: o.ID})
	})
	cmd, _ := spawn(t, host, "gateway")
	answer := make(chan int, 1)
	go func() {
		var c confirmation
		answer <- post(t, host, gatewayPort, "/orders", order{ID: "o1", SKU: "mug", Quantity: 1}, &c)
	}()
	await.True(t, "the order is at checkout", func() bool { return checkout.Load() == 1 })
	cmd.Process.Signal(syscall.SIGTERM)
	await.True(t, "the port is closed", func() bool { return get(t, host, gatewayPort, "/healthz").code == 0 })
	close(release)
	if code := <-answer; code != 200 {
		t.Errorf("the order in flight was answered %d", code)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
