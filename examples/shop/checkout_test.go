package shop

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheFlagSparesThePartner(t *testing.T) {
	t.Parallel()
	host, flags := newHost(), filepath.Join(t.TempDir(), "flags.json")
	start(t, host, "ledger")
	start(t, host, "payments")
	start(t, host, "inventory")
	partner := fake(t, host, partnerPort, func(w http.ResponseWriter, _ *http.Request, o order) {
		writeJSON(w, 200, quote{ID: o.ID, ShippingCents: 777})
	})
	start(t, host, "checkout", "--partner", at(host, partnerPort), "--flags", flags)

	var calls int64
	for i, step := range []struct {
		file, sku, quote string
		total            int
		errors           string
	}{
		{"", "mug", "live", 1977, "0"}, // no file: all off
		{`{"partner_cached": true}`, "mug", "cached", 1977, "0"},
		{`{"partner_cached": true, "colour": "blue"}`, "sticker", "cached", 270, "0"}, // never quoted: the list price
		{`{"partner_cached": tr`, "mug", "cached", 1977, "1"},                         // broken: as it was
		{`{"partner_cached": "no"}`, "mug", "cached", 1977, "2"},
		{`null`, "mug", "cached", 1977, "3"},
		{`{"partner_cached": false}`, "mug", "live", 1977, "3"},
		{`{}`, "mug", "live", 1977, "3"},
	} {
		if step.file != "" {
			replace(t, flags, step.file)
		}
		for range 2 { // the second order finds the file unchanged
			var c confirmation
			if code := post(t, host, checkoutPort, "/orders", order{ID: "o", SKU: step.sku, Quantity: 1}, &c); code != 200 {
				t.Fatalf("step %d: answered %d", i, code)
			}
			if want := (confirmation{ID: "o", TotalCents: step.total, Quote: step.quote}); c != want {
				t.Errorf("step %d: %+v, want %+v", i, c, want)
			}
			if step.quote == "live" {
				calls++
			}
			if partner.Load() != calls {
				t.Errorf("step %d: %d calls to the partner, want %d", i, partner.Load(), calls)
			}
		}
		metric(t, host, checkoutPort, "shop_flag_errors_total "+step.errors)
	}
	metric(t, host, checkoutPort, `shop_partner_calls_total{mode="live"} 6`)
	metric(t, host, checkoutPort, `shop_partner_calls_total{mode="cached"} 10`)
}

func TestTheFlagFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	overwrite := func(content string, modified time.Time) { // the same inode
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	f := newFlagFile(path, quiet(), flagPartnerCached)
	want := func(on bool, why string) {
		t.Helper()
		if f.on(flagPartnerCached) != on {
			t.Errorf("%s: on is %v", why, !on)
		}
	}
	overwrite(`{"partner_cached":false}`, day)
	want(false, "first look")
	overwrite(`{"partner_cached":true}`, day)
	want(true, "another size")
	overwrite(`{"partner_Cached":true}`, day.Add(time.Second))
	want(false, "another time")
	replace(t, path, `{"partner_cached":true}`)
	if err := os.Chtimes(path, day.Add(time.Second), day.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	want(true, "another inode")
	overwrite(`{"partner_Cached":true}`, day.Add(time.Second))
	want(true, "not changed as far as a stat tells, so not read")
}

func TestRemovingTheFlagFileTurnsTheFlagOff(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	replace(t, path, `{"partner_cached": true}`)
	f := newFlagFile(path, quiet(), flagPartnerCached)
	if !f.on(flagPartnerCached) {
		t.Error("off with the file")
	}
	remove(t, path)
	if f.on(flagPartnerCached) {
		t.Error("on without the file")
	}
}

func TestASlowPartnerMakesCheckoutSlowAndThenFail(t *testing.T) {
	t.Parallel()
	host := newHost()
	fake(t, host, partnerProxyPort, func(_ http.ResponseWriter, r *http.Request, _ order) { <-r.Context().Done() })
	start(t, host, "checkout")

	begun := time.Now()
	var f failureBody
	code := post(t, host, checkoutPort, "/orders", order{ID: "o1", SKU: "mug", Quantity: 1}, &f)
	if took := time.Since(begun); code != 502 || took < partnerTimeout {
		t.Errorf("answered %d after %v, want 502 after %v", code, took, partnerTimeout)
	}
	if want := (failureBody{ID: "o1", Error: "partner: no answer in time", Dependency: "partner"}); f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
}

func TestAFailingDependencyIsNamed(t *testing.T) {
	t.Parallel()
	host := newHost()
	ask := func() string {
		t.Helper()
		var f failureBody
		if code := post(t, host, checkoutPort, "/orders", order{ID: "o1", SKU: "mug", Quantity: 1}, &f); code != 502 {
			t.Errorf("answered %d, want 502", code)
		}
		return f.Dependency
	}
	start(t, host, "checkout", "--partner", at(host, partnerPort))
	for _, missing := range []string{"partner", "inventory", "payments"} {
		if got := ask(); got != missing {
			t.Errorf("without %s the failure names %q", missing, got)
		}
		start(t, host, missing)
	}
	if got := ask(); got != "payments" { // which names the ledger
		t.Errorf("without ledger the failure names %q", got)
	}
	metric(t, host, checkoutPort, `http_requests_total{code="502",method="POST",path="/orders"} 4`)
}
