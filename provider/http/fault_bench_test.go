package http

import (
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault asks the proxy over its control endpoint.
func BenchmarkFault(b *testing.B) {
	for _, bench := range []struct {
		fault  string
		params jenner.Params
	}{
		{"http.latency", jenner.Params{"delay": jenner.Raw("1ms")}},
		{"http.error", nil},
		{"http.abort", nil},
		{"http.body", jenner.Params{"garble": jenner.Raw("1%")}},
		{"http.bandwidth", jenner.Params{"rate": jenner.Raw(1000)}},
	} {
		b.Run(bench.fault, func(b *testing.B) {
			w := behindService(b, func(nethttp.ResponseWriter, *nethttp.Request) {})
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault,
				jenner.FaultRecord{Fault: bench.fault, Target: w.target(), Params: bench.params})
		})
	}
}

// BenchmarkProxy compares a request that goes straight to a service with one through the proxy: without a fault, and with
// one that is armed and affects none. The ratio is of the median times, measured by turns so that both see the same
// machine; added-us is the difference.
func BenchmarkProxy(b *testing.B) {
	for _, armed := range []bool{false, true} {
		b.Run(map[bool]string{false: "without a fault", true: "armed and idle"}[armed], func(b *testing.B) {
			answer := make([]byte, 1024)
			service := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.Write(answer) }))
			defer service.Close()
			upstream, err := absoluteURL(service.URL)
			if err != nil {
				b.Fatal(err)
			}
			faults := newFaultList(time.Now)
			if armed {
				fault := proxyFault{ID: "f", Kind: kindLatency, Delay: 1, Share: 1e-12, Until: time.Now().Add(time.Hour)}
				if err := faults.put(fault); err != nil {
					b.Fatal(err)
				}
			}
			proxy := httptest.NewServer(faults.between(forward(upstream)))
			defer proxy.Close()
			client := &nethttp.Client{Transport: &nethttp.Transport{MaxIdleConnsPerHost: 4}}
			defer client.CloseIdleConnections()
			var straight, through []time.Duration
			for b.Loop() {
				straight = append(straight, asked(b, client, service.URL))
				through = append(through, asked(b, client, proxy.URL))
			}
			slices.Sort(straight)
			slices.Sort(through)
			s, t := straight[len(straight)/2], through[len(through)/2]
			b.ReportMetric(float64(t)/float64(s), "ratio")
			b.ReportMetric(float64(t-s)/float64(time.Microsecond), "added-us")
		})
	}
}

func asked(b *testing.B, client *nethttp.Client, url string) time.Duration {
	began := time.Now()
	response, err := client.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
