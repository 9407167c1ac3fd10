package http

import (
	"context"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// busy is a service that counts what it is asked.
func busy(t *testing.T) (jenner.Target, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, request *nethttp.Request) {
		if request.Method != nethttp.MethodPost || request.URL.Path != "/orders" || request.Header.Get("X-Kind") != "peak" {
			w.WriteHeader(nethttp.StatusInternalServerError)
		}
		asked.Add(1)
	}))
	t.Cleanup(server.Close)
	return jenner.Target{Kind: "http", Name: "shop", Params: jenner.Params{"url": jenner.Raw(server.URL)}}, asked
}

func peak() *FaultTraffic {
	return &FaultTraffic{Rate: 100, AtOnce: 10, Method: "POST", Path: "/orders", Headers: map[string]string{"X-Kind": "peak"}}
}

func peakWorld(t *testing.T) faulttest.World {
	target, _ := busy(t)
	return faulttest.World{Fault: func() chaos.Fault { return peak() },
		Record: jenner.FaultRecord{Fault: "http.traffic", Target: target, Params: jenner.Params{"rate": jenner.Raw(100), "at_once": jenner.Raw(10),
			"method": jenner.Raw("POST"), "path": jenner.Raw("/orders"), "headers": jenner.Raw(map[string]string{"X-Kind": "peak"})}},
		Absent: jenner.Target{Kind: "http", Name: "nowhere", Params: jenner.Params{"url": jenner.Raw("http://127.0.0.1:1")}}}
}

func TestTrafficConforms(t *testing.T) { faulttest.Run(t, peakWorld) }

func TestTrafficEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, peakWorld) }

// TestTrafficReallyArrives: what the fault tells is what the service was asked, and the asking ends with it.
func TestTrafficReallyArrives(t *testing.T) {
	target, asked := busy(t)
	call := chaos.Call{Record: jenner.FaultRecord{Target: target}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reports := make(chan traffic, 10000)
	ended := make(chan error, 1)
	go func() {
		ended <- peak().Hold(ctx, call, func(report any) { reports <- report.(traffic) })
	}()
	for report := range reports {
		if report.Answered >= 20 {
			stop()
			break
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n < 20 {
		t.Errorf("the service was asked %d times", n)
	}
}

func TestTrafficRefuses(t *testing.T) {
	for says, change := range map[string]func(*FaultTraffic){
		"rate 0":          func(f *FaultTraffic) { f.Rate = 0 },
		"rate 5001":       func(f *FaultTraffic) { f.Rate = 5001 },
		"at_once 0":       func(f *FaultTraffic) { f.AtOnce = 0 },
		"does not begin":  func(f *FaultTraffic) { f.Path = "orders" },
		"invalid method":  func(f *FaultTraffic) { f.Method = "P T" },
		"no answer below": func(f *FaultTraffic) { f.Method = "GET" },
		"has no url":      nil,
	} {
		fault := peak()
		target, _ := busy(t)
		if change == nil {
			target.Params = jenner.Params{"proxy": jenner.Raw("http://127.0.0.1:1")}
		} else {
			change(fault)
		}
		err := fault.Validate()
		if err == nil {
			_, err = fault.Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{Target: target}})
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
