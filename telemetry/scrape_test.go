package telemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

// page is a metrics page whose text can be changed while it is scraped.
type page struct {
	url, instance string
	text          atomic.Pointer[string]
	status        atomic.Int64
	contentType   atomic.Pointer[string]
	asked         atomic.Int64
}

func newPage(t testing.TB, text string) *page {
	t.Helper()
	p := &page{}
	p.set(text)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if kind := p.contentType.Load(); kind != nil {
			w.Header().Set("Content-Type", *kind)
		}
		if status := p.status.Load(); status != 0 {
			w.WriteHeader(int(status))
		}
		fmt.Fprint(w, *p.text.Load())
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.url, p.instance = server.URL+"/metrics", at.Host
	return p
}

func (p *page) set(text string) { p.text.Store(&text) }

func scraping(t testing.TB, store *Store, services ...jenner.Service) *Scraper {
	t.Helper()
	scraper := NewScraper(ScraperOptions{Store: store, BodyLimit: 1000})
	t.Cleanup(scraper.Close)
	if err := scraper.Set(services); err != nil {
		t.Fatal(err)
	}
	return scraper
}

func serviceWith(name string, urls ...string) jenner.Service {
	service := jenner.Service{Name: name}
	for _, one := range urls {
		service.Metrics = append(service.Metrics, jenner.MetricsSource{Scrape: one, Every: jenner.Duration(10 * time.Millisecond)})
	}
	return service
}

// becomes waits until the expression answers so; "" is no data.
func becomes(t testing.TB, store *Store, expr, want string) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("%s answered last: %q", expr, last)
		}
	}()
	await.True(t, fmt.Sprintf("%s to answer %q", expr, want), func() bool {
		last = answers(t, store, expr, time.Now())
		return last == want
	})
}

func TestScrape(t *testing.T) {
	store := open(t, hour)
	p := newPage(t, "# TYPE orders counter\norders{code=\"200\"} 7 1000\nbroken{instance=\"theirs\",service=\"also\"} 1\nnan NaN\n")
	scraping(t, store, serviceWith("checkout", p.url))
	own := " instance:" + p.instance + " service:checkout]="
	becomes(t, store, "orders", "map[__name__:orders code:200"+own+"7") // and not of 1970, as the page says
	becomes(t, store, "broken", "map[__name__:broken exported_instance:theirs exported_service:also"+own+"1")
	becomes(t, store, "up", "map[__name__:up"+own+"1")
	becomes(t, store, "nan", "")
	becomes(t, store, "scrape_duration_seconds > bool 0", "map[instance:"+p.instance+" service:checkout]=1")

	p.set("orders{code=\"200\"} 9\nlate 1\n") // one series goes on, one is gone, one is new
	becomes(t, store, "broken", "")
	becomes(t, store, "orders", "map[__name__:orders code:200"+own+"9")
	becomes(t, store, "late", "map[__name__:late"+own+"1")
}

// With a lookback of an hour, only stale markers can end a series.
func TestScrapeFailureEndsSeries(t *testing.T) {
	for name, fail := range map[string]func(p *page){
		"status":                   func(p *page) { p.status.Store(500) },
		"no metrics":               func(p *page) { p.set("<html>sorry</html>") },
		"broken off in the middle": func(p *page) { p.set("orders 8\nfresh 1\norders{code=") },
		"too long":                 func(p *page) { p.set("orders 8\n" + strings.Repeat("# long\n", 200)) },
	} {
		t.Run(name, func(t *testing.T) {
			store, p := open(t, hour), newPage(t, "orders 7\n")
			scraping(t, store, serviceWith("checkout", p.url))
			own := " instance:" + p.instance + " service:checkout]="
			becomes(t, store, "orders", "map[__name__:orders"+own+"7")
			fail(p)
			becomes(t, store, "up", "map[__name__:up"+own+"0")
			becomes(t, store, "orders", "")
			becomes(t, store, `max_over_time({__name__=~"orders|fresh"}[1h])`, "map["+own[1:]+"7") // nothing of the bad page
			p.status.Store(0)
			p.set("orders 9\n")
			becomes(t, store, "orders", "map[__name__:orders"+own+"9")
			becomes(t, store, "up", "map[__name__:up"+own+"1")
		})
	}
}

