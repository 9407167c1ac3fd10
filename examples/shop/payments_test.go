package shop

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestASlowLedgerFillsThePool(t *testing.T) {
	t.Parallel()
	host, release := newHost(), make(chan struct{})
	ledger := fake(t, host, ledgerPort, func(w http.ResponseWriter, _ *http.Request, o order) {
		<-release
		writeJSON(w, 200, receipt{ID: o.ID})
	})
	start(t, host, "payments", "--pool", "2")
	codes := make(chan int, 2)
	for i := range 2 {
		go func() {
			var r receipt
			codes <- post(t, host, paymentsPort, "/payments", payment{ID: "o" + strconv.Itoa(i), Cents: 1}, &r)
		}()
	}
	metric(t, host, paymentsPort, "db_pool_in_use 2")
	metric(t, host, paymentsPort, "http_in_flight_requests 2")

	var f failureBody
	code := post(t, host, paymentsPort, "/payments", payment{ID: "late", Cents: 1}, &f)
	if code != 503 || !strings.Contains(f.Error, "timed out waiting for a connection") {
		t.Errorf("answered %d %+v, want 503 for want of a connection", code, f)
	}
	metric(t, host, paymentsPort, "db_pool_waits_total 1")
	close(release)
	for range 2 {
		if code := <-codes; code != 200 {
			t.Errorf("a payment that had its connection was answered %d", code)
		}
	}
	metric(t, host, paymentsPort, "db_pool_in_use 0")
	if ledger.Load() != 2 {
		t.Errorf("the ledger saw %d payments, want 2", ledger.Load())
	}
}
