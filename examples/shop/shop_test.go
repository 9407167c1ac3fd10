package shop

import (
	"strings"
	"testing"
)

func TestAnOrderGoesThroughTheWholeShop(t *testing.T) {
	t.Parallel()
	host := newHost()
	book := startShop(t, host)

	var c confirmation
	if code := post(t, host, gatewayPort, "/orders", order{ID: "o1", SKU: "shirt", Quantity: 2}, &c); code != 200 {
		t.Fatalf("order answered %d", code)
	}
	if want := (confirmation{ID: "o1", TotalCents: 5490, Quote: "live"}); c != want {
		t.Errorf("confirmation %+v, want %+v", c, want)
	}
	if got := read(t, book); got != "o1\n" {
		t.Errorf("book %q, want the order's id on a line", got)
	}
	if post(t, host, gatewayPort, "/orders", order{SKU: "mug", Quantity: 1}, &c); validID.FindString(c.ID) == "" {
		t.Errorf("an order without an id was given %q", c.ID)
	}
	for _, port := range []int{gatewayPort, checkoutPort} {
		metric(t, host, port, `http_requests_total{code="200",method="POST",path="/orders"} 2`)
		metric(t, host, port, `http_request_duration_seconds_count{path="/orders"} 2`)
		metric(t, host, port, `http_in_flight_requests 0`)
		if all := get(t, host, port, "/metrics").body; strings.Contains(all, "readyz") || strings.Contains(all, "go_goroutines") {
			t.Errorf("metrics of port %d hold more than its work:\n%s", port, all)
		}
	}
	metric(t, host, paymentsPort, `db_pool_max 8`)
	metric(t, host, paymentsPort, `db_pool_in_use 0`)
}

func TestAnImpossibleOrderIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	host := newHost()
	start(t, host, "gateway")
	for name, o := range map[string]order{
		"id of two lines": {ID: "a\nb", SKU: "mug", Quantity: 1},
		"unknown goods":   {ID: "a", SKU: "car", Quantity: 1},
		"nothing":         {ID: "a", SKU: "mug"},
	} {
		var f failureBody
		if code := post(t, host, gatewayPort, "/orders", o, &f); code != 400 || f.Error == "" {
			t.Errorf("%s: answered %d %+v, want 400 and a reason", name, code, f)
		}
	}
}
