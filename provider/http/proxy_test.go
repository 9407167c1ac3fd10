package http

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// proxyWorld is a service, a fault proxy before it, and what the service got to see.
type proxyWorld struct {
	front, control string
	reached        atomic.Int64
}

func behindProxy(t *testing.T) *proxyWorld {
	t.Helper()
	w := &proxyWorld{}
	upstream := httptest.NewServer(nethttp.HandlerFunc(func(out nethttp.ResponseWriter, in *nethttp.Request) {
		w.reached.Add(1)
		body, _ := io.ReadAll(in.Body)
		out.Header().Set("X-Seen", in.Header.Get("X-Sent"))
		out.WriteHeader(nethttp.StatusTeapot)
		fmt.Fprintf(out, "%s %s %s", in.Method, in.URL, body)
	}))
	t.Cleanup(upstream.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- RunProxy(ctx, ProxyOptions{
			Listen: "127.0.0.1:0", Upstream: upstream.URL, Control: "127.0.0.1:0",
			Ready: func(front, control net.Addr) {
				w.front, w.control = "http://"+front.String(), "http://"+control.String()
				close(ready)
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("RunProxy: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("RunProxy: %v", err)
	}
	return w
}

func (w *proxyWorld) target() jenner.Target {
	return jenner.Target{Kind: "http", Name: "partner", Params: jenner.Params{"url": jenner.Raw(w.front), "proxy": jenner.Raw(w.control)}}
}

func (w *proxyWorld) get(t *testing.T) int {
	t.Helper()
	response, err := nethttp.Get(w.front + "/order?x=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func (w *proxyWorld) faults() proxyControl { return proxyControl{w.control} }

func TestProxyHandsOn(t *testing.T) {
	w := behindProxy(t)
	request, _ := nethttp.NewRequest("POST", w.front+"/a/b%20c?d=e", strings.NewReader("body"))
	request.Header.Set("X-Sent", "header")
	response, err := nethttp.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != nethttp.StatusTeapot || string(body) != "POST /a/b%20c?d=e body" || response.Header.Get("X-Seen") != "header" {
		t.Errorf("answer %d %q, header %q", response.StatusCode, body, response.Header.Get("X-Seen"))
	}
}

func TestProxyWithoutItsUpstream(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens there now
	upstream, _ := absoluteURL("http://" + listener.Addr().String())
	answer := httptest.NewRecorder()
	forward(upstream).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if answer.Code != nethttp.StatusBadGateway || !strings.Contains(answer.Body.String(), "refused") {
		t.Errorf("answer %d %q, want 502 with the reason", answer.Code, answer.Body)
	}
}

func TestLatencyConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		w := behindProxy(t)
		return faulttest.World{
			Fault:     func() chaos.Fault { return &FaultLatency{Delay: jenner.Duration(time.Millisecond), Share: 1} },
			Record:    jenner.FaultRecord{Target: w.target()},
			Absent:    jenner.Target{Kind: "http", Name: "none", Params: jenner.Params{"url": jenner.Raw(w.front)}},
			Stir:      func(t *testing.T) { w.get(t) },
			LeaseHeld: true,
		}
	})
}

func TestErrorConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		w := behindProxy(t)
		closed := httptest.NewServer(nil)
		closed.Close()
		return faulttest.World{
			Fault:     func() chaos.Fault { return &FaultError{Status: 503, Share: 1} },
			Record:    jenner.FaultRecord{Target: w.target()},
			Absent:    jenner.Target{Kind: "http", Name: "none", Params: jenner.Params{"proxy": jenner.Raw(closed.URL)}},
			Stir:      func(t *testing.T) { w.get(t) },
			LeaseHeld: true,
		}
	})
}

