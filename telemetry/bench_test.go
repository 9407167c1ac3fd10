package telemetry

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/jenner-heal/jenner"
)

// bigPage has as many series as a small Go service with a few histograms.
func bigPage(series int) string {
	var text strings.Builder
	for i := range series {
		fmt.Fprintf(&text, "http_request_duration_seconds_bucket{code=\"200\",path=\"/orders\",le=\"%d\"} %d\n", i, i*7)
	}
	return text.String()
}

// BenchmarkScrape is one scrape of a page of 200 series, from the request to the write-ahead log. It includes the
// server's part, which is in this process.
func BenchmarkScrape(b *testing.B) {
	store, p := open(b, 0), newPage(b, bigPage(200))
	one, at := sourceForBench(store, p), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Millisecond) // two scrapes of one millisecond would be duplicates
		samples, err := one.ask(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		err = store.transact(func(app storage.AppenderV2) (bool, error) {
			return true, one.appendRound(app, samples, at, time.Millisecond)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if n := answers(b, store, "count(http_request_duration_seconds_bucket)", at); n != "map[]=200" {
		b.Errorf("scraped %s", n)
	}
}

func sourceForBench(store *Store, p *page) *source {
	scraper := NewScraper(ScraperOptions{Store: store})
	one := scraper.start(sourceID{service: "checkout", url: p.url, instance: p.instance, every: time.Hour}, origin{}, nil)
	one.stop() // ends before its first scrape: the benchmark scrapes itself
	<-one.done
	return one
}

// BenchmarkProbe is one question with its answer counted, stored and told, without what the probe itself does.
func BenchmarkProbe(b *testing.B) {
	store := open(b, 0)
	at := time.Now()
	opts := NewProber(ProberOptions{Append: store.Append}).opts
	plan := probePlan{Again: 2, Probe: jenner.Probe{Name: "ready", Every: jenner.Duration(time.Second), Timeout: jenner.Duration(time.Second), Fails: 2, Of: 3}}
	loop := newProbeLoop(opts, jenner.Service{Name: "checkout"}, plan, &scripted{script: always(Result{Outcome: OK})}, "", func() {})
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Millisecond)
		loop.take(loop.safely(context.Background()), at.Add(-time.Millisecond), at)
	}
}

// BenchmarkQuery is a usual question of a rule over a minute of points every second.
func BenchmarkQuery(b *testing.B) {
	store, now := open(b, 0), time.Now()
	for second := range 60 {
		at := now.Add(time.Duration(second-60) * time.Second)
		for path := range 10 {
			one := sample("requests_total", at, float64(second*path))
			one.Labels["path"] = fmt.Sprint(path)
			put(b, store, one)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.QueryAt(b.Context(), `sum(rate(requests_total[1m])) > 0.5`, now); err != nil {
			b.Fatal(err)
		}
	}
}
