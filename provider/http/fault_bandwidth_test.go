package http

import (
	"bytes"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

var bandwidthWorld = atTheProxy(func() chaos.Fault { return &FaultBandwidth{Rate: 10_000, Share: 1} }, "http.bandwidth", jenner.Params{"rate": jenner.Raw(10_000)})

func TestBandwidthConforms(t *testing.T) { faulttest.Run(t, bandwidthWorld) }

func TestL21BandwidthEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, bandwidthWorld) }

// sendingThrough hands requests through the list, in a bubble of fake time, to a service that reads what it gets and
// answers with so many bytes. It gives how long one took.
func sendingThrough(t *testing.T, list *faultList, up, down int) time.Duration {
	t.Helper()
	began := time.Now()
	request := httptest.NewRequest("POST", "/", bytes.NewReader(make([]byte, up))).WithContext(t.Context())
	answer := httptest.NewRecorder()
	list.between(nethttp.HandlerFunc(func(out nethttp.ResponseWriter, in *nethttp.Request) {
		if got, err := io.Copy(io.Discard, in.Body); err != nil || got != int64(up) {
			t.Errorf("the service got %d bytes, %v, want %d", got, err, up)
		}
		out.Write(make([]byte, down))
	})).ServeHTTP(answer, request)
	if answer.Body.Len() != down {
		t.Errorf("the caller got %d bytes, want %d", answer.Body.Len(), down)
	}
	return time.Since(began)
}

func narrow(t *testing.T, lease time.Duration) *faultList {
	t.Helper()
	list := newFaultList(time.Now)
	if err := list.put(proxyFault{ID: "f", Kind: kindBandwidth, Rate: 1000, Share: 1, Until: time.Now().Add(lease)}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestBandwidthInTime(t *testing.T) {
	for name, c := range map[string]struct {
		up, down int
		lease    time.Duration
		want     time.Duration
	}{
		"an answer":            {0, 2000, time.Minute, 2 * time.Second},
		"a request":            {500, 0, time.Minute, 500 * time.Millisecond},
		"both, one by one":     {500, 2000, time.Minute, 2500 * time.Millisecond},
		"nothing":              {0, 0, time.Minute, 0},
		"the lease ends first": {0, 60_000, 4 * time.Second, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := narrow(t, c.lease)
				if took := sendingThrough(t, list, c.up, c.down); took != c.want {
					t.Errorf("it took %s, want %s", took, c.want)
				}
				if stats := list.stats()[0]; stats.Delayed.Std() != c.want {
					t.Errorf("the counters are %+v", stats)
				}
			})
		})
	}
}

// TestBandwidthIsSharedByAll: two answers at once take as long as one that is as long as both.
func TestBandwidthIsSharedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := narrow(t, time.Minute)
		took := make(chan time.Duration, 2)
		for range 2 {
			go func() { took <- sendingThrough(t, list, 0, 1000) }()
		}
		if last := max(<-took, <-took); last != 2*time.Second {
			t.Errorf("both together took %s, want 2s", last)
		}
	})
}

// TestBandwidthIsTakenAway: what waits goes on at once, also where the fault was put again before.
func TestBandwidthIsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := narrow(t, time.Second)
		took := make(chan time.Duration, 1)
		go func() { took <- sendingThrough(t, list, 0, 50_000) }()
		synctest.Wait()
		if err := list.put(proxyFault{ID: "f", Kind: kindBandwidth, Rate: 1000, Share: 1, Until: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		list.remove("f")
		if last := <-took; last != 3*time.Second+time.Millisecond {
			t.Errorf("it took %s", last)
		}
	})
}

func TestBandwidthIsChecked(t *testing.T) {
	for _, fault := range []*FaultBandwidth{{Share: 1}, {Rate: -1, Share: 1}, {Rate: 1}} {
		if fault.Validate() == nil {
			t.Errorf("accepted: %+v", fault)
		}
	}
	if err := (&FaultBandwidth{Rate: 1, Share: 1}).Validate(); err != nil {
		t.Error(err)
	}
}