func TestErrorFaultAnswersInPlaceOfTheService(t *testing.T) {
	w := behindProxy(t)
	call := chaos.Call{Record: jenner.FaultRecord{ID: "e", Target: w.target(), Until: time.Now().Add(time.Minute)}}
	fault := &FaultError{Status: 503, Share: 1}
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status := w.get(t); status != 503 {
			t.Errorf("answer %d, want 503", status)
		}
	}
	if n := w.reached.Load(); n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
	witness, err := fault.Bite(t.Context(), call)
	if err != nil || witness.Saw != "3 of 3 requests answered with 503" {
		t.Errorf("the witness saw %q, %v", witness.Saw, err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if status := w.get(t); status != nethttp.StatusTeapot {
		t.Errorf("after the undo the answer is %d", status)
	}
}

// Somebody else's fault at the same proxy stays, and shows in the fingerprint.
func TestUndoLeavesOtherFaults(t *testing.T) {
	w := behindProxy(t)
	theirs := proxyFault{ID: "theirs", Kind: kindError, Status: 500, Share: 0.5, Until: time.Now().Add(time.Minute)}
	fault := &FaultLatency{Delay: jenner.Duration(time.Millisecond), Share: 1}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "ours/1 ?", Target: w.target(), Until: time.Now().Add(time.Minute)}}
	before, err := fault.Fingerprint(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	if err := fault.Inject(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if during, _ := fault.Fingerprint(t.Context(), call); during != before {
		t.Errorf("our own fault shows in the fingerprint: %s", during)
	}
	if err := w.faults().put(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if err := fault.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	left, err := w.faults().holding(t.Context())
	if err != nil || len(left) != 1 || left[0].ID != "theirs" {
		t.Errorf("left: %+v, %v", left, err)
	}
	if after, _ := fault.Fingerprint(t.Context(), call); after == before {
		t.Errorf("somebody else's fault does not show: %s", after)
	}
}

// A proxy that is gone cannot be asked; while the lease lasts that is an error, after it nothing is left to undo.
func TestUndoAtADeadProxy(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	target := jenner.Target{Kind: "http", Name: "partner", Params: jenner.Params{"proxy": jenner.Raw(closed.URL)}}
	call := chaos.Call{Record: jenner.FaultRecord{ID: "x", Target: target, Until: time.Now().Add(time.Minute)}}
	if err := (&FaultError{}).Undo(t.Context(), call); jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("while the lease lasts: %v, want an error to retry", err)
	}
	call.Record.Until = time.Now().Add(-time.Second)
	if err := (&FaultError{}).Undo(t.Context(), call); err != nil {
		t.Errorf("after the lease: %v", err)
	}
}

func TestProxyRefuses(t *testing.T) {
	w := behindProxy(t)
	good := proxyFault{ID: "a", Kind: kindLatency, Delay: 1, Share: 1, Until: time.Now().Add(time.Minute)}
	for part, change := range map[string]func(*proxyFault){
		"id is missing":         func(f *proxyFault) { f.ID = "" },
		"unknown kind":          func(f *proxyFault) { f.Kind = "slow" },
		"delay is missing":      func(f *proxyFault) { f.Delay = 0 },
		"no setting of error":   func(f *proxyFault) { f.Status = 500 },
		"is no error":           func(f *proxyFault) { f.Kind, f.Status, f.Delay = kindError, 200, 0 },
		"no setting of latency": func(f *proxyFault) { f.Kind, f.Status = kindError, 500 },
		"affects nothing":       func(f *proxyFault) { f.Share = 0 },
		"without a lease":       func(f *proxyFault) { f.Until = time.Time{} },
		"lease of fault a":      func(f *proxyFault) { f.Until = time.Now().Add(-time.Second) },
	} {
		fault := good
		change(&fault)
		wantError(t, w.faults().put(t.Context(), fault), part)
	}
	_, err := w.faults().ask(t.Context(), "PUT", "/fault", []byte(`{"id": "a", "dely": "4ms"}`))
	wantError(t, err, "dely")
	if list, err := w.faults().holding(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("holding %v, %v", list, err)
	}
}

func TestProxyControlIsForThisMachineOnly(t *testing.T) {
	handler := controlHandler(newFaultList(time.Now))
	for address, want := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "10.0.0.1:1": 403, "nonsense": 403} {
		request := httptest.NewRequest("GET", "/fault", nil)
		request.RemoteAddr = address
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("a caller from %s gets %d, want %d", address, answer.Code, want)
		}
	}
	err := RunProxy(t.Context(), ProxyOptions{Listen: "127.0.0.1:0", Upstream: "http://127.0.0.1:1", Control: "0.0.0.0:0"})
	wantError(t, err, "not a loopback address")
}

func TestProxyPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().String()
	err = RunProxy(t.Context(), ProxyOptions{Listen: taken, Upstream: "http://127.0.0.1:1", Control: "127.0.0.1:0"})
	wantError(t, err, taken, "in use")
	err = RunProxy(t.Context(), ProxyOptions{Listen: "127.0.0.1:0", Upstream: "http://127.0.0.1:1", Control: taken})
	wantError(t, err, taken, "in use")
	err = RunProxy(t.Context(), ProxyOptions{Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1", Control: "127.0.0.1:0"})
	wantError(t, err, "upstream")
}

func latency(id string, delay, lease time.Duration) proxyFault {
	return proxyFault{ID: id, Kind: kindLatency, Delay: jenner.Duration(delay), Share: 1, Until: time.Now().Add(lease)}
}

// waited is how long one request is held up by the list.
func waited(t *testing.T, list *faultList) <-chan time.Duration {
	done := make(chan time.Duration, 1)
	began := time.Now()
	handler := list.between(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { done <- time.Since(began) }))
	go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(t.Context()))
	return done
}

