package shop

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

func TestLedgerDownIsNamedByAllWhoNeedIt(t *testing.T) {
	t.Parallel()
	host := newHost()
	ledger := start(t, host, "ledger")
	start(t, host, "payments")
	start(t, host, "inventory")
	start(t, host, "checkout") // its partner is missing, which is no reason not to be ready
	start(t, host, "gateway")
	all := []int{paymentsPort, checkoutPort, gatewayPort}
	for _, port := range all {
		if r := get(t, host, port, "/readyz"); r.code != 200 {
			t.Errorf("port %d with all it needs: %d %s", port, r.code, r.body)
		}
	}
	ledger.stop()
	for _, port := range all {
		if r := get(t, host, port, "/readyz"); r.code != 503 || !names(r, "ledger", "connection refused") {
			t.Errorf("port %d without the ledger: %d %s", port, r.code, r.body)
		}
		if r := get(t, host, port, "/healthz"); r.code != 200 {
			t.Errorf("port %d is not healthy: %d %s", port, r.code, r.body)
		}
	}
	start(t, host, "ledger")
	for _, port := range all {
		if r := get(t, host, port, "/readyz"); r.code != 200 {
			t.Errorf("port %d with the ledger back: %d %s", port, r.code, r.body)
		}
	}
}

func TestAHungLedgerIsNamedInTime(t *testing.T) {
	t.Parallel()
	host := newHost()
	fake(t, host, ledgerPort, func(_ http.ResponseWriter, r *http.Request, _ order) { <-r.Context().Done() })
	start(t, host, "payments")
	start(t, host, "inventory")
	start(t, host, "checkout")
	start(t, host, "gateway")
	for _, port := range []int{paymentsPort, checkoutPort, gatewayPort} {
		await.True(t, "not ready, because of the ledger, within 250 ms", func() bool { // again: other tests use the machine too
			r := get(t, host, port, "/readyz")
			return r.code == 503 && names(r, "ledger", "no answer in time") && r.took < 250*time.Millisecond
		})
	}
}

func names(r reply, missing, reason string) bool {
	return strings.Contains(r.body, missing) && strings.Contains(r.body, reason)
}
