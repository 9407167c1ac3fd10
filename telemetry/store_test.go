package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

// hour is a lookback that ends no series: what is gone in a test was marked stale.
const hour = time.Hour

func open(t testing.TB, lookback time.Duration) *Store {
	t.Helper()
	store, err := Open(t.TempDir(), Options{LookbackDelta: lookback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func sample(name string, at time.Time, value float64) jenner.Sample {
	return jenner.Sample{Labels: map[string]string{"__name__": name, "service": "checkout"}, Value: value, At: at}
}

func put(t testing.TB, store *Store, samples ...jenner.Sample) {
	t.Helper()
	if err := store.Append(samples...); err != nil {
		t.Fatal(err)
	}
}

// answers asks and writes each sample as `labels=value`; "" is no data.
func answers(t testing.TB, store *Store, expr string, at time.Time) string {
	t.Helper()
	answer, err := store.QueryAt(context.Background(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, one := range answer.Samples {
		parts = append(parts, fmt.Sprintf("%v=%v", one.Labels, one.Value))
	}
	slices.Sort(parts) // PromQL leaves the order of an aggregation open
	return strings.Join(parts, " ")
}

func TestQuery(t *testing.T) {
	store, now := open(t, 0), time.Now().Truncate(time.Second).Add(500*time.Millisecond) // steps lie on whole seconds
	put(t, store, sample("used", now, 9), sample("size", now, 10), sample("nan", now, math.NaN()),
		sample("endless", now, math.Inf(1)), sample("count", now.Add(-2*time.Second), 2), sample("count", now, 10))
	const c = "map[service:checkout]"
	for expr, want := range map[string]string{
		"used":                      "map[__name__:used service:checkout]=9",
		"used / size":               c + "=0.9",
		"used / size > 0.8":         c + "=0.9",
		"used > 100":                "", // a filter, not an answer
		"used > bool 100":           c + "=0",
		"2 * 3":                     "map[]=6",
		"scalar(nothing)":           "", // NaN
		"nothing":                   "",
		"nan":                       "",
		"0 * endless":               "",
		"endless":                   "map[__name__:endless service:checkout]=+Inf",
		"absent(nothing)":           "map[]=1",
		"count - count offset 2s":   c + "=8",
		"max_over_time(count[5s:])": c + "=2",
	} {
		if got := answers(t, store, expr, now); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	for expr, want := range map[string]string{"used[5m]": "wrap it in a function", `"text"`: "string", "used +": "1:7"} {
		if _, err := store.QueryAt(context.Background(), expr, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", expr, err, want)
		}
	}
}

func TestLookback(t *testing.T) {
	store, start := open(t, 0), time.Now()
	put(t, store, sample("up", start, 1))
	for after, want := range map[time.Duration]bool{
		-time.Second: false, 0: true, 9 * time.Second: true, DefaultLookbackDelta + time.Second: false,
	} {
		if got := answers(t, store, "up", start.Add(after)) != ""; got != want {
			t.Errorf("%s after the sample: data %v, want %v", after, got, want)
		}
	}
	store.suit(time.Minute)
	if answers(t, store, "up", start.Add(2*time.Minute)) == "" {
		t.Error("points every minute, and the one of two minutes ago is no longer looked at")
	}
	store.suit(time.Second)
	if got := store.LookbackDelta(); got != DefaultLookbackDelta {
		t.Errorf("lookback %s after the slow source is gone, want %s", got, DefaultLookbackDelta)
	}
}

func TestStaleMarkerEndsSeries(t *testing.T) {
	store, start := open(t, hour), time.Now()
	put(t, store, sample("up", start, 1))
	put(t, store, staleSamples(start.Add(time.Second), sample("up", start, 0).Labels)...)
	if got := answers(t, store, "up", start.Add(2*time.Second)); got != "" {
		t.Errorf("an ended series answers %s", got)
	}
	put(t, store, sample("up", start.Add(3*time.Second), 1))
	if got := answers(t, store, "up", start.Add(4*time.Second)); got == "" {
		t.Error("a series that came back does not answer")
	}
}

func TestAppendDropsAndCounts(t *testing.T) {
	store, now := open(t, 0), time.Now()
	put(t, store, sample("a", now, 1))
	put(t, store, sample("a", now.Add(-time.Second), 2), sample("b", now, 1)) // older: dropped; b is stored
	put(t, store, sample("a", now, 3))                                        // the same time, another value
	put(t, store, sample("c", now, 1), sample("c", now, 2), sample("c", now.Add(-time.Second), 3))
	if got := store.Dropped(); got != 4 {
		t.Errorf("%d dropped, want 4", got)
	}
	want := "map[__name__:a service:checkout]=1 map[__name__:b service:checkout]=1 map[__name__:c service:checkout]=1"
	if got := answers(t, store, `{__name__=~"[abc]"}`, now); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAppendWrongSamples(t *testing.T) {
	store, now := open(t, 0), time.Now()
	err := store.Append(jenner.Sample{Value: 1, At: now}, jenner.Sample{Labels: map[string]string{"__name__": "when"}},
		sample("right", now, 1))
	if err == nil || !strings.Contains(err.Error(), "when") {
		t.Errorf("error %v, want one that names both samples", err)
	}
	if answers(t, store, "right", now) == "" {
		t.Error("the right sample was not stored")
	}
}

func TestHasData(t *testing.T) {
	store, now := open(t, 0), time.Now()
	put(t, store, sample("errors", now.Add(-time.Second), 1), sample("requests", now.Add(-time.Second), 9))
	for expr, want := range map[string]bool{
		"errors > 5":                         true, // few errors is data
		"errors / requests > 0.5":            true,
		"errors / nothing > 0.5":             false,
		`rate(errors{service="other"}[10s])`: false,
		"rate(errors[10s]) > 5":              true,
		"vector(1) > 2":                      true,
	} {
		if got, err := store.HasData(context.Background(), expr); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", expr, got, err, want)
		}
	}
	if _, err := store.HasData(context.Background(), "errors >"); err == nil {
		t.Error("an expression that does not parse is no error")
	}
}

func TestQueryRange(t *testing.T) {
	store, start := open(t, 1500*time.Millisecond), time.UnixMilli(time.Now().UnixMilli()).Add(-time.Minute)
	for _, second := range []int{0, 1, 5} {
		put(t, store, sample("load", start.Add(time.Duration(second)*time.Second), float64(second)))
	}
	got, err := store.QueryRange(context.Background(), "load", start, start.Add(6*time.Second), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	at := func(second int, value float64) Point {
		return Point{At: start.Add(time.Duration(second) * time.Second), Value: value}
	}
	want := []Series{{
		Labels: map[string]string{"__name__": "load", "service": "checkout"},
		Points: []Point{at(0, 0), at(1, 1), at(2, 1), at(5, 5), at(6, 5)},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := store.QueryRange(context.Background(), "load", start, start.Add(-time.Second), time.Second); err == nil {
		t.Error("a range that ends before it begins is no error")
	}
	if _, err := store.QueryRange(context.Background(), "load", start, start, 0); err == nil {
		t.Error("a step of zero is no error")
	}
}

func TestParseCheck(t *testing.T) {
	for _, good := range []string{"up", "1", `sum by (service) (rate(http_requests_total{code=~"5.."}[1m])) / 2 > 0.1`} {
		if err := ParseCheck(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                "no expression",
		"up{":             "1:4",
		"up +\n rate(up)": "2:7",
		"nosuch(up)":      "unknown function",
		"up[5m]":          "range vector",
		`"up"`:            "string",
	} {
		if err := ParseCheck(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", bad, err, want)
		}
	}
}

// What is on disk without an orderly end is what a killed program leaves.
func TestOpenReplaysAfterKill(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	store, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, sample("up", now, 1))
	left := t.TempDir() + "/left"
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{left, dir} {
		again, err := Open(where, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if answers(t, again, "up", now) == "" {
			t.Errorf("%s: the sample is lost", where)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	store, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "another running program") {
		t.Errorf("a directory in use: %v", err)
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir+"/file", Options{}); err == nil {
		t.Error("a file in place of the directory is no error")
	}
	if _, err := Open(t.TempDir(), Options{Retention: -1}); err == nil {
		t.Error("a negative retention is no error")
	}
}

func TestClosedStore(t *testing.T) {
	store, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Query(context.Background(), "up"); !errors.Is(err, ErrClosed) {
		t.Errorf("Query: %v, want ErrClosed", err)
	}
	if err := store.Append(sample("up", time.Now(), 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append: %v, want ErrClosed", err)
	}
}
