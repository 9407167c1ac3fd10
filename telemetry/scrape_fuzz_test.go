package telemetry

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/storage"
)

// pages are the seeds of FuzzPage: right ones, broken ones, and those that try to be somebody else's.
var pages = []string{
	"", "\n", "# HELP a b\n# TYPE a counter\na 1\n", "a 1", "a{b=\"c\"} 1 1700000000000\n", "a{b=\"c\",b=\"d\"} 1\n", "a 1\na 2\n", "a NaN\nb +Inf\nc -Inf\nd -0\ne 1e400\n",
	"up 0\nscrape_duration_seconds -1\n", "a{service=\"other\",instance=\"other\"} 1\n", "a{exported_service=\"x\",service=\"y\"} 1\n", "{service=\"other\"} 1\n", "{\"a.b\",c=\"d\"} 1\n",
	"{__name__=\"\"} 1\n", "a{__name__=\"\"} 1\n", "a{__name__=\"b\"} 1\n", "a{b=\"\xff\"} 1\n", "\xff 1\n", "a{b=\"c\\\n", "a{", "a 1\n# EOF\nb 2\n", "a_total 1 # {x=\"y\"} 1\n# EOF\n",
	"a{b=\"" + strings.Repeat("x", 5000) + "\"} 1\n", strings.Repeat("a 1\n", 300), "a{le=\"+Inf\"} 1\n", "a 0x1p4\nb 1_000\n", "\x00\x00\x00", "\x0a\x03a b\x12\x00",
	"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum NaN\nh_count -1\n", "a\t1\r\n", "a{ b = \"c\" , } 1\n", "a 1 -1\n", "a{\"b\"=\"c\"} 1\n",
}

// FuzzPage: whatever a page holds, and whatever it calls itself, it is an error and nothing of it is stored, or series
// with a name that belong to the service that was asked and to no other. `up` tells which of the two it was.
func FuzzPage(f *testing.F) {
	store, err := Open(f.TempDir(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	for _, text := range pages {
		for _, kind := range []string{"text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8"} {
			f.Add([]byte(text), kind, []byte("a 1\n"))
		}
		f.Add([]byte(text), "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", []byte(text))
	}
	for _, kind := range []string{"", "x", ";", "text/html", "text/plain; version=9; escaping=values", "\xff"} {
		f.Add([]byte(pages[2]), kind, []byte(nil))
	}
	n := 0
	f.Fuzz(func(t *testing.T, first []byte, kind string, second []byte) {
		n++
		one := &source{id: sourceID{service: fmt.Sprint("shop", n), url: "http://a/", instance: "a:1"}, store: store,
			logger: slog.New(slog.DiscardHandler), series: map[string]*scraped{}}
		one.ownSeries()
		at := time.Now()
		for _, text := range [][]byte{first, second, second} {
			at = one.next(at)
			one.body.Reset()
			one.body.Write(text)
			err := store.transact(func(app storage.AppenderV2) (bool, error) {
				page := func(app storage.AppenderV2, at time.Time, newest map[storage.SeriesRef]int64) error {
					return one.appendPage(app, kind, at, newest)
				}
				err := one.appendRound(app, page, at, time.Millisecond)
				return err == nil, err
			})
			if err != nil {
				one.appendFailure(at, time.Millisecond)
			}
			held(t, store, one, at, err)
		}
	})
}

// held checks what is stored of a source right after a scrape that ended with err.
func held(t *testing.T, store *Store, one *source, at time.Time, err error) {
	t.Helper()
	answer, queryErr := store.QueryAt(t.Context(), fmt.Sprintf("{service=%q}", one.id.service), at)
	if queryErr != nil {
		t.Fatalf("after the error %v: %v", err, queryErr)
	}
	up := -1.0
	for _, sample := range answer.Samples {
		if sample.Labels[model.MetricNameLabel] == "" || sample.Labels["instance"] != one.id.instance {
			t.Errorf("stored: %v", sample)
		}
		if sample.Labels[model.MetricNameLabel] == "up" && len(sample.Labels) == 3 {
			up = sample.Value
		}
	}
	if err != nil && (up != 0 || len(answer.Samples) != 2 || len(one.series) != 0) {
		t.Errorf("the page was refused (%v), up is %g, and stored are %v", err, up, answer.Samples)
	}
	if err == nil && up != 1 {
		t.Errorf("the page was read, and up is %g: %v", up, answer.Samples)
	}
	if lines := one.body.Len() + 1; len(one.series) > lines {
		t.Errorf("%d series of a page of %d bytes", len(one.series), one.body.Len())
	}
	for line, series := range one.series {
		if series.labels.Get("service") != one.id.service || series.labels.Get("instance") != one.id.instance {
			t.Errorf("line %q is taken for a series of another service: %s", line, series.labels)
		}
	}
}
