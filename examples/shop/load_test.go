package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

func TestEachOrderIsOKOrLost(t *testing.T) {
	t.Parallel()
	host := newHost()
	var confirmed, ids atomic.Int64
	seen := fake(t, host, gatewayPort, func(w http.ResponseWriter, r *http.Request, o order) {
		if r.Header.Get("Idempotency-Key") != o.ID || o.check() != nil {
			t.Errorf("bad order %+v", o)
		}
		switch ids.Add(1) % 4 {
		case 0:
			fmt.Fprint(w, "not JSON")
		case 1:
			writeJSON(w, 502, failureBody{Error: "no"})
		case 2:
			writeJSON(w, 200, confirmation{ID: "another"})
		default:
			confirmed.Add(1)
			writeJSON(w, 200, confirmation{ID: o.ID})
		}
	})
	load := start(t, host, "load", "--rate", "200", "--timeout", "1m")
	await.True(t, "100 orders are settled", func() bool {
		s := statsOf(t, host)
		if s.Sent != s.OK+s.Lost+s.InFlight {
			t.Errorf("forgot orders: %v", s)
		}
		return s.OK+s.Lost >= 100
	})
	load.stop()
	want := stats{Sent: int(seen.Load()), OK: int(confirmed.Load()), Lost: int(seen.Load() - confirmed.Load())}
	if got := load.stdout.String(); got != want.String()+"\n" {
		t.Errorf("counted %s\nwant    %s", got, want)
	}
	if n := strings.Count(load.stderr.String(), "orders are being lost"); n == 0 {
		t.Error("did not tell that orders are being lost")
	}
}

func TestAnAnswerThatComesTooLateIsALostOrder(t *testing.T) {
	t.Parallel()
	host := newHost()
	fake(t, host, gatewayPort, func(_ http.ResponseWriter, r *http.Request, _ order) { <-r.Context().Done() })
	start(t, host, "load", "--timeout", "30ms")
	await.True(t, "orders are lost, one after the other", func() bool { return statsOf(t, host).Lost >= 3 })
	if s := statsOf(t, host); s.OK != 0 || s.InFlight > maxInFlight/2 {
		t.Errorf("%v, want all lost in time", s)
	}
}

func TestASlowShopDoesNotSlowTheLoad(t *testing.T) {
	t.Parallel()
	host := newHost()
	seen := fake(t, host, gatewayPort, func(_ http.ResponseWriter, r *http.Request, _ order) { <-r.Context().Done() })
	load := start(t, host, "load", "--rate", "1000", "--timeout", "1m")
	await.True(t, "more orders than may be in flight", func() bool { return statsOf(t, host).Sent > maxInFlight+50 })
	s := statsOf(t, host)
	if s.InFlight != maxInFlight || s.Lost != s.Sent-maxInFlight || s.OK != 0 {
		t.Errorf("%v, want %d in flight and the others lost", s, maxInFlight)
	}
	metric(t, host, loadPort, "shop_orders_ok_total 0")

	begun := time.Now()
	load.stop()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v to stop", took)
	}
	var end stats
	if _, err := fmt.Sscanf(load.stdout.String(), "sent=%d ok=%d lost=%d in_flight=%d", &end.Sent, &end.OK, &end.Lost, &end.InFlight); err != nil {
		t.Fatal(err)
	}
	if end.Lost != end.Sent || end.OK != 0 || end.InFlight != 0 || end.Sent < s.Sent {
		t.Errorf("%v, want all lost", end)
	}
	if seen.Load() > maxInFlight {
		t.Errorf("%d orders reached the gateway, want at most %d", seen.Load(), maxInFlight)
	}
}

func TestTheLoadKeepsItsRate(t *testing.T) {
	t.Parallel()
	host := newHost()
	fake(t, host, gatewayPort, func(w http.ResponseWriter, _ *http.Request, o order) { writeJSON(w, 200, confirmation{ID: o.ID}) })
	begun := time.Now()
	start(t, host, "load", "--rate", "100")
	await.True(t, "51 orders are sent", func() bool { return statsOf(t, host).Sent >= 51 })
	if took := time.Since(begun); took < 500*time.Millisecond {
		t.Errorf("sent 51 orders in %v at 100 a second", took)
	}
	metric(t, host, loadPort, "shop_orders_lost_total 0")
}

func statsOf(t *testing.T, host string) stats {
	t.Helper()
	var s stats
	if err := json.Unmarshal([]byte(get(t, host, loadPort, "/stats").body), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
