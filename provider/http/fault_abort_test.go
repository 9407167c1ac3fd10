package http

import (
	"errors"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// stirred sends a request whatever becomes of it.
func stirred(w *proxyWorld) func(t *testing.T) {
	return func(t *testing.T) {
		if response, err := nethttp.Get(w.front + "/order?x=1"); err == nil {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
}

// atTheProxy is a world for a fault that bites as soon as there is a request.
func atTheProxy(fault func() chaos.Fault, name string, params jenner.Params) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		w := behindProxy(t)
		return faulttest.World{
			Fault:     fault,
			Record:    jenner.FaultRecord{Fault: name, Params: params, Target: w.target()},
			Absent:    jenner.Target{Kind: "http", Name: "none", Params: jenner.Params{"url": jenner.Raw(w.front)}},
			Stir:      stirred(w),
			LeaseHeld: true,
		}
	}
}

var abortWorld = atTheProxy(func() chaos.Fault { return &FaultAbort{After: 5, Share: 1} }, "http.abort", jenner.Params{"after": jenner.Raw(5)})

func TestAbortConforms(t *testing.T) { faulttest.Run(t, abortWorld) }

func TestL21AbortEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, abortWorld) }

// broken puts a fault at the proxy for the rest of the test.
func broken(t testing.TB, w *proxyWorld, fault proxyFault) {
	t.Helper()
	if fault.ID == "" {
		fault.ID = "f"
	}
	fault.Share, fault.Until = 1, time.Now().Add(time.Minute)
	if err := w.faults().put(t.Context(), fault); err != nil {
		t.Fatal(err)
	}
}

func statsOf(t *testing.T, w *proxyWorld) faultStats {
	t.Helper()
	stats, err := w.faults().stats(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// fresh is a client that uses no connection twice, so that a reset is not taken for a connection that went idle.
var fresh = &nethttp.Client{Transport: &nethttp.Transport{DisableKeepAlives: true}}

// TestAbortAtOnce: the caller gets a reset, and the service nothing at all.
func TestAbortAtOnce(t *testing.T) {
	w := behindProxy(t)
	broken(t, w, proxyFault{Kind: kindAbort})
	response, err := fresh.Post(w.front, "text/plain", strings.NewReader("order"))
	if err == nil {
		response.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller gets %v, want a reset", err)
	}
	if n := w.reached.Load(); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
	if stats := statsOf(t, w); stats.Changed != 1 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestAbortInTheMiddle: status and head are the service's, so many bytes of its body come, and then a reset.
func TestAbortInTheMiddle(t *testing.T) {
	w := behindProxy(t)
	broken(t, w, proxyFault{Kind: kindAbort, After: 7})
	response, err := fresh.Get(w.front + "/order")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != nethttp.StatusTeapot || string(body) != "GET /or" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller gets %d %q, then %v", response.StatusCode, body, err)
	}
}

// TestAbortOfAShortAnswer: all of it gets through, and the witness does not count it.
func TestAbortOfAShortAnswer(t *testing.T) {
	w := behindProxy(t)
	whole := int64(len("GET /order?x=1 "))
	broken(t, w, proxyFault{Kind: kindAbort, After: whole})
	if status := w.get(t); status != nethttp.StatusTeapot {
		t.Errorf("answer %d", status)
	}
	fault := &FaultAbort{After: whole, Share: 1}
	witness, err := fault.Bite(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "f", Target: w.target()}})
	if err != nil || witness.Bit || witness.Saw != "0 of 1 answers were cut off" {
		t.Errorf("the witness saw %+v, %v", witness, err)
	}
}

// TestAbortOfWhatStreams: what came before the end is not held back.
func TestAbortOfWhatStreams(t *testing.T) {
	w := behindService(t, func(out nethttp.ResponseWriter, in *nethttp.Request) {
		for range 100 {
			if _, err := io.WriteString(out, "0123456789"); err != nil {
				return
			}
			nethttp.NewResponseController(out).Flush()
		}
	})
	broken(t, w, proxyFault{Kind: kindAbort, After: 25})
	response, err := fresh.Get(w.front)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if string(body) != "0123456789012345678901234" || err == nil {
		t.Errorf("the caller gets %q, then %v", body, err)
	}
}

// behindService is a fault proxy before a service of the test's own.
func behindService(t testing.TB, handler nethttp.HandlerFunc) *proxyWorld {
	t.Helper()
	service := httptest.NewServer(handler)
	t.Cleanup(service.Close)
	upstream, err := absoluteURL(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	faults := newFaultList(time.Now)
	front := httptest.NewServer(faults.between(forward(upstream)))
	t.Cleanup(front.Close)
	control := httptest.NewServer(controlHandler(faults))
	t.Cleanup(control.Close)
	return &proxyWorld{front: front.URL, control: control.URL}
}