func TestLatencyInTime(t *testing.T) {
	for name, test := range map[string]struct {
		faults []proxyFault
		during func(t *testing.T, list *faultList)
		want   time.Duration
	}{
		"the delay":              {faults: []proxyFault{{ID: "a", Delay: s(2), Until: at(60)}}, want: 2 * time.Second},
		"two delays add up":      {faults: []proxyFault{{ID: "a", Delay: s(2), Until: at(60)}, {ID: "b", Delay: s(3), Until: at(60)}}, want: 5 * time.Second},
		"the lease ends first":   {faults: []proxyFault{{ID: "a", Delay: s(9), Until: at(4)}}, want: 4 * time.Second},
		"it is taken away first": {faults: []proxyFault{{ID: "a", Delay: s(9), Until: at(60)}}, during: func(_ *testing.T, l *faultList) { l.remove("a") }, want: time.Second},
		"it is renewed": {faults: []proxyFault{{ID: "a", Delay: s(9), Until: at(4)}}, during: func(t *testing.T, l *faultList) {
			if err := l.put(latency("a", 9*time.Second, time.Minute)); err != nil {
				t.Error(err)
			}
		}, want: 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := newFaultList(time.Now)
				for _, fault := range test.faults {
					lease := fault.Until.Sub(time.Time{})
					if err := list.put(latency(fault.ID, fault.Delay.Std(), lease)); err != nil {
						t.Fatal(err)
					}
				}
				done := waited(t, list)
				time.Sleep(time.Second)
				if test.during != nil {
					test.during(t, list)
				}
				if got := <-done; got != test.want {
					t.Errorf("a request waits for %s, want %s", got, test.want)
				}
			})
		})
	}
}

func s(seconds int) jenner.Duration { return jenner.Duration(time.Duration(seconds) * time.Second) }

// at is a lease of that many seconds, from whenever the test begins.
func at(seconds int) time.Time { return time.Time{}.Add(s(seconds).Std()) }

func TestLeaseEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newFaultList(time.Now)
		fault := proxyFault{ID: "a", Kind: kindError, Status: 500, Share: 1, Until: time.Now().Add(time.Second)}
		if err := list.put(fault); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - 1)
		if len(list.holding()) != 1 || len(list.hit(func() float64 { return 0 })) != 1 {
			t.Error("the fault ended before its lease")
		}
		time.Sleep(time.Nanosecond)
		if len(list.holding()) != 0 || len(list.hit(func() float64 { return 0 })) != 0 {
			t.Error("the fault outlives its lease")
		}
		if stats := list.stats(); len(stats) != 1 || stats[0].Seen != 1 || stats[0].Affected != 1 {
			t.Errorf("after the lease the counters are %+v", stats)
		}
		if list.remove("a") {
			t.Error("what ended by itself was taken away as if it held")
		}
	})
}

func TestShareOfRequests(t *testing.T) {
	list := newFaultList(time.Now)
	fault := latency("a", time.Second, time.Minute)
	fault.Share = 0.3
	if err := list.put(fault); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		list.hit(func() float64 { return float64(i) / 10 })
	}
	if stats := list.stats()[0]; stats.Seen != 10 || stats.Affected != 3 {
		t.Errorf("of 10 requests over the whole range of chance: %+v, want 3 affected", stats)
	}
}

func TestJitter(t *testing.T) {
	for chance, want := range map[float64]time.Duration{0: 300, 0.5: 400, 0.75: 450} {
		if got := jittered(400*time.Millisecond, 100*time.Millisecond, chance); got != want*time.Millisecond {
			t.Errorf("at a chance of %g it is %s, want %dms", chance, got, want)
		}
	}
	if got := jittered(10, 100, 0); got != 0 {
		t.Errorf("a delay below nothing: %s", got)
	}
}

func TestFaultListIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newFaultList(time.Now)
		for i := range maxPlaced {
			if err := list.put(latency(fmt.Sprint(i), 1, time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		wantError(t, list.put(latency("more", 1, time.Minute)), "take some away")
		time.Sleep(time.Minute)
		if err := list.put(latency("more", 1, time.Minute)); err != nil {
			t.Errorf("although all leases have ended: %v", err)
		}
	})
}

func TestFaultParameters(t *testing.T) {
	for _, good := range []chaos.Validator{&FaultLatency{Delay: 1, Share: 1}, &FaultError{Status: 500, Share: 0.1}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []chaos.Validator{&FaultLatency{Share: 1}, &FaultLatency{Delay: 1}, &FaultError{Status: 302, Share: 1}} {
		if bad.Validate() == nil {
			t.Errorf("accepted: %+v", bad)
		}
	}
}

func TestStatsAreJSON(t *testing.T) {
	w := behindProxy(t)
	if err := w.faults().put(t.Context(), latency("a", time.Millisecond, time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.get(t)
	raw, err := w.faults().ask(t.Context(), "GET", "/stats", nil)
	var list []map[string]any
	if err != nil || json.Unmarshal(raw, &list) != nil || len(list) != 1 || list[0]["seen"] != 1.0 || list[0]["affected"] != 1.0 {
		t.Errorf("stats are %s, %v", raw, err)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not tell %q", err, part)
		}
	}
}