func TestScrapeNoAnswer(t *testing.T) {
	store := open(t, hour)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hangs := listener.Addr().String()
	t.Cleanup(func() { _ = listener.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	scraping(t, store, serviceWith("hangs", "http://"+hangs+"/"), serviceWith("refuses", "http://"+refuses+"/"))
	becomes(t, store, `up{service="hangs"}`, "map[__name__:up instance:"+hangs+" service:hangs]=0")
	becomes(t, store, `up{service="refuses"}`, "map[__name__:up instance:"+refuses+" service:refuses]=0")
}

func TestScrapeOpenMetrics(t *testing.T) {
	store, p := open(t, hour), newPage(t, "# TYPE orders counter\norders_total 3 # {trace=\"x\"} 1\n# EOF\n")
	kind := "application/openmetrics-text; version=1.0.0; charset=utf-8"
	p.contentType.Store(&kind)
	scraping(t, store, serviceWith("checkout", p.url))
	becomes(t, store, "sum(orders_total)", "map[]=3")
}

func TestScrapeRepeatedLine(t *testing.T) {
	store, p := open(t, hour), newPage(t, "orders 1\norders 2\n")
	scraping(t, store, serviceWith("checkout", p.url))
	becomes(t, store, "sum(orders)", "map[]=1")
	if store.Dropped() == 0 {
		t.Error("the second value was not counted as dropped")
	}
}

func TestScraperSetReloads(t *testing.T) {
	store := open(t, hour)
	stays, goes := newPage(t, "orders 1\n"), newPage(t, "orders 1\n")
	scraper := scraping(t, store, serviceWith("stays", stays.url), serviceWith("goes", goes.url))
	becomes(t, store, "sum(up)", "map[]=2")
	kept := sourceOf(scraper, "stays")

	described := serviceWith("stays", stays.url)
	described.Description = "another text"
	if err := scraper.Set([]jenner.Service{described}); err != nil {
		t.Fatal(err)
	}
	if sourceOf(scraper, "stays") != kept {
		t.Error("an unchanged source was started anew")
	}
	becomes(t, store, `{service="goes"}`, "") // up too: nobody looks any more
	before := stays.asked.Load()
	await.True(t, "the kept source to be scraped on", func() bool { return stays.asked.Load() > before })

	faster := serviceWith("stays", stays.url)
	faster.Metrics[0].Every = jenner.Duration(5 * time.Millisecond)
	if err := scraper.Set([]jenner.Service{faster}); err != nil {
		t.Fatal(err)
	}
	if sourceOf(scraper, "stays") == kept {
		t.Error("a changed source was kept")
	}
	becomes(t, store, `sum(orders{service="stays"})`, "map[]=1")
	scraper.Close()
	becomes(t, store, `{service="stays"}`, "")
	if err := scraper.Set(nil); err == nil {
		t.Error("Set after Close is no error")
	}
}

func sourceOf(s *Scraper, service string) *source {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.sources {
		if id.service == service {
			return one
		}
	}
	return nil
}

func TestScraperTwoPagesOfOneHost(t *testing.T) {
	store, p := open(t, hour), newPage(t, "orders 1\n")
	scraping(t, store, serviceWith("checkout", p.url, p.url+"/more?x=1"))
	becomes(t, store, `sum by (instance) (up)`,
		"map[instance:"+p.instance+"/metrics/more?x=1]=1 map[instance:"+p.instance+"]=1")
}

func TestScraperSetNamesWrongSources(t *testing.T) {
	store, p := open(t, hour), newPage(t, "orders 1\n")
	scraper := NewScraper(ScraperOptions{Store: store})
	t.Cleanup(scraper.Close)
	err := scraper.Set([]jenner.Service{serviceWith("right", p.url, p.url), serviceWith("wrong", "127.0.0.1:80/metrics", "ftp://x/", "http:///metrics")})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"service right", "stands there twice", "service wrong", "127.0.0.1:80/metrics", "ftp://x/", "http:///metrics"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	becomes(t, store, `sum(up{service="right"})`, "map[]=1")
}

func TestView(t *testing.T) {
	store, prober := open(t, hour), NewProber(ProberOptions{})
	t.Cleanup(prober.Close)
	put(t, store, sample("up", time.Now().Add(-time.Second), 1))
	view := View{Store: store, Prober: prober}
	if answer, err := view.Query(context.Background(), "up"); err != nil || answer.NoData() {
		t.Errorf("up: %v, %v", answer, err)
	}
	if _, has := view.Probe("checkout", "ready"); has || len(view.Probes("checkout")) > 0 {
		t.Error("there is a probe nobody wrote")
	}
}

// Labels that the files add are on every number of a page, on `up` too, and a change of them begins the series anew.
func TestScrapeWithLabels(t *testing.T) {
	store := open(t, hour)
	p := newPage(t, "orders{job=\"theirs\"} 7\n")
	service := serviceWith("checkout", p.url)
	service.Metrics[0].Labels = map[string]string{"job": "shop"}
	scraper := scraping(t, store, service)
	own := func(job string) string { return " instance:" + p.instance + " job:" + job + " service:checkout]=" }
	becomes(t, store, "orders", "map[__name__:orders exported_job:theirs"+own("shop")+"7")
	becomes(t, store, "up", "map[__name__:up"+own("shop")+"1")
	service.Metrics = []jenner.MetricsSource{service.Metrics[0]}
	service.Metrics[0].Labels = map[string]string{"job": "store"}
	if err := scraper.Set([]jenner.Service{service}); err != nil {
		t.Fatal(err)
	}
	becomes(t, store, "orders", "map[__name__:orders exported_job:theirs"+own("store")+"7")
	becomes(t, store, "up", "map[__name__:up"+own("store")+"1")
}
